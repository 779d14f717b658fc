"""What a person should know about the risk of a snapshot, in units, with what mends it. Pure."""

from __future__ import annotations

from alpha_pulse.hedging.common.types import Alert, RiskMemory, Snapshot
from alpha_pulse.hedging.risk.assessor import Demand
from alpha_pulse.hedging.risk.inventory import Action
from alpha_pulse.hedging.risk.margin import margin_remedy
from alpha_pulse.hedging.risk.var import VAR_ALERT, VAR_CLEARED
from alpha_pulse.hedging.risk.wallets import Wallets


def liquidation_alert(snapshot: Snapshot, view: Wallets, liquidation: float, wanted: float) -> tuple[Alert, ...]:
    """While liquidation is nearer than wanted (fractions of mark): what to top up, to transfer or to reduce."""
    if liquidation > wanted:
        return ()
    base, quote = snapshot.instrument.base, snapshot.instrument.quote
    remedy = margin_remedy(view.equity, abs(view.position), wanted, snapshot.instrument, view.mark, snapshot.market.reference)
    text = (
        f"Liquidation is {liquidation:.0%} away (wanted: {wanted:.0%}). Top up the perpetual wallet by {remedy.top_up:,.2f} {quote}, what "
        f"{remedy.coins:.6g} {base} of the inventory are worth, or reduce the position by {remedy.reduce:.6g} {base}"
    )
    return (Alert("liquidation", text),)


def var_alert(snapshot: Snapshot, exposed: float, limit: float) -> tuple[Alert, ...]:
    """While the value at risk that is left unhedged is over its limit (quote units; 0 = no limit)."""
    if not limit or exposed <= limit * (VAR_CLEARED if VAR_ALERT in snapshot.state.alerts else 1.0):
        return ()
    return (Alert(VAR_ALERT, f"VaR ({exposed:.2f}) exceeds limit ({limit:.2f})"),)


def portfolio_alert(memory: RiskMemory) -> tuple[Alert, ...]:
    """While the drawdown of all pairs together keeps this one fully hedged."""
    if not memory.portfolio_latched:
        return ()
    text = (
        f"Drawdown of all pairs together reached its limit ({memory.portfolio_drawdown:.1%} now): fully hedged until `alpha-pulse resume`"
    )
    return (Alert("portfolio drawdown", text),)


def proposal(snapshot: Snapshot, memory: RiskMemory, demand: Demand | None) -> tuple[Alert, ...]:
    """What the assessor would do that the bot does not do by itself: close the coins, or sell some where that is cheaper."""
    if demand is None or demand.action is Action.HOLD:
        return ()
    held = f"{abs(snapshot.inventory)} {snapshot.instrument.base}"
    if demand.action is Action.LIQUIDATE:
        return (Alert("liquidate inventory", f"{demand.reason}. Everything is hedged; consider closing the {held} themselves"),)
    if memory.hedge_by == "spot":
        why = f"funding of {snapshot.market.indicators.funding_annual:+.1%} a year does not pay a short"
        return (Alert("spot is cheaper", f"{demand.reason}. Selling {demand.floor:.0%} of the {held} is cheaper than a perpetual: {why}"),)
    return ()
