"""What holds for the shock table of any account and any settings."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.backtest.shock_starts import start_of_settings
from alpha_pulse.backtest.shocks import shock_table
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.hedging.risk.shocks import Holdings, as_json, measure, reading
from alpha_pulse.settings import Settings

INSTRUMENT = builtin_instrument(hedge_pair("BTCUSDT"))
sizes = st.floats(-100.0, 100.0)
prices = st.floats(100.0, 1e6)


@given(sizes, st.floats(0.0, 1e8), st.floats(-100.0, 0.0), prices, prices, st.floats(0.05, 0.9))
def test_a_top_up_brings_a_short_to_the_alert_distance_or_further(inventory, wallet, position, entry, price, alert):
    before = measure(Holdings(inventory, wallet, position, entry, price), 1.0, INSTRUMENT, alert)
    after = measure(Holdings(inventory, wallet + before.top_up, position, entry, price), 1.0, INSTRUMENT, alert)
    assert before.top_up >= 0.0
    assert after.distance >= alert - 1e-6
    assert math.isclose(after.nav, before.nav + before.top_up, rel_tol=1e-9, abs_tol=1e-3)


@given(sizes, st.floats(0.0, 1e8), sizes, prices, prices, st.floats(-1e6, 0.0))
def test_nav_is_cash_coins_and_pnl_less_the_debt(inventory, wallet, position, entry, price, debt):
    found = measure(Holdings(inventory, wallet, position, entry, price, debt), 1.0, INSTRUMENT, 0.35)
    exact = sum(Decimal(x) for x in (wallet, -debt))
    exact += Decimal(inventory) * Decimal(price) + Decimal(position) * (Decimal(price) - Decimal(entry))
    assert math.isclose(found.nav, float(exact), rel_tol=1e-9, abs_tol=1e-4)
    assert found.distance >= 0.0
    assert found.leverage >= 0.0


configurations = st.fixed_dictionaries(
    {
        "inventory": st.fixed_dictionaries({"quantity": st.sampled_from(["1", "-1", "25"])}),
        "hedge": st.fixed_dictionaries({"ratio": st.sampled_from([0.3, 0.5, 0.8]), "amplitude": st.sampled_from([0.0, 0.25, 0.6])}),
        "grid": st.fixed_dictionaries({"num_levels": st.sampled_from([3, 10]), "spacing": st.sampled_from(["geometric", "arithmetic"])}),
        "risk": st.fixed_dictionaries(
            {
                "max_effective_leverage": st.sampled_from([1, 3]),
                "stop_loss_pct": st.sampled_from([None, "0.15", "0.3"]),
                "max_drawdown": st.sampled_from([None, "0.2"]),
            }
        ),
    }
)


@settings(max_examples=25, deadline=None)
@given(configurations, st.sampled_from([0.3, 0.6, 1.0, 3.0]), st.sampled_from([0.01, 0.03, 0.08]))
def test_a_table_keeps_its_promises(mapping, funded, volatility):
    quantity = abs(Decimal(mapping["inventory"]["quantity"]))
    wallet = quantity * 95_000 * Decimal(str(funded))
    config = Settings.read({**mapping, "paper": {"quote_balance": str(wallet)}})
    table = shock_table(start_of_settings(config, INSTRUMENT, 95_000.0, volatility, 1_735_689_600_000))
    rows = {row.move: row for row in table.rows}
    assert list(rows) == sorted(rows)
    assert rows[0.0].dead == rows[0.0].alive
    lot = INSTRUMENT.lot
    for row in table.rows:
        for state in (row.dead, row.alive):
            assert abs(state.position) <= abs(table.inventory) + lot / 2  # never more than the coins
            assert state.position * table.inventory <= 0.0  # never on their side
            assert (state.liquidated_at is None) or state.position == 0.0
        assert math.isclose(row.unhedged_nav - table.nav, table.inventory * (row.price - table.price), rel_tol=1e-9, abs_tol=1e-3)
    # Without adverse nodes nobody takes the dead hedge off but a liquidation: away from now it only grows.
    for side in ([m for m in rows if m >= 0.0], sorted((m for m in rows if m <= 0.0), reverse=True)):
        held = [abs(rows[m].dead.position) for m in side if rows[m].dead.liquidated_at is None]
        assert held == sorted(held)
    assert all(row.alive.liquidated_at is None for row in table.rows)
    assert reading(table)
    assert len(as_json(table)["rows"]) == 13
