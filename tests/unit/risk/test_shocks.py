"""The arithmetic and the words of the shock table."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest

from alpha_pulse.domain.instrument import MarginTier
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.shocks import (
    SHOCKS,
    Holdings,
    ShockRow,
    ShockState,
    ShockTable,
    as_json,
    change,
    measure,
    percent,
    price_text,
    reading,
)
from alpha_pulse.testing.snapshots import make_instrument

FLAT_TIER = make_instrument(margin_tiers=(MarginTier(Decimal("1e12"), Decimal("0.01")),))


def state(position: float = -0.5, nav_change: float | None = 0.0, **changes: object) -> ShockState:
    known = {"hedge_ratio": 0.5, "nav": 100.0, "distance": 1.0, "leverage": 0.5, "top_up": 0.0}
    return ShockState(position=position, nav_change=nav_change, **(known | changes))


def table(*rows: ShockRow, up: float | None = 187_000.0, down: float | None = None, inventory: float = 1.0) -> ShockTable:
    return ShockTable("BTC", "USDT", 100_000.0, inventory, 200_000.0, 0.03, 0.35, up, down, rows)


def test_the_moves_are_those_that_the_table_promises():
    assert [round(100 * move) for move in SHOCKS] == [-50, -40, -30, -20, -10, -5, 0, 5, 10, 20, 40, 80, 100]


def test_a_short_after_a_rally_is_measured_as_on_paper():
    # W 100,000, short 0.5 from 100,000, price 150,000: PnL −25,000, equity 75,000, coins 150,000, NAV 225,000 (+12.5 % on 200,000).
    # P_liq = (100,000 + 50,000)/(0.5·1.01) = 297,029.70; distance 0.980198; leverage 75,000/75,000 = 1.
    found = measure(Holdings(1.0, 100_000.0, -0.5, 100_000.0, 150_000.0), 200_000.0, FLAT_TIER, 0.35)
    assert found.nav == 225_000.0
    assert found.nav_change == pytest.approx(0.125)
    assert found.hedge_ratio == 0.5
    assert found.leverage == pytest.approx(1.0)
    assert found.distance == pytest.approx(0.980198, abs=1e-6)
    assert found.top_up == 0.0


def test_the_top_up_restores_the_alert_distance():
    # W 10,000, short 1 from 100,000, price 105,000: equity 5,000. Wanted at 35 %: 105,000·(1.35·1.01 − 1) = 38,167.5; missing 33,167.5.
    found = measure(Holdings(1.0, 10_000.0, -1.0, 100_000.0, 105_000.0), 110_000.0, FLAT_TIER, 0.35)
    assert found.top_up == pytest.approx(33_167.5)
    after = measure(Holdings(1.0, 10_000.0 + found.top_up, -1.0, 100_000.0, 105_000.0), 110_000.0, FLAT_TIER, 0.35)
    assert after.distance == pytest.approx(0.35)


def test_a_long_against_coins_owed_counts_the_debt_by_its_change():
    # One coin owed, taken on at 100,000; long 0.5 from there; price 80,000: the debt fell by 20,000, the long lost 10,000.
    found = measure(Holdings(-1.0, 100_000.0, 0.5, 100_000.0, 80_000.0, debt=-100_000.0), 100_000.0, FLAT_TIER, 0.35)
    assert found.nav == 110_000.0
    assert found.hedge_ratio == 0.5
    assert math.isinf(found.distance)  # the wallet covers a fall to nothing


def test_a_position_without_equity_has_no_leverage_that_a_number_could_say():
    found = measure(Holdings(1.0, 1_000.0, -1.0, 100_000.0, 105_000.0), 101_000.0, FLAT_TIER, 0.35)
    assert math.isinf(found.leverage)
    assert found.distance == 0.0


def test_nothing_held_needs_nothing():
    found = measure(Holdings(0.0, 1_000.0, 0.0, 0.0, 105_000.0), 1_000.0, FLAT_TIER, 0.35)
    assert (found.hedge_ratio, found.leverage, found.top_up, found.nav_change) == (None, 0.0, 0.0, 0.0)
    assert math.isinf(found.distance)


@pytest.mark.parametrize(
    ("field", "value"), [("price", 0.0), ("price", -1.0), ("price", math.nan), ("wallet", math.inf), ("position", math.nan)]
)
def test_numbers_that_are_none_are_refused_by_name(field, value):
    numbers = {"inventory": 1.0, "wallet": 1.0, "position": -1.0, "entry": 1.0, "price": 1.0} | {field: value}
    with pytest.raises(ConfigError) as caught:
        measure(Holdings(**numbers), 1.0, FLAT_TIER, 0.35)
    assert caught.value.field == field
    assert caught.value.fix


def test_a_change_of_nothing_or_of_a_debt_says_nothing():
    assert change(50.0, 100.0) == -0.5
    assert change(50.0, 0.0) is None
    assert change(50.0, -1.0) is None


def test_the_reading_says_what_is_survived_and_what_the_bot_makes_of_the_worst_row():
    rows = (
        ShockRow(-0.2, 80_000.0, 180_000.0, -0.1, state(nav_change=-0.08), state(nav_change=-0.04)),
        ShockRow(1.0, 200_000.0, 300_000.0, 0.5, state(nav_change=0.2, liquidated_at=187_000.0), state(nav_change=0.3)),
    )
    assert reading(table(*rows)) == (
        "With the bot dead the short survives +87 % and is liquidated at 187,000 USDT. With the bot alive nothing is liquidated from "
        "−20 % to +100 %; the worst row is −20 %, where NAV changes by −4 % (−10 % unhedged)."
    )


def test_the_reading_tells_a_liquidation_that_the_bot_did_not_avoid():
    row = ShockRow(1.0, 200_000.0, 300_000.0, 0.5, state(liquidated_at=150_000.0), state(liquidated_at=160_000.0))
    assert "With the bot alive it is liquidated at 160,000 USDT" in reading(table(row, up=150_000.0))


def test_the_reading_tells_a_stop_that_the_wallet_did_not_carry():
    rows = [ShockRow(m, 1.0, 1.0, 0.0, state(stop_expired=m > 0.1), state()) for m in (0.1, 0.2, 0.4)]
    assert "by +20 % the stop has fired and expired" in reading(table(*rows, inventory=-1.0, up=None, down=60_000.0))
    assert "the long survives −40 % and is liquidated at 60,000 USDT" in reading(table(*rows, up=None, down=60_000.0))


def test_a_table_without_losses_or_liquidations_says_only_that():
    row = ShockRow(0.1, 110_000.0, 210_000.0, 0.05, state(nav_change=0.02), state(nav_change=None))
    expected = "With the bot dead no move liquidates the position. With the bot alive nothing is liquidated from +10 % to +10 %."
    assert reading(table(row, up=None)) == expected


def test_json_holds_no_infinity_and_carries_the_reading():
    row = ShockRow(0.1, 110_000.0, 210_000.0, 0.05, state(distance=math.inf, leverage=math.inf), state())
    shown = json.loads(json.dumps(as_json(table(row)), allow_nan=False))
    assert shown["rows"][0]["dead"]["distance"] is None
    assert shown["rows"][0]["alive"]["distance"] == 1.0
    assert shown["reading"] == reading(table(row))
    assert "Fees are counted" in shown["notes"]


@pytest.mark.parametrize(("price", "text"), [(95_000.0, "95,000"), (137_644.4, "137,644"), (3400.5, "3,400.5"), (0.0470483, "0.047048")])
def test_prices_are_shown_to_five_digits(price, text):
    assert price_text(price) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.0, "0 %"), (-0.05, "−5 %"), (1.0, "+100 %"), (0.4489, "+44.9 %"), (-0.0004, "0 %")])
def test_moves_are_signed_per_cents(fraction, text):
    assert percent(fraction) == text
