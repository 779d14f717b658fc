"""Client order ids: short, alphanumeric, and readable back by their own bot alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.hedging.common.order_ids import MOST_NODES, OrderName, bot_tag, order_id, read_order_id

TAG = bot_tag("paper", "BTC/USDT:USDT")


@given(
    st.sampled_from([purpose for purpose in Purpose if purpose is not Purpose.EXTERNAL]),
    st.sampled_from(Side),
    st.integers(-MOST_NODES, MOST_NODES),
    st.integers(0, 36**7 - 1),
)
def test_an_id_says_everything_and_fits_every_venue(purpose, side, node, generation):
    name = OrderName(purpose, side, node, generation)
    text = order_id(TAG, name)
    assert read_order_id(TAG, text) == name
    assert text.isalnum()
    assert text.isascii()
    assert len(text) == 18


def test_nobody_elses_id_is_ours():
    text = order_id(TAG, OrderName(Purpose.GRID, Side.BUY, 3, 7))
    assert read_order_id(bot_tag("paper", "ETH/USDT:USDT"), text) is None
    assert read_order_id(bot_tag("live", "BTC/USDT:USDT"), text) is None
    for foreign in ("", "x" * 18, text + "0", TAG + "zz" + "0" * 9, TAG + "gb" + "!" * 9):
        assert read_order_id(TAG, foreign) is None


@pytest.mark.parametrize(("node", "generation"), [(MOST_NODES + 5, 1), (0, 36**7), (0, -1)])
def test_what_does_not_fit_is_refused(node, generation):
    with pytest.raises(ValueError, match="does not fit"):
        order_id(TAG, OrderName(Purpose.GRID, Side.BUY, node, generation))
