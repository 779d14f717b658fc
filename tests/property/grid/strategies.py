"""What hypothesis draws for the grid: instruments, curves, positions."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import strategies as st

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.hedging.common.types import CurveParameters


def instruments() -> st.SearchStrategy[Instrument]:
    """Real-looking trading rules, from SOL-like to BTC-like."""
    return st.builds(
        lambda tick, lot, notional: Instrument(
            symbol="BTC/USDT:USDT",
            base="BTC",
            quote="USDT",
            tick_size=tick,
            lot_size=lot,
            min_quantity=lot,
            min_notional=notional,
        ),
        st.sampled_from([Decimal("0.1"), Decimal("0.01"), Decimal("0.5")]),
        st.sampled_from([Decimal("0.001"), Decimal("0.01"), Decimal("0.0001")]),
        st.sampled_from([Decimal(5), Decimal(100)]),
    )


@st.composite
def curves(draw: st.DrawFn, *, neutral: bool | None = None) -> CurveParameters:
    """Any curve that the settings and the risk manager can make."""
    inventory = 0.0 if neutral else draw(st.sampled_from([1.0, -1.0, 0.37, -2.5, 12.0]))
    low, ratio, high = sorted(draw(st.lists(st.floats(0, 1), min_size=3, max_size=3)))
    levels = draw(st.integers(1, 20))
    size = abs(inventory) or 2.0
    return CurveParameters(
        anchor=draw(st.floats(50, 100_000)),
        spacing=draw(st.floats(0.001, 0.9 / levels if levels > 2 else 0.3)),
        levels=levels,
        geometric=draw(st.booleans()),
        ratio=ratio,
        floor=draw(st.one_of(st.just(0.0), st.floats(0, 1))),
        min_ratio=low,
        max_ratio=high,
        amplitude=draw(st.floats(0, 1)),
        amplitude_adverse=draw(st.floats(0, 1)),
        inventory=inventory,
        max_abs_position=draw(st.one_of(st.just(math.inf), st.floats(0.1, 2.0).map(lambda share: share * size))),
        neutral_size=size if inventory == 0.0 else 0.0,
    )
