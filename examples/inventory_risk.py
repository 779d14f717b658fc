"""How risky is an inventory, how much of it should be hedged, with what, and at which cost.

Run it from the root of the repository: ``python -m examples.inventory_risk``.

``assess_inventory_risk`` scores an inventory from 0 to 90 points: what a 5 % adverse move would lose, how long it has been held, how wild
the market is, and how much of the book a hedge would eat. The score picks an action, the funding rate picks the instrument, and a hedge
that is too dear is not suggested. Every number of it is a field of ``RiskConfig``. In the running bot the same score sets a floor under
the hedge (settings ``inventory_risk``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import fields, replace

from alpha_pulse.hedging.risk.inventory import InventoryAssessment, InventoryPosition, MarketConditions, RiskConfig, assess_inventory_risk

HELD = InventoryPosition(asset="BTC", size=10.0, entry_price=45_000.0, age_minutes=60.0)
MARKET = MarketConditions(
    current_price=44_000.0,
    volatility_1d=0.05,  # standard deviation of daily returns
    spot_spread_bps=3.0,
    perp_funding_rate=0.08,  # a year; positive: longs pay shorts
    bid_depth_usd=5_000_000.0,
    ask_depth_usd=5_000_000.0,
)
VOLATILITIES = (0.01, 0.02, 0.03, 0.04, 0.045, 0.05, 0.06, 0.08, 0.12)  # a day


def show(found: InventoryAssessment) -> None:
    """One assessment in full."""
    score = found.risk_breakdown
    print(f"  {found.summary}")
    print(f"  notional {found.position_notional_usd:,.2f} USD, unrealised {found.current_unrealized_pnl:+,.2f} USD")
    print(f"  risk score {found.risk_score:.2f}: loss severity {score.loss_severity:.2f}, age {score.position_age:.2f}, ", end="")
    print(f"volatility {score.volatility_regime:.2f}, size against liquidity {score.size_vs_liquidity:.2f}")
    print(f"  look again in {found.re_evaluate_minutes} min")
    print(textwrap.fill(found.reasoning, 120, initial_indent="  ", subsequent_indent="  "))
    hedge = found.suggested_hedge
    if hedge is not None:
        print(f"  hedge: {hedge.instrument}, {hedge.size} coins; spread {hedge.spread_cost_usd:.2f} USD, one day of funding ", end="")
        print(f"{hedge.funding_cost_1d_usd:+.2f} USD (< 0: earned), total {hedge.total_cost_usd:.2f} USD ({hedge.total_cost_bps:.1f} bps)")


def show_scenarios(found: InventoryAssessment) -> None:
    """What a move does, alone and with the suggested hedge."""
    print("\n  move     unhedged [USD]   hedged [USD]")
    moves = found.pnl_scenarios
    for name in ("down_5pct", "down_2pct", "up_2pct", "up_5pct"):
        way, size = name.split("_")
        alone, hedged = getattr(moves, f"move_{name}"), getattr(moves, f"hedged_{name}")
        print(f"  {'-' if way == 'down' else '+'}{size[0]} %     {alone:>+14,.0f}   {hedged:>+12,.0f}")


def sweep_volatility(volatilities: Iterable[float]) -> None:
    """Coins without a loss so far in calmer and wilder markets: severity and regime carry the score, the action follows in steps."""
    position = replace(HELD, entry_price=MARKET.current_price)
    print("\nThe same coins, bought at today's price, at other volatilities:")
    print("  vol a day   severity   regime   score   action          hedge   look again [min]")
    for volatility in volatilities:
        found = assess_inventory_risk(position, replace(MARKET, volatility_1d=volatility))
        score = found.risk_breakdown
        print(f"  {volatility:>9.1%}   {score.loss_severity:>8.2f}   {score.volatility_regime:>6.2f}   {score.total:>5.2f}   ", end="")
        print(f"{found.action:<13}   {found.hedge_pct:>4.0%}   {found.re_evaluate_minutes:>16}")


def what_else_matters() -> None:
    """One change at a time from the first case: funding, a loss from entry, the price of the hedge, the book, a short."""
    cases = {
        "as above": (HELD, MARKET),
        "funding 1 % a year: spot is cheaper": (HELD, replace(MARKET, perp_funding_rate=0.01)),
        "short 10 BTC, longs earn 5 %": (replace(HELD, size=-10.0), replace(MARKET, perp_funding_rate=-0.05)),
        "calm at 2 %, bought at 45,000 (loss 2.2 %)": (HELD, replace(MARKET, volatility_1d=0.02)),
        "calm at 2 %, bought at 44,500 (loss 1.1 %)": (replace(HELD, entry_price=44_500.0), replace(MARKET, volatility_1d=0.02)),
        "spread 60 bps: too dear": (HELD, replace(MARKET, spot_spread_bps=60.0)),
        "8 % a day, half of the book": (HELD, replace(MARKET, volatility_1d=0.08, bid_depth_usd=880_000.0)),
        "8 % a day, more than the book, 8 h": (
            replace(HELD, age_minutes=480.0),
            replace(MARKET, volatility_1d=0.08, bid_depth_usd=400_000.0),
        ),
    }
    print("\nWhat else matters:")
    print(f"  {'case':<44} score   action          hedge   with         cost [bps]")
    for name, (position, market) in cases.items():
        found = assess_inventory_risk(position, market)
        hedge = found.suggested_hedge
        instrument, cost = ("–", "–") if hedge is None else (str(hedge.instrument), f"{hedge.total_cost_bps:.1f}")
        print(f"  {name:<44} {found.risk_score:>5.2f}   {found.action:<13}   {found.hedge_pct:>4.0%}   {instrument:<10}   {cost:>10}")


def main() -> None:
    """The worked example, then what moves it."""
    found = assess_inventory_risk(HELD, MARKET)
    print(f"{HELD.size:g} {HELD.asset} bought at {HELD.entry_price:,.0f} USD, now at {MARKET.current_price:,.0f} USD:")
    show(found)
    show_scenarios(found)
    sweep_volatility(VOLATILITIES)
    what_else_matters()
    careful = assess_inventory_risk(HELD, MARKET, RiskConfig(max_loss_pct=0.04, hedge_partial_score=40.0, hedge_partial_pct=0.6))
    print(f"\nA more careful owner, with {len(fields(RiskConfig))} numbers to choose from: {careful.summary}")


if __name__ == "__main__":
    main()
