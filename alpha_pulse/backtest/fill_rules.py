"""The same run under each fill rule, side by side: a strategy that lives on touch fills is seen at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alpha_pulse.backtest.metrics import Figure

if TYPE_CHECKING:
    from alpha_pulse.backtest.result import RunResult

FILL_RULES: Final = ("touch", "through", "queue")
"""Every rule, the most optimistic first."""
_CENT: Final = 0.005


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """What a run came to under one rule. Money in quote units, the rest as fractions."""

    fills: int
    maker_share: Figure
    average_ratio: Figure
    hedge_pnl: float
    timing: float
    funding: float
    fees_and_slippage: float  # paid > 0
    cost_per_coin_month: Figure
    effectiveness_day: Figure
    max_drawdown: Figure
    maker_markout_bps: Figure  # at the middle horizon


def rule_figures(result: RunResult) -> RuleFigures:
    """The figures of one run that stand beside those of the other rules."""
    shown = result.attribution
    return RuleFigures(
        fills=result.trading.maker_fills + result.trading.taker_fills,
        maker_share=result.trading.maker_share,
        average_ratio=result.effectiveness.average_ratio,
        hedge_pnl=shown.hedge_pnl,
        timing=shown.timing,
        funding=shown.funding,
        fees_and_slippage=shown.fees + shown.slippage,
        cost_per_coin_month=result.trading.cost_per_coin_month,
        effectiveness_day=result.effectiveness.day,
        max_drawdown=result.hedged.max_drawdown,
        maker_markout_bps=result.markouts[len(result.markouts) // 2].maker,
    )


def reading(rules: Mapping[str, RuleFigures], quote: str) -> str:
    """What the comparison says, in a sentence; empty where there is nothing to compare."""
    if "touch" not in rules or len(rules) < 2:  # noqa: PLR2004 - a comparison has two sides
        return ""
    touch = rules["touch"].hedge_pnl
    rest = {name: found.hedge_pnl for name, found in rules.items() if abs(found.hedge_pnl - touch) >= _CENT}
    if not rest:
        return "Every rule gives the same hedge PnL: nothing here depends on a fill at the touch."
    worst = min(rest, key=lambda name: rest[name])
    gap = touch - rest[worst]
    text = f"Filling on the touch instead of {worst} would show {gap:+,.2f} {quote} of hedge PnL".replace("-", "−")
    if touch > 0 >= rest[worst]:
        return f"{text}: it earns only if every touch fills. Do not believe the touch figure."
    return f"{text}, which a live queue may not give." if gap > 0 else f"{text}: touch fills are no advantage here."
