"""The accountant agrees with written runs, and finds what is wrong with doctored ones."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest

from alpha_pulse.backtest.result import summarise
from alpha_pulse.backtest.writers import write_run
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import START_MS, RecordBuilder, wandering_record
from tests.integration.backtest.ledger import Candle, impossible_maker_fills, moment_ms, read, walk

MINUTE = 60_000


def write(record, folder):
    write_run(record, summarise(record), folder)
    return json.loads((folder / "result.json").read_text())


def doctor(path, row, **cells):
    rows = read(path)
    rows[row].update(cells)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(("seed", "inventory"), [(13, "1"), (4, "0.37"), (5, "-2")])
def test_fills_and_funding_alone_reproduce_the_result_to_the_cent(tmp_path, seed, inventory):
    record = wandering_record(days=9, seed=seed, inventory=inventory)
    body = write(record, tmp_path)
    ledger = walk(tmp_path, Decimal(100_000))
    assert ledger.problems == []
    assert len(record.fills) > 20
    assert round(ledger.cash, 2) == round(Decimal(body["cash"]), 2)
    assert float(ledger.position) == body["perp_position"]
    assert round(ledger.fees, 2) == round(Decimal(body["fees"]), 2)
    assert round(ledger.funding, 2) == round(Decimal(body["funding"]), 2)
    pnl = ledger.equity(Decimal(body["mark_last"])) - 100_000
    assert abs(float(pnl) - body["attribution"]["hedge_pnl"]) < 0.006
    assert (ledger.maker_fills, ledger.taker_fills) == (body["trading"]["maker_fills"], body["trading"]["taker_fills"])


def test_a_position_that_flips_realises_only_what_it_closed(tmp_path):
    built = RecordBuilder(wallet="1000")
    built.fill(Side.SELL, "1", "100")
    built.fill(Side.SELL, "1", "110")
    built.fill(Side.BUY, "3", "90")
    built.bar(90.0)
    built.fill(Side.SELL, "1", "95")
    built.bar(95.0)
    write(built.record, tmp_path)
    ledger = walk(tmp_path, Decimal(1000))
    assert ledger.realized == 2 * 15 + 5
    assert ledger.position == 0
    assert ledger.entry == 0
    assert ledger.cash == built.wallet


@pytest.mark.parametrize(
    ("file", "cells", "problem"),
    [
        ("funding.csv", {"position": "-0.75"}, "the fills made -0.5"),
        ("funding.csv", {"amount": "9"}, "is due"),
        ("fills.csv", {"quantity": "0"}, "a fill of 0"),
    ],
)
def test_a_doctored_booking_is_noticed(tmp_path, file, cells, problem):
    built = RecordBuilder()
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    built.fund("0.0001", 100.0)
    built.bar(100.0)
    write(built.record, tmp_path)
    doctor(tmp_path / file, 0, **cells)
    assert any(problem in text for text in walk(tmp_path, Decimal(100_000)).problems)


def test_a_missing_fill_changes_the_cash(tmp_path):
    record = wandering_record(days=2, seed=3)
    body = write(record, tmp_path)
    lines = (tmp_path / "fills.csv").read_text().splitlines()
    (tmp_path / "fills.csv").write_text("\n".join(lines[:-1]) + "\n")
    assert round(walk(tmp_path, Decimal(100_000)).cash, 2) != round(Decimal(body["cash"]), 2)


def test_funding_at_the_moment_of_a_fill_settles_after_it(tmp_path):
    built = RecordBuilder()
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    built.fund("0.0001", 100.0)  # the next bar opens at the moment of the fill
    built.bar(100.0)
    write(built.record, tmp_path)
    assert walk(tmp_path, Decimal(100_000)).problems == []


@pytest.mark.parametrize(
    ("high", "low", "side", "through", "possible"),
    [
        (101, 99, Side.SELL, True, True),
        (100, 99, Side.SELL, True, False),
        (100, 99, Side.SELL, False, True),
        (99.9, 99, Side.SELL, False, False),
        (101, 99, Side.BUY, True, True),
        (101, 100, Side.BUY, True, False),
        (101, 100, Side.BUY, False, True),
        (102, 100.1, Side.BUY, False, False),
    ],
)
def test_a_maker_fill_needs_a_candle_that_traded_there(tmp_path, high, low, side, through, possible):
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(side, "0.5", "100")
    built.fill(side, "0.5", "500", taker=True)
    built.bar(100.0)
    write(built.record, tmp_path)
    candles = [Candle(START_MS, 200, 1), Candle(START_MS + MINUTE, high, low), Candle(START_MS + 2 * MINUTE, 200, 1)]
    wrong = impossible_maker_fills(tmp_path, candles, bar_ms=MINUTE, through=through)
    assert (wrong == []) is possible


def test_a_maker_fill_in_a_gap_of_the_candles_is_impossible(tmp_path):
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    write(built.record, tmp_path)
    assert "no candle" in impossible_maker_fills(tmp_path, [Candle(START_MS, 200, 1)], bar_ms=MINUTE)[0]
    assert "no candle" in impossible_maker_fills(tmp_path, [], bar_ms=MINUTE)[0]


def test_times_are_read_exactly():
    assert moment_ms("2025-06-01T00:01:00.123Z") == START_MS + 60_123
