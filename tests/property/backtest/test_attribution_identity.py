"""Whatever the path and the fills, the terms add up to what the account made."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.backtest.attribution import SIGNS, Attribution, attribute
from alpha_pulse.backtest.charts import thin
from alpha_pulse.backtest.metrics import drawdown, drawdown_fraction, equity
from alpha_pulse.backtest.result import summarise
from alpha_pulse.domain.orders import Side
from alpha_pulse.testing.records import RecordBuilder

prices = st.decimals(min_value="50", max_value="200", places=1)
fill = st.tuples(
    st.sampled_from(list(Side)),
    st.decimals(min_value="0.001", max_value="3", places=3),
    prices,
    st.decimals(min_value="0", max_value="2", places=1),
    st.booleans(),
)
step = st.tuples(prices, prices, prices, st.lists(fill, max_size=3), st.none() | st.decimals(min_value="-0.01", max_value="0.01", places=6))


def record_of(steps, inventory="1"):
    built = RecordBuilder(inventory=inventory, wallet="1000")
    for spot, mark, last, fills, rate in steps:
        if rate is not None:
            built.fund(str(rate), float(mark))
        for side, quantity, price, slip, taker in fills:
            reference = price - side.sign * slip if taker else price
            built.fill(side, quantity, price, reference=reference, taker=taker)
        built.bar(float(spot), mark=float(mark), last=float(last))
    return built.record


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, min_size=1, max_size=12))
def test_the_terms_add_up_to_the_accounts_profit_or_loss(steps):
    record = record_of(steps)
    result = attribute(record)  # raises if they do not
    explained = sum(sign * getattr(result, name) for name, sign in SIGNS.items())
    assert explained == pytest.approx(record.wallet[-1] + record.unrealized[-1] - 1000, abs=1e-6)
    assert result.slippage >= 0


@settings(max_examples=100, deadline=None)
@given(terms=st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=6))
def test_shown_cents_always_add_up_and_are_never_more_than_a_cent_off(terms):
    exact = dict(zip(SIGNS, terms, strict=True))
    pnl = float(sum(sign * Decimal(exact[name]) for name, sign in SIGNS.items()))
    shown = Attribution(**exact, hedge_pnl=pnl).cents()
    assert sum(sign * shown[name] for name, sign in SIGNS.items()) == shown["hedge_pnl"]
    for name, value in {**exact, "hedge_pnl": pnl}.items():
        assert abs(float(shown[name]) - value) <= 0.0151


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(step, min_size=1, max_size=10), inventory=st.sampled_from(["1", "-2", "0", "0.003"]))
def test_every_run_can_be_summarised_and_the_hedge_is_the_difference_of_net_worth(steps, inventory):
    result = summarise(record_of(steps, inventory))
    assert "NaN" not in result.to_json()
    # All three paths start together, so the hedge's PnL is the whole difference between the first two.
    assert result.hedged.pnl - result.unhedged.pnl == pytest.approx(result.attribution.hedge_pnl, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(path=st.lists(st.floats(1, 1e6), min_size=1, max_size=40), start=st.floats(1, 1e6))
def test_a_drawdown_is_never_negative_and_never_more_than_the_peak(path, start):
    values = np.array(path)
    assert (drawdown(values, start) >= 0).all()
    fraction = drawdown_fraction(values, start)
    assert ((fraction >= 0) & (fraction < 1)).all()
    naive, peak = 0.0, start
    for value in path:
        peak = max(peak, value)
        naive = max(naive, peak - value)
    assert equity(values, start).max_drawdown_quote == naive


@settings(max_examples=60, deadline=None)
@given(
    columns=st.integers(1, 400).flatmap(
        lambda n: st.lists(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=n, max_size=n), min_size=1, max_size=3)
    ),
    most=st.integers(8, 60),
)
def test_thinning_keeps_the_ends_and_every_extreme_within_its_bound(columns, most):
    arrays = [np.array(c, dtype=float) for c in columns]
    rows = thin(arrays, most)
    n = len(arrays[0])
    assert rows[0] == 0
    assert rows[-1] == n - 1
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= most + 2
    for column in arrays:
        finite = column[np.isfinite(column)]
        if len(finite):
            kept = column[rows]
            assert np.nanmax(kept) == finite.max()
            assert np.nanmin(kept) == finite.min()
