"""``RunResult`` and ``result.json``."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from alpha_pulse.backtest.result import iso_utc, summarise
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import RecordBuilder, wandering_record


@pytest.fixture(scope="module")
def record():
    return wandering_record(days=6, seed=4)


@pytest.fixture(scope="module")
def body(record):
    return json.loads(summarise(record).to_json())


def test_the_keys_that_users_read_are_there_as_plain_numbers(body):
    for key in ("fees", "funding", "perp_position", "cash"):
        assert isinstance(body[key], int | float)
    assert set(body["hedge_effectiveness"]) == {"1h", "1d", "ceiling", "static_1h", "static_1d", "average_ratio"}
    assert set(body["attribution"]) == {"static", "timing", "basis", "funding", "fees", "slippage", "hedge_pnl"}
    assert body["seed"] == 4
    assert body["simulated"] is True
    assert body["bars"] == 6 * 1440
    assert body["first_time"] == "2025-06-01T00:01:00.000Z"
    assert body["settings"]["paper"]["fill_rule"] == "through"


def test_booked_money_parses_back_to_the_cent(body, record):
    assert round(body["fees"], 2) == round(float(sum(f.fee for f in record.fills)), 2)
    assert round(body["funding"], 2) == round(float(sum(p.amount for p in record.funding)), 2)
    assert round(body["cash"], 2) == round(record.wallet[-1], 2)
    assert body["perp_position"] == float(sum(f.side.sign * f.quantity for f in record.fills))


def test_the_attribution_adds_up_exactly_in_cents(body):
    cents = {name: round(100 * value) for name, value in body["attribution"].items()}
    total = cents["static"] + cents["timing"] + cents["basis"] + cents["funding"] - cents["fees"] - cents["slippage"]
    assert total == cents["hedge_pnl"]
    assert cents["hedge_pnl"] == round(100 * body["hedge_pnl"])


def test_the_same_record_gives_the_same_bytes(record):
    assert summarise(record).to_json() == summarise(wandering_record(days=6, seed=4)).to_json()


def test_a_result_cannot_be_changed(record):
    with pytest.raises(dataclasses.FrozenInstanceError):
        summarise(record).fees = 0.0


def test_what_a_short_run_cannot_carry_is_null_with_its_reason():
    built = RecordBuilder()
    built.fill(Side.SELL, "0.5", "100")
    for price in (100.0, 99.0, 98.0):
        built.bar(price)
    body = json.loads(summarise(built.record).to_json())
    assert body["hedge_effectiveness"]["1d"] is None
    assert "one day" in body["unavailable"]["hedge_effectiveness.1d"]
    assert body["funding_annualised"] is None
    assert body["unavailable"]["funding_annualised"] == "the run is shorter than a day"


def test_a_run_without_inventory_has_no_ratio_and_no_ceiling():
    built = RecordBuilder(inventory="0", settings={})
    built.fill(Side.BUY, "0.5", "100")
    built.bar(100.0, target=math.nan)
    built.bar(101.0, target=math.nan, floor=math.nan)
    result = summarise(built.record)
    body = json.loads(result.to_json())
    assert body["hedge_ratio"] is None
    assert body["target_ratio"] is None
    assert body["target_position"] is None
    assert body["floor"] is None
    assert body["hedge_effectiveness"]["ceiling"] is None
    assert body["seed"] is None
    assert body["equity"]["hedged"]["pnl"] == pytest.approx(0.5 - 0.01)


def test_recorded_data_has_no_seed_even_if_the_settings_hold_one():
    built = RecordBuilder(simulated=False)
    built.bar(100.0)
    assert summarise(built.record).seed is None


def test_the_assumptions_come_from_the_settings():
    built = RecordBuilder(settings={"paper": {"fill_rule": "queue", "queue_share": 0.1, "maker_fee": "-0.0001", "taker_fee": "0.0004"}})
    built.bar(100.0)
    words = summarise(built.record).assumptions
    assert "at most 0.1 of the bar's volume" in words["fill rule"]
    assert words["fees"] == "maker -0.01 %, taker 0.04 % of notional"
    plain = RecordBuilder(settings={"paper": None})
    plain.bar(100.0)
    assert summarise(plain.record).assumptions["fees"] == "maker 0.02 %, taker 0.05 % of notional"


def recorded(*, funded=False, last=100.0):
    built = RecordBuilder(simulated=False)
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    if funded:
        built.fund("0.0001", 100.0)
    built.bar(100.0, last=last)
    return summarise(built.record).assumptions


def test_the_assumptions_say_what_the_data_did_not_bring():
    bare = recorded()
    assert bare["funding"] == "none was paid or received: the data hold no rate that settled on the position"
    assert "the perpetual's own price stands in" in bare["mark"]
    whole = recorded(funded=True, last=100.1)
    assert whole["funding"].startswith("settles on the position")
    assert "mark" not in whole


def test_notes_and_settings_of_any_json_shape_are_kept():
    built = RecordBuilder(settings={"a": [1, 2.5, None, {"b": float("nan")}], "c": True})
    built.bar(100.0)
    built.record.notes.append((1_748_736_000_123, "anchor moved"))
    body = json.loads(summarise(built.record).to_json())
    assert body["settings"] == {"a": [1, 2.5, None, {"b": None}], "c": True}
    assert body["notes"] == [{"time": "2025-06-01T00:00:00.123Z", "text": "anchor moved"}]


@pytest.mark.parametrize(("ts", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_001, "2023-11-14T22:13:20.001Z")])
def test_times_are_written_in_utc_to_the_millisecond(ts, text):
    assert iso_utc(ts) == text
