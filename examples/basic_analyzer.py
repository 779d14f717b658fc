"""A second look at a hedge that is on: where it stands, what would bring it to its target, and what the margin allows.

Run it from the root of the repository: ``python -m examples.basic_analyzer``.

``BasicFuturesHedgeAnalyzer`` needs no model and no network: the same view always gives the same analysis. It proposes adjustments with a
size and a priority, never more than the cap on effective leverage allows, and says in sentences what a person should know. It is what the
language model's advice (llm_analyzer) falls back to.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import replace

from alpha_pulse.domain.orders import Side
from alpha_pulse.hedging.common.advice import HedgeView
from alpha_pulse.hedging.risk.analyzers.basic import BasicFuturesHedgeAnalyzer, HedgeAnalysis

UNDER_HEDGED = HedgeView(
    symbol="BTCUSDT",
    inventory=10.0,  # coins held
    perpetual=-2.0,  # a short of two
    price=50_000.0,  # mark
    wallet=500_000.0,  # cash in the perpetual wallet
    entry_price=48_000.0,
    max_leverage=1.0,  # cap on |short|·price / equity
    base="BTC",
    quote="USDT",
)
OVER_LEVERED = replace(UNDER_HEDGED, perpetual=-9.0, wallet=250_000.0)  # nearly hedged, on too little equity


def show(title: str, analysis: HedgeAnalysis) -> None:
    """The figures, the adjustments, the commentary."""
    distance = "it cannot be" if analysis.liquidation_distance == math.inf else f"{analysis.liquidation_distance:.1%} away"
    print(f"{title}")
    print(
        f"  hedge ratio {analysis.current_ratio:.1%}, target {analysis.target_ratio:.1%}, net delta {analysis.net_delta:+.4g} BTC ", end=""
    )
    print(f"({analysis.net_delta_usd:+,.0f} USDT)")
    print(f"  effective leverage {analysis.effective_leverage:.2f}, margin {analysis.margin_use:.1%} of equity, liquidation {distance}")
    for step in analysis.adjustments:
        print(f"  {step.priority.name}: {step.side} {step.quantity:.4g} BTC ({step.notional:,.0f} USDT): {step.reason}")
    if analysis.remainder:
        print(f"  left to the target after it: {analysis.remainder:+.4g} BTC")
    print(textwrap.fill(analysis.commentary, 120, initial_indent="  » ", subsequent_indent="    "))
    print()


def carried_out(view: HedgeView, analysis: HedgeAnalysis) -> HedgeView:
    """The view after the proposed sales filled at mark: the short grows, its entry price is averaged."""
    for step in analysis.adjustments:
        assert step.side is Side.SELL  # noqa: S101 - buying back would book a result in the wallet instead
        grown = step.quantity - view.perpetual
        entry = (-view.perpetual * view.entry_price + step.quantity * view.price) / grown
        view = replace(view, perpetual=-grown, entry_price=entry)
    return view


def main() -> None:
    """Two positions, before and after what is proposed."""
    analyzer = BasicFuturesHedgeAnalyzer()
    analysis = analyzer.analyze(UNDER_HEDGED, target_ratio=0.7)
    show("Under-hedged: 2 of 10 BTC, 7 wanted", analysis)
    show("… after that adjustment", analyzer.analyze(carried_out(UNDER_HEDGED, analysis), target_ratio=0.7))

    more = analyzer.analyze(OVER_LEVERED, target_ratio=1.0)
    show("Over-levered: 9 of 10 BTC are hedged on a wallet of 250,000 USDT, and the tenth is wanted too", more)
    topped_up = replace(OVER_LEVERED, wallet=OVER_LEVERED.wallet + 268_000.0)  # the commentary names the sum
    show("… after that transfer", analyzer.analyze(topped_up, target_ratio=1.0))
    less = analyzer.analyze(OVER_LEVERED, target_ratio=0.8)
    show("… or without it, one BTC less: a small gap, but what shrinks a position over its cap is urgent", less)

    careful = BasicFuturesHedgeAnalyzer(max_adjustment_usd=100_000.0, min_adjustment_usd=1_000.0)
    show("The first position in steps of at most 100,000 USDT", careful.analyze(UNDER_HEDGED, target_ratio=0.7))


if __name__ == "__main__":
    main()
