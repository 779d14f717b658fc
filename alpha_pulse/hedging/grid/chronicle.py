"""What the bot tells: events for the record, lines for the log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind, to_jsonable
from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.domain.market import Bar
from alpha_pulse.domain.orders import Fill, FundingPayment, Order
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import MarketState, Snapshot
from alpha_pulse.hedging.grid.advance import Change
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decision
from alpha_pulse.hedging.state.codec import encode

_BEYOND = 1e6


def start_events(config: BotConfig, pair: HedgePair, ours: Sequence[Order], now_ms: int) -> list[Event]:
    """A start: the settings that the run decides with, and the orders that it took over."""
    tick_id = format(now_ms, "x")
    started = Event(EventKind.STARTED, now_ms, tick_id, {"settings": config.model_dump(mode="json"), "pair": pair.name})
    return [started, *(Event(EventKind.ORDER_ADOPTED, now_ms, tick_id, {"order": to_jsonable(o.request)}) for o in ours)]


def tick_event(snapshot: Snapshot, decision: Decision) -> Event:
    """The decision as an event: what was seen, what was wanted, what is sent."""
    raw, assessment = snapshot.market.raw, decision.assessment
    payload = {
        "market": to_jsonable(raw),
        "indicators": to_jsonable(snapshot.market.indicators),
        "inventory": str(snapshot.inventory),
        "account": to_jsonable(snapshot.account),
        "open_orders": [order.client_order_id for order in snapshot.open_orders],
        "ratio": assessment.target.ratio,
        "floor": assessment.target.floor,
        "target_position": decision.target_position,
        "anchor": decision.curve.anchor,
        "spacing": decision.curve.spacing,
        "nav": assessment.nav,
        "drawdown": assessment.drawdown,
        "value_at_risk": assessment.value_at_risk,
        "max_abs_position": assessment.max_abs_position if math.isfinite(assessment.max_abs_position) else None,
        "liquidation_distance": _finite(assessment.liquidation_distance),
        "risk_state": assessment.state.value,
        "reasons": list(assessment.memory.reasons),
        "cancel": len(decision.approved.cancel),
        "place": len(decision.approved.place),
        "refused": [{"order": to_jsonable(r.request), "reason": r.reason} for r in decision.approved.refused],
    }
    return Event(EventKind.TICK, raw.close_ms, snapshot.tick_id, payload)


def _finite(value: float) -> float | None:
    """Infinity is no JSON, and what cannot be reached is none."""
    return value if value < _BEYOND else None


def change_event(change: Change, now_ms: int, tick_id: str, snapshot: Snapshot | None) -> Event:
    """A change as an event. Where the target moved, the whole snapshot is kept with it, so that the decision can be made again."""
    kind, payload = change
    if kind is EventKind.TARGET_CHANGED and snapshot is not None:
        payload = payload | {"snapshot": encode(snapshot)}
    return Event(kind, now_ms, tick_id, payload)


def log_status(snapshot: Snapshot, decision: Decision) -> None:
    """The status line of a live tick."""
    account, raw, assessment = snapshot.account, snapshot.market.raw, decision.assessment
    held = account.position.quantity
    inventory = snapshot.inventory
    unrealized = float(held) * (raw.mark.close - float(account.position.entry_price))
    earned = float(account.realized_pnl + account.funding_received - account.fees_paid)
    hedged = f"{abs(float(held) / float(inventory)):.1%}" if inventory else "neutral"
    logger.info(
        "Grid Status - Price: {:.2f}, Position: {:.8f}, Short: {:.8f}, Hedge: {} (target {:.1%}), PnL: {:+.2f}, Drawdown: {:.2%}",
        raw.perp.close,
        inventory,
        held,
        hedged,
        _target_share(snapshot, decision),
        earned + unrealized,
        assessment.drawdown,
    )


def _target_share(snapshot: Snapshot, decision: Decision) -> float:
    scale = abs(float(snapshot.inventory)) or decision.curve.neutral_size or 1.0
    return abs(decision.target_position) / scale


def log_changes(changes: Sequence[Change]) -> None:
    """What moved, in words: routine as INFO, what a person should look at as WARNING."""
    for kind, payload in changes:
        severe = kind in {EventKind.ALERT, EventKind.STOP_LATCHED, EventKind.DRAWDOWN_LATCHED}
        logger.log("WARNING" if severe else "INFO", "{}", describe(kind, payload))


def describe(kind: EventKind, payload: dict[str, Any]) -> str:  # noqa: PLR0911 - one sentence per kind
    """One sentence about an event, for a person."""
    if kind is EventKind.ALERT:
        return str(payload["text"])
    if kind is EventKind.TARGET_CHANGED:
        after, before = payload["after"], payload["before"]
        was = "" if before is None else f" (was {before['ratio']:.1%}, floor {before['floor']:.1%})"
        return f"Hedge ratio {after['ratio']:.1%}, floor {after['floor']:.1%}{was}"
    if kind is EventKind.ANCHOR_MOVED:
        return f"Grid anchored at {payload['after']:.2f}" + ("" if payload["before"] is None else f" (was {payload['before']:.2f})")
    if kind is EventKind.SPACING_CHANGED:
        return f"Node spacing {payload['after']:.3%}" + ("" if payload["before"] is None else f" (was {payload['before']:.3%})")
    if kind is EventKind.RISK_STATE_CHANGED:
        why = f": {', '.join(payload['reasons'])}" if payload["reasons"] else ""
        return f"Risk state {payload['after'].upper()} (was {payload['before'].upper()}){why}"
    if kind is EventKind.STOP_LATCHED:
        return f"The stop fired: fully hedged until price is back at {payload['reference']:.2f}, or `alpha-pulse resume`"
    if kind is EventKind.STOP_RELEASED:
        return f"Price is back at {payload['reference']:.2f}: the stop's latch is released, the grid re-anchors"
    if kind is EventKind.DRAWDOWN_LATCHED:
        return f"Drawdown of {payload['drawdown']:.1%} reached its limit: fully hedged until `alpha-pulse resume`"
    if kind is EventKind.FLOW:
        return f"Coins or cash moved: inventory {payload['inventory']}, deposits {payload['deposits']}; neither profit nor loss"
    return kind.value.replace("_", " ")


def log_bookings(fills: Sequence[Fill], funding: Sequence[FundingPayment]) -> None:
    """Fills and funding as they are booked."""
    for fill in fills:
        logger.info(
            "Filled {} {} at {} ({}, {}), fee {}",
            fill.side.value,
            fill.quantity,
            fill.price,
            fill.liquidity.value,
            fill.purpose.value,
            fill.fee,
        )
    for payment in funding:
        logger.info("Funding {:+.4f} at a rate of {:.6f} on {}", payment.amount, payment.rate, payment.position)


def at_price(market: MarketState, price: Decimal | float | str) -> MarketState:
    """The market as if the perpetual traded at ``price`` now, its spread kept.

    Raises:
        ConfigError: not a positive finite number.
    """
    try:
        exact_price = Decimal(str(price))
    except InvalidOperation:
        exact_price = Decimal("NaN")
    if not exact_price.is_finite() or exact_price <= 0:
        raise ConfigError("is no price.", field="price", value=str(price), fix="give a positive number in quote units")
    value, raw = float(exact_price), market.raw
    if value == raw.perp.close:
        return market
    shift = value - raw.perp.close
    moved = raw._replace(
        perp=Bar(value, value, value, value, 0.0),
        mark=Bar(value, value, value, value, 0.0),
        bid=max(raw.bid + shift, value / 2.0),
        ask=raw.ask + shift,
    )
    return replace(market, raw=moved)
