"""Shock tables of whole configurations, against calculations on paper."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

import pytest

from alpha_pulse.backtest.replay import replay
from alpha_pulse.backtest.shock_starts import start_of_record, start_of_settings
from alpha_pulse.backtest.shocks import shock_table
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import BotState, RiskMemory
from alpha_pulse.hedging.risk.shocks import ShockTable
from alpha_pulse.settings import Settings
from alpha_pulse.testing.records import RecordBuilder, wandering_record

NOW = 1_735_689_600_000
P = 95_000.0
OPENED = 94_990.4  # the opening taker sells at 95,000 less half the spread (0.1) and 1 bp (9.5)
OPENING_FEE = 0.5 * OPENED * 0.0005


def shocked(config=None, *, price=P, volatility=0.01, moves=None) -> ShockTable:
    """With σ = 1 % a day nodes are 1 % apart: 0.6·σ is less than the least distance."""
    settings = Settings.read(config or {})
    start = start_of_settings(settings, builtin_instrument(hedge_pair(settings.symbol)), price, volatility, NOW)
    return shock_table(start) if moves is None else shock_table(start, moves)


def row(table, move):
    return next(r for r in table.rows if r.move == move)


@pytest.fixture(scope="module")
def default():
    return shocked()


def nodes_above(count=10):
    """Sell nodes 95,000·1.01^k, rounded up to the tick of 0.1."""
    return [float((Decimal(95_000) * Decimal("1.01") ** k).quantize(Decimal("0.1"), ROUND_CEILING)) for k in range(1, count + 1)]


def test_a_doubling_with_the_bot_dead_fills_ten_sells_and_no_more(default):
    # Ten nodes of 0.025 between 50 % and 75 %; cash = wallet + everything sold − fees; coins left open: 1 − 0.75.
    sold = 0.5 * OPENED + 0.025 * sum(nodes_above())
    fees = OPENING_FEE + 0.025 * sum(nodes_above()) * 0.0002
    worth = 95_000 - fees + sold + (1 - 0.75) * 190_000
    found = row(default, 1.0).dead
    assert found.position == pytest.approx(-0.75)
    assert found.hedge_ratio == pytest.approx(0.75)
    assert found.nav == pytest.approx(worth, abs=0.05)
    # 142,500 of notional is in the bracket of 0.5 % with a deduction of 50,000·(0.005 − 0.004) = 50.
    liquidation = (95_000 - fees + sold + 50) / (0.75 * 1.005)
    assert found.distance == pytest.approx(liquidation / 190_000 - 1, abs=1e-6)
    equity = worth - 190_000
    assert found.leverage == pytest.approx(142_500 / equity, rel=1e-5)
    assert found.top_up == pytest.approx(142_500 * (1.35 * 1.005 - 1) - equity, abs=0.05)
    assert default.dead_liquidation_up == pytest.approx(liquidation, abs=0.11)


def test_on_the_way_up_the_nodes_that_were_passed_have_filled(default):
    # 1.05 lies between 1.01^4 and 1.01^5, 1.10 between 1.01^9 and 1.01^10; the bot itself does the same inside its grid.
    for move, filled in ((0.05, 4), (0.1, 9)):
        assert row(default, move).dead.position == pytest.approx(-(0.5 + 0.025 * filled))
        assert row(default, move).alive.position == pytest.approx(-(0.5 + 0.025 * filled))


def test_the_stop_completes_the_hedge_at_its_trigger_with_the_bot_dead_or_alive(default):
    # Trigger 95,000·0.85 = 80,750; sold at 80,750 − 0.1 − 8.075, down to the tick: 80,741.8. Hedged whole, deeper falls cost nothing.
    worth = 95_000 - OPENING_FEE + 0.5 * OPENED + 0.5 * 80_741.8 - 0.5 * 80_741.8 * 0.0005
    for move in (-0.2, -0.3, -0.4, -0.5):
        assert row(default, move).dead.position == -1.0
        assert row(default, move).dead.nav == pytest.approx(worth, abs=0.05)
        assert row(default, move).alive.nav == pytest.approx(worth, abs=0.05)


def test_half_hedged_loses_half_before_the_stop(default):
    found = row(default, -0.1)
    assert found.dead.nav - default.nav == pytest.approx(-0.5 * 9_500)
    assert found.unhedged_nav - default.nav == pytest.approx(-9_500)
    assert found.unhedged_change == pytest.approx(-9_500 / default.nav)


def test_both_cases_start_from_the_same_settled_hedge(default):
    found = row(default, 0.0)
    assert found.dead == found.alive
    assert found.dead.position == -0.5
    assert found.dead.nav_change == 0.0
    assert default.nav == pytest.approx(190_000 - OPENING_FEE - 0.5 * (P - OPENED))


def test_alive_the_bot_re_centres_and_holds_what_its_curve_asks_there(default):
    # Past node 11 the anchor moves and the curve starts again at 50 %: at no price is it hedged more than at the curve's end.
    for found in default.rows:
        if found.move > 0:
            assert -0.775 <= found.alive.position <= -0.5
    assert row(default, 1.0).alive.position > row(default, 1.0).dead.position
    assert row(default, 1.0).alive.distance > row(default, 1.0).dead.distance


def test_without_a_stop_nothing_completes_the_hedge():
    table = shocked({"risk": {"stop_loss_pct": None, "max_drawdown": None}})
    found = row(table, -0.5)
    assert found.dead.position == found.alive.position == -0.5
    assert found.dead.nav - table.nav == pytest.approx(-0.5 * 47_500)


def test_a_small_wallet_is_liquidated_with_the_bot_dead_and_cut_in_time_with_it_alive():
    table = shocked({"risk": {"max_effective_leverage": 3}, "paper": {"quote_balance": 30_000}})
    sold = 0.5 * OPENED + 0.025 * sum(nodes_above())
    fees = OPENING_FEE + 0.025 * sum(nodes_above()) * 0.0002
    liquidation = (30_000 - fees + sold + 50) / (0.75 * 1.005)  # about 134,000: between +40 % and +80 %
    assert row(table, 0.4).dead.liquidated_at is None
    for move in (0.8, 1.0):
        found = row(table, move)
        assert found.dead.liquidated_at == pytest.approx(liquidation, abs=0.11)
        assert found.dead.position == 0.0
        assert found.alive.liquidated_at is None
    assert all(r.alive.distance > 0.15 for r in table.rows)
    assert table.dead_liquidation_up == row(table, 1.0).dead.liquidated_at


def test_a_symmetric_grid_unwinds_on_the_way_down_and_the_dead_stop_covers_that_too():
    hedge = {"ratio": 0.5, "min_ratio": 0.2, "amplitude_adverse": 0.3}
    table = shocked({"hedge": hedge})
    # −5 %: node −5 is at 95,000/1.01^5 = 0.9515·P and has filled: five buys of 0.03.
    assert row(table, -0.05).dead.position == pytest.approx(-0.35)
    assert row(table, -0.1).dead.position == pytest.approx(-0.2)  # node −10 at 0.9053·P
    assert row(table, -0.2).dead.position == pytest.approx(-1.0)
    assert row(table, -0.2).dead.nav < row(shocked(), -0.2).dead.nav


def test_coins_owed_are_hedged_by_a_long_and_the_table_is_turned_round():
    table = shocked({"inventory": {"quantity": -1}})
    assert row(table, -0.5).dead.position == pytest.approx(0.75)
    assert row(table, 0.0).dead.position == pytest.approx(0.5)
    assert row(table, 0.1).dead.nav - table.nav == pytest.approx(-0.5 * 9_500)
    assert row(table, 0.1).unhedged_nav - table.nav == pytest.approx(-9_500)
    assert row(table, 0.2).dead.position > 0.9  # the stop, as far as 1 × equity carries it
    assert table.dead_liquidation_up is None
    assert table.nav == pytest.approx(95_000, rel=0.001)  # what is owed counts by its change


def test_a_neutral_grid_has_no_hedge_ratio_and_its_bot_closes_what_ran_away():
    table = shocked({"inventory": {"quantity": 0}, "risk": {"max_position_size": 1}, "paper": {"quote_balance": 100_000}})
    assert row(table, 0.0).dead.position == 0.0
    assert row(table, 1.0).dead.position < 0 < row(table, -0.5).dead.position
    assert row(table, 1.0).alive.position == row(table, -0.5).alive.position == 0.0
    assert {r.dead.hedge_ratio for r in table.rows} == {None}
    assert {r.unhedged_change for r in table.rows} == {0.0}
    assert row(table, 1.0).alive.nav > row(table, 1.0).dead.nav


def test_a_stop_beside_a_grid_is_never_larger_than_the_wallet_carries():
    """Near the venue's leverage: the margin of the orders that rest beside it is counted, so it does not expire when it fires."""
    table = shocked({"inventory": {"quantity": -1}, "risk": {"max_effective_leverage": 3}, "paper": {"quote_balance": 30_000}})
    assert not any(r.dead.stop_expired or r.alive.stop_expired for r in table.rows)
    assert row(table, 0.2).dead.position > row(table, 0.1).dead.position


