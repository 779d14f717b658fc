from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.market.ticks import TickGrid

TICKS = ["0.1", "0.01", "0.0000001", "0.05", "0.25", "0.0005", "1", "5", "10"]


@pytest.mark.parametrize("tick", TICKS)
@given(number=st.integers(1, 10_000_000))
def test_a_tick_is_written_exactly(tick, number):
    exact = Decimal(tick) * number
    prices = np.array([float(exact)])
    grid = TickGrid(Decimal(tick))
    for rounded in (grid.nearest(prices), grid.down(prices), grid.up(prices)):
        assert Decimal(repr(float(rounded[0]))) == exact
    assert Decimal(repr(float(grid.above(prices)[0]))) == exact + Decimal(tick)


def test_prices_between_ticks_go_the_way_that_was_asked():
    grid = TickGrid(Decimal("0.5"))
    prices = np.array([100.2, 100.3, 100.74])
    assert grid.nearest(prices).tolist() == [100.0, 100.5, 100.5]
    assert grid.down(prices).tolist() == [100.0, 100.0, 100.5]
    assert grid.up(prices).tolist() == [100.5, 100.5, 101.0]
    assert grid.smallest == 0.5


def test_a_rounded_price_is_never_zero():
    assert TickGrid(Decimal("0.1")).nearest(np.array([0.001])).tolist() == [0.1]
