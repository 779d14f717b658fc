"""How risky is an inventory, and how much of it should be hedged: a score from loss, age, volatility and liquidity, and what follows.

``assess_inventory_risk`` answers a person or an API. Who asks on every bar uses the parts that it is built from: ``inventory_scores``,
``loss_from_entry`` and ``hedge_floor`` (about a microsecond together, nothing checked), ``pick_instrument`` and ``price_hedge``.

The score is the project's own scorecard, not a published model; each number of it is a field of ``RiskConfig``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alpha_pulse.hedging.risk.inventory_config import RiskConfig
from alpha_pulse.hedging.risk.inventory_texts import instrument_reason, order_line, score_reason
from alpha_pulse.hedging.risk.inventory_types import (
    Action,
    HedgeInstrument,
    InventoryAssessment,
    InventoryPosition,
    MarketConditions,
    PnlScenarios,
    RiskBreakdown,
    SuggestedHedge,
)

__all__ = [
    "Action",
    "HedgeInstrument",
    "InventoryAssessment",
    "InventoryPosition",
    "MarketConditions",
    "PnlScenarios",
    "RiskBreakdown",
    "RiskConfig",
    "SuggestedHedge",
    "assess_inventory_risk",
    "hedge_floor",
    "inventory_scores",
    "loss_from_entry",
    "pick_instrument",
    "price_hedge",
    "re_evaluate_minutes",
    "risk_score",
]

_DEFAULTS: Final = RiskConfig()
_STEPS: Final = (Action.HOLD, Action.REDUCE, Action.HEDGE_PARTIAL, Action.HEDGE_FULL, Action.LIQUIDATE)
_MOVES: Final = (-0.05, -0.02, 0.02, 0.05)  # as the scenarios' names say
_DAYS_A_YEAR: Final = 365.0
_BPS: Final = 1e4
_FUNDING_SIGN: Final = {HedgeInstrument.PERP_SHORT: -1.0, HedgeInstrument.PERP_LONG: 1.0}  # positive funding: longs pay shorts


def inventory_scores(
    size: float, price: float, volatility_1d: float, depth_usd: float, age_minutes: float, config: RiskConfig
) -> tuple[float, float, float, float]:
    """The score's parts: loss severity, position age, volatility regime, size against liquidity; points, each from 0 to its weight.

    The hot path: nothing is checked, no object is made. ``risk_score`` adds them up. A flat inventory scores 0 throughout.

    Args:
        size: base units, signed.
        price: USD per base unit.
        volatility_1d: standard deviation of daily returns, fraction; NaN scores like the worst.
        depth_usd: USD resting on the side that a hedge would hit: bids for a long, asks for a short. ``math.inf``: unknown, scores 0.
        age_minutes: minutes held; 0 where age means nothing.
        config: weights and scales.
    """
    if size == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    # Comparisons are written so that NaN falls on the cautious side: min(x, NaN) is x.
    wild = volatility_1d / config.volatility_scale
    severity = config.adverse_move_pct / config.max_loss_pct * config.loss_weight * min(1.0, wild)
    age = config.age_weight * age_minutes / config.max_hold_minutes
    if volatility_1d < config.high_volatility:
        regime = config.low_volatility_points * (volatility_1d / config.high_volatility)  # the bracket keeps it ≤ the points
    elif volatility_1d < config.extreme_volatility:
        regime = config.high_volatility_points
    else:
        regime = config.volatility_weight
    most = config.liquidity_weight
    liquidity = most * abs(size) * price / depth_usd if depth_usd > 0.0 else most
    return min(config.loss_weight, severity), min(config.age_weight, age), regime, min(most, liquidity)


def risk_score(parts: tuple[float, float, float, float]) -> float:
    """The sum of ``inventory_scores``, points: 0 to ``RiskConfig.max_score``."""
    return parts[0] + parts[1] + parts[2] + parts[3]  # in this order on every Python: sum() compensates from 3.12 on


def loss_from_entry(size: float, price: float, entry_price: float) -> float:
    """What the inventory lost since its entry, as a fraction of the entry's value: above 0 a loss, below 0 a gain, 0 when flat."""
    if size == 0.0:
        return 0.0
    change = (price - entry_price) / entry_price
    return -change if size > 0.0 else change


def hedge_floor(total_score: float, loss: float, config: RiskConfig) -> tuple[Action, float]:
    """Action and hedge, as a fraction of the inventory, that a score calls for, whatever the hedge costs.

    Args:
        total_score: points, the sum of ``inventory_scores``.
        loss: fraction lost since the entry (``loss_from_entry``; 0 where the entry is unknown). Beyond ``hedge_trigger_loss_pct`` it
            lifts HOLD to REDUCE; at it, not yet.
        config: thresholds and hedges.
    """
    step, floor = hedge_step(total_score, loss, config)
    return _STEPS[step], floor


def hedge_step(total_score: float, loss: float, config: RiskConfig) -> tuple[int, float]:
    """The same in numbers: how many steps above HOLD, 0 to 4, and the hedge."""
    if total_score >= config.liquidate_score:
        return 4, config.liquidate_pct
    if total_score >= config.hedge_full_score:
        return 3, config.hedge_full_pct
    if total_score >= config.hedge_partial_score:
        return 2, config.hedge_partial_pct
    if total_score >= config.reduce_score or loss > config.hedge_trigger_loss_pct:
        return 1, config.reduce_pct
    return 0, 0.0