def test_an_empty_wallet_hedges_nothing_and_still_has_a_table():
    table = shocked({"paper": {"quote_balance": 0}})
    assert {r.dead.position for r in table.rows} == {0.0}
    assert row(table, -0.5).alive.nav_change == -0.5


def test_fees_are_those_of_the_settings():
    free = shocked({"paper": {"maker_fee": "0", "taker_fee": "0"}})
    assert free.nav == pytest.approx(190_000 - 0.5 * (P - OPENED))
    sold = 0.5 * OPENED + 0.025 * sum(nodes_above())
    assert row(free, 1.0).dead.nav == pytest.approx(95_000 + sold + 0.25 * 190_000, abs=0.01)


def test_cheap_coins_in_thousands_are_counted_in_contracts():
    table = shocked({"symbol": "PEPEUSDT", "inventory": {"quantity": 100_000_000}}, price=0.02)
    assert table.inventory == 100_000.0
    assert row(table, 0.0).dead.position == -50_000.0


def test_the_same_start_gives_the_same_table(default):
    assert shocked() == default


def test_a_row_does_not_depend_on_the_rows_beyond_it(default):
    few = shocked(moves=(-0.1, 0.0, 0.1))
    assert [r.dead for r in few.rows] == [row(default, m).dead for m in (-0.1, 0.0, 0.1)]


