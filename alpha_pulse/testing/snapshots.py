"""Builders of what a decision sees: markets, accounts, snapshots, deciders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.domain.orders import Order, OrderRequest, OrderStatus
from alpha_pulse.domain.position import Account, Position
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.common.types import BotState, Indicators, MarketState, Snapshot
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.parts import risk_manager_for

SYMBOL = "BTC/USDT:USDT"
TAG = bot_tag("test", SYMBOL)


def make_instrument(**changes: Any) -> Instrument:
    """BTC-like rules: tick 0.1, lot 0.001, at least 5 USDT."""
    known: dict[str, Any] = {
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "tick_size": Decimal("0.1"),
        "lot_size": Decimal("0.001"),
        "min_quantity": Decimal("0.001"),
        "min_notional": Decimal(5),
    }
    return Instrument(**(known | changes))


def make_update(price: float = 100_000.0, *, now_ms: int = 60_000, spread: float = 0.2, **changes: Any) -> MarketUpdate:
    """A bar of one price: perpetual, mark, spot and index agree, funding is nil."""
    bar = Bar(price, price, price, price, 10.0)
    update = MarketUpdate(
        open_ms=now_ms - 60_000,
        close_ms=now_ms,
        perp=bar,
        mark=bar,
        spot=bar,
        index_price=price,
        bid=price - spread / 2.0,
        ask=price + spread / 2.0,
        funding_rate=0.0,
        funding_interval_h=8.0,
        next_funding_ms=28_800_000,
        settled_rate=None,
        bid_depth=0.0,
        ask_depth=0.0,
    )
    return update._replace(**changes)


def make_indicators(volatility_day: float = 0.01, **changes: Any) -> Indicators:
    """A quiet market, known well."""
    known: dict[str, Any] = {
        "volatility_day": volatility_day,
        "volatility_day_range": volatility_day,
        "atr": 100.0,
        "volume_ratio": 1.0,
        "trend": 0.0,
        "anchor_ema": 100_000.0,
        "ready": True,
    }
    return Indicators(**(known | changes))


def make_account(position: str = "0", entry: str = "100000", wallet: str = "100000", **changes: Any) -> Account:
    """A wallet of 100,000 with a position."""
    held = Decimal(position)
    return replace(
        Account(wallet=Decimal(wallet), position=Position(SYMBOL, held, Decimal(entry) if held else Decimal(0)), deposits=Decimal(100_000)),
        **changes,
    )


def make_snapshot(
    price: float = 100_000.0,
    *,
    inventory: str = "1",
    account: Account | None = None,
    state: BotState | None = None,
    open_orders: tuple[Order, ...] = (),
    volatility_day: float = 0.01,
    now_ms: int = 60_000,
    market: Mapping[str, Any] | None = None,
    indicators: Indicators | None = None,
    **changes: Any,
) -> Snapshot:
    """One moment of a bot that holds ``inventory`` while everything trades at ``price``."""
    update = make_update(price, now_ms=now_ms, **(market or {}))
    return Snapshot(
        tick_id="t",
        market=MarketState(SYMBOL, update, indicators or make_indicators(volatility_day)),
        instrument=changes.pop("instrument", None) or make_instrument(),
        inventory=Decimal(inventory),
        account=account or make_account(),
        open_orders=open_orders,
        state=state or BotState(),
        **changes,
    )


def make_decider(config: Mapping[str, Any] | None = None) -> Decider:
    """A decider with the default parts."""
    settings = BotConfig.from_mapping(config or {})
    return Decider(settings, DefaultGridCalculator(), risk_manager_for(settings), TAG)


def resting(request: OrderRequest, filled: str = "0") -> Order:
    """A request as an open order at the venue."""
    return Order(request, "v1", OrderStatus.OPEN, Decimal(filled), 0)


def settled(decision: Decision, snapshot: Snapshot) -> Snapshot:
    """The snapshot after a decision's orders were all accepted and nothing else happened."""
    gone = {order.client_order_id for order in decision.approved.cancel}
    kept = tuple(order for order in snapshot.open_orders if order.client_order_id not in gone)
    placed = tuple(resting(approved.request) for approved in decision.approved.place)
    return replace(snapshot, open_orders=kept + placed, state=decision.state)
