"""The inventory assessor's words: its reasons, and the order as one line."""

from __future__ import annotations

from typing import Final

from alpha_pulse.hedging.risk.inventory_config import RiskConfig
from alpha_pulse.hedging.risk.inventory_types import Action, HedgeInstrument, InventoryPosition, SuggestedHedge

_ORDERS: Final = {
    HedgeInstrument.SPOT_SELL: ("SELL", "spot"),
    HedgeInstrument.SPOT_BUY: ("BUY", "spot"),
    HedgeInstrument.PERP_SHORT: ("SELL", "perpetual"),
    HedgeInstrument.PERP_LONG: ("BUY", "perpetual"),
}
_VERBS: Final = {Action.REDUCE: "reduce", Action.HEDGE_PARTIAL: "hedge", Action.HEDGE_FULL: "hedge", Action.LIQUIDATE: "liquidate"}


def score_reason(parts: tuple[float, float, float, float], score: float, action: Action, loss: float, config: RiskConfig) -> str:
    """The score, its parts, and the action that it or the loss from entry calls for."""
    named = "loss severity {:.2f}, age {:.2f}, volatility {:.2f}, liquidity {:.2f}".format(*parts)
    text = f"Risk score {score:.2f} of {config.max_score:.4g} ({named})"
    if action is Action.REDUCE and score < config.reduce_score:
        trigger = f"hedge_trigger_loss_pct ({100 * config.hedge_trigger_loss_pct:.4g} %)"
        return f"{text}: HOLD by itself, but the loss from entry of {100 * loss:.4g} % is beyond {trigger}, which makes it {action}."
    return f"{text}: {action}."


def instrument_reason(hedge: SuggestedHedge, annual_funding: float, config: RiskConfig) -> str:
    """Why this instrument, and what its funding does in a day."""
    funding = f"Annual funding of {100 * annual_funding:.4g} % against funding_threshold ({100 * config.funding_threshold:.4g} %)"
    cost = hedge.funding_cost_1d_usd
    flow = "" if cost == 0.0 else f", which {'pays' if cost > 0.0 else 'earns'} {abs(cost):,.2f} USD of funding a day"
    return f"{funding} picks {hedge.instrument}{flow}."


def order_line(
    position: InventoryPosition, price: float, action: Action, hedge_pct: float, hedge: SuggestedHedge | None, score: float
) -> str:
    """The order as one line, for a person to send."""
    held = f"{position.size:.12g} {position.asset}"
    if hedge is None:
        return f"HOLD {held}: no order (risk score {score:.2f})"
    side, kind = _ORDERS[hedge.instrument]
    share = f"{_VERBS[action]} {100.0 * hedge_pct:.4g} % of {held}"
    notional = hedge.size * price
    money = f"{notional:,.0f}" if notional >= 100.0 else f"{notional:.4g}"  # noqa: PLR2004 - from here on cents do not matter
    cost = f"cost {hedge.total_cost_usd:,.2f} USD = {hedge.total_cost_bps:.1f} bps"
    return f"{side} {hedge.size:.12g} {position.asset} {kind} ({share}, about {money} USD notional, {cost})"