@pytest.mark.parametrize("moves", [(), (-1.0, 0.0), (0.1, 0.0), (0.0, 0.0), (math.nan,), (math.inf,)])
def test_moves_that_are_no_table_are_refused(moves):
    with pytest.raises(ConfigError) as caught:
        shocked(moves=moves)
    assert caught.value.field == "moves"


@pytest.mark.parametrize("field", ["price", "volatility_day"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_start_that_is_none_is_refused(field, value):
    start = start_of_settings(Settings(), builtin_instrument(hedge_pair("BTCUSDT")), P, 0.01, NOW)
    with pytest.raises(ConfigError) as caught:
        shock_table(replace(start, **{field: value}))
    assert caught.value.field == field.removesuffix("_day")


def test_a_bot_that_would_not_start_has_no_table():
    with pytest.raises(ConfigError, match="least order"):
        shocked({"inventory": {"quantity": "0.001"}})


# --- where a run ended --------------------------------------------------------------------------------------------
def half_hedged(days=2, price=100_000.0, **options):
    built = RecordBuilder(bar_ms=3_600_000, **options)
    built.fill(Side.SELL, "0.5", "100000")
    for _ in range(24 * days):
        built.bar(price, anchor=100_000.0)
    return built.record


def test_a_table_of_a_run_starts_with_what_it_ended_with():
    start = start_of_record(half_hedged())
    assert (start.price, start.position, start.entry, start.wallet) == (100_000.0, Decimal("-0.5"), Decimal(100_000), Decimal(99_990))
    table = shock_table(start)
    assert table.nav == pytest.approx(199_990)  # nothing had to be traded to settle
    assert row(table, -0.1).dead.nav == pytest.approx(199_990 - 5_000)


def test_the_memory_of_the_run_is_kept():
    # The stop counts from 100,000 and price is at 95,000: it lies at 85,000, so −10 % (85,500) is before it and −20 % behind.
    record = half_hedged(price=95_000.0)
    memory = RiskMemory(high_water_mark=197_490.0, inventory=Decimal(1), deposits=Decimal(99_990), stop_reference=100_000.0)
    record.state = BotState(risk=memory)
    table = shock_table(start_of_record(record))
    assert row(table, -0.1).dead.position == -0.5
    assert row(table, -0.2).dead.position == -1.0
    # Fired at 85,000 less a tick and a basis point: 84,991.4, and 0.5 % · 0.1 of it in fees.
    assert row(table, -0.2).dead.nav == pytest.approx(99_990 + 50_000 + 0.5 * 84_991.4 * (1 - 0.0005), abs=0.1)


async def test_a_replay_hands_over_what_the_bot_remembers():
    record = await replay(Settings.read({"feed": {"days": 1}}))
    start = start_of_record(record)
    assert start.state is record.state
    assert start.state.curve.anchor == record.anchor[-1]
    assert start.state.target.ratio == record.ratio[-1]


def test_the_volatility_of_a_run_is_that_of_its_last_week():
    built = RecordBuilder(bar_ms=3_600_000)
    for hour in range(24 * 20):
        built.bar(100_000.0 * (1.01 if hour % 2 and hour > 24 * 10 else 1.0))
    # Hourly moves of ±ln 1.01, 24 a day: σ = 0.00995·√24 = 4.87 % a day.
    assert start_of_record(built.record).volatility_day == pytest.approx(math.log(1.01) * math.sqrt(24), rel=0.01)


def test_a_run_too_short_for_a_volatility_takes_a_typical_one():
    built = RecordBuilder()
    built.bar(100_000.0)
    assert start_of_record(built.record).volatility_day == 0.03


def test_coins_owed_keep_the_debt_of_the_runs_start():
    record = half_hedged(inventory="-1")
    table = shock_table(start_of_record(record))
    assert table.nav == pytest.approx(99_990 - 100_000 + 100_000, rel=0.01)


def test_a_run_without_targets_or_a_grid_still_has_a_start():
    built = RecordBuilder(settings={})
    built.bar(95_000.0, target=math.nan, ratio=math.nan, floor=math.nan, anchor=0.0, spacing=0.0)
    assert start_of_record(built.record).state is None


def test_a_wandering_run_has_a_table():
    table = shock_table(start_of_record(wandering_record(days=2, seed=3)))
    assert len(table.rows) == 13
    assert row(table, -0.5).alive.nav_change > row(table, -0.5).unhedged_change