def re_evaluate_minutes(total_score: float, config: RiskConfig) -> int:
    """When to look again: the higher the score, the sooner."""
    if total_score >= config.urgent_score:
        return config.urgent_minutes
    return config.elevated_minutes if total_score >= config.elevated_score else config.calm_minutes


def pick_instrument(size: float, annual_funding: float, config: RiskConfig) -> HedgeInstrument:
    """What hedges an inventory of ``size`` (signed, not 0): the perpetual where funding pays for it, else spot.

    A long: short the perpetual if annual funding > ``funding_threshold``, else sell spot. A short: the mirror image.
    """
    if size > 0.0:
        return HedgeInstrument.PERP_SHORT if annual_funding > config.funding_threshold else HedgeInstrument.SPOT_SELL
    return HedgeInstrument.PERP_LONG if -annual_funding > config.funding_threshold else HedgeInstrument.SPOT_BUY


def price_hedge(
    instrument: HedgeInstrument, size: float, price: float, spread_bps: float, annual_funding: float, config: RiskConfig
) -> SuggestedHedge:
    """A hedge of ``size`` base units (≥ 0) and its cost. In basis points it does not depend on the size.

    Args:
        instrument: what is traded.
        size: base units.
        price: USD per base unit.
        spread_bps: cost of crossing the spread, basis points.
        annual_funding: fraction a year; above 0 longs pay shorts.
        config: the taker fee.
    """
    notional = size * price
    daily = _FUNDING_SIGN.get(instrument, 0.0) * annual_funding / _DAYS_A_YEAR + 0.0  # + 0.0: never −0.0
    spread = notional * spread_bps / _BPS
    return SuggestedHedge(
        instrument=instrument,
        size=size,
        spread_cost_usd=spread,
        funding_cost_1d_usd=notional * daily,
        total_cost_usd=spread + notional * max(0.0, daily) + notional * config.taker_fee_bps / _BPS,
        total_cost_bps=spread_bps + max(0.0, daily) * _BPS + config.taker_fee_bps,
    )


def assess_inventory_risk(position: InventoryPosition, market: MarketConditions, config: RiskConfig | None = None) -> InventoryAssessment:
    """Scores an inventory's risk and suggests the hedge, with its cost, its effect and its reasons.

    A hedge that costs more than ``max_hedge_cost_bps`` becomes HOLD, LIQUIDATE excepted. Never raises for inputs that could be made.

    Args:
        position: what is held.
        market: where it would be hedged.
        config: the numbers of the formulas; None for the defaults.
    """
    config = _DEFAULTS if config is None else config
    size, price = position.size, market.current_price
    depth = market.bid_depth_usd if size > 0.0 else market.ask_depth_usd
    parts = inventory_scores(size, price, market.volatility_1d, depth, position.age_minutes, config)
    score = risk_score(parts)
    decision = _decide(position, market, parts, config)
    return InventoryAssessment(
        action=decision.action,
        hedge_pct=decision.hedge_pct,
        risk_score=score,
        risk_breakdown=RiskBreakdown(*parts, total=score),
        reasoning=" ".join(decision.reasons),
        suggested_hedge=decision.hedge,
        pnl_scenarios=_scenarios(size * price, decision.hedge_pct),
        position_notional_usd=abs(size) * price,
        current_unrealized_pnl=position.unrealized_pnl or (price - position.entry_price) * size + 0.0,
        re_evaluate_minutes=re_evaluate_minutes(score, config),
        summary=order_line(position, price, decision.action, decision.hedge_pct, decision.hedge, score),
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    action: Action
    hedge_pct: float
    hedge: SuggestedHedge | None
    reasons: tuple[str, ...]


def _decide(
    position: InventoryPosition, market: MarketConditions, parts: tuple[float, float, float, float], config: RiskConfig
) -> _Decision:
    """The floor of the score, then the cost rule."""
    size, price, funding = position.size, market.current_price, market.perp_funding_rate
    if size == 0.0:
        return _Decision(Action.HOLD, 0.0, None, ("The inventory is flat: HOLD.",))
    loss = loss_from_entry(size, price, position.entry_price)
    action, hedge_pct = hedge_floor(risk_score(parts), loss, config)
    why = score_reason(parts, risk_score(parts), action, loss, config)
    if action is Action.HOLD:
        return _Decision(action, 0.0, None, (why,))
    instrument = pick_instrument(size, funding, config)
    hedge = price_hedge(instrument, abs(size) * hedge_pct, price, market.spot_spread_bps, funding, config)
    picked = instrument_reason(hedge, funding, config)
    if hedge.total_cost_bps <= config.max_hedge_cost_bps:
        return _Decision(action, hedge_pct, hedge, (why, picked))
    dear = f"The hedge costs {hedge.total_cost_bps:.4g} bps, more than max_hedge_cost_bps ({config.max_hedge_cost_bps:.4g})"
    if action is Action.LIQUIDATE:
        return _Decision(action, hedge_pct, hedge, (why, picked, f"{dear}; LIQUIDATE goes ahead all the same."))
    return _Decision(Action.HOLD, 0.0, None, (why, picked, f"{dear}: HOLD instead of {action}."))


def _scenarios(exposure: float, hedge_pct: float) -> PnlScenarios:
    """Signed exposure times each move; the hedge leaves 1 − ``hedge_pct`` of it."""
    alone = [exposure * move + 0.0 for move in _MOVES]
    return PnlScenarios(*alone, *((1.0 - hedge_pct) * change + 0.0 for change in alone))
