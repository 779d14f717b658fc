"""Markets, instruments and orders for tests, in as few words as a test wants to spend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from alpha_pulse.domain.instrument import HedgePair, Instrument, MarginTier
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.domain.orders import OrderRequest, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.hedging.common.approved import RISK_PASS, ApprovedOrder

PAIR = HedgePair(spot="BTC/USDT", perpetual="BTC/USDT:USDT", base="BTC", quote="USDT")
SYMBOL = PAIR.perpetual
MINUTE_MS = 60_000
START_MS = 1_735_689_600_000  # 2025-01-01 00:00 UTC
TWO_TIERS = (MarginTier(Decimal(50_000), Decimal("0.004")), MarginTier(Decimal("1e18"), Decimal("0.005"), Decimal(50)))


def instrument(**changes: Any) -> Instrument:
    """A BTC-like instrument: tick 0.1, lot 0.001, minimum notional 5, two maintenance tiers; any field can be changed."""
    fields: dict[str, Any] = {
        "symbol": SYMBOL,
        "base": PAIR.base,
        "quote": PAIR.quote,
        "tick_size": Decimal("0.1"),
        "lot_size": Decimal("0.001"),
        "min_quantity": Decimal("0.001"),
        "min_notional": Decimal(5),
        "margin_tiers": TWO_TIERS,
    }
    return Instrument(**(fields | changes))


def bar(*prices: float, volume: float = 100.0) -> Bar:
    """``bar(price)`` stands still; ``bar(open, high, low, close)`` moves."""
    if len(prices) == 1:
        return Bar(prices[0], prices[0], prices[0], prices[0], volume)
    opened, high, low, close = prices
    return Bar(opened, high, low, close, volume)


def update(index: int, perp: Bar, **changes: Any) -> MarketUpdate:
    """Minute ``index`` of a market: mark and spot as the perpetual, a spread of two ticks of 0.1, no funding, depth unknown."""
    opened = START_MS + index * MINUTE_MS
    interval = 8 * 60 * MINUTE_MS
    fields: dict[str, Any] = {
        "open_ms": opened,
        "close_ms": opened + MINUTE_MS,
        "perp": perp,
        "mark": perp,
        "spot": perp,
        "index_price": perp.close,
        "bid": round(perp.close - 0.1, 1),
        "ask": round(perp.close + 0.1, 1),
        "funding_rate": 0.0001,
        "funding_interval_h": 8.0,
        "next_funding_ms": (opened // interval + 1) * interval,
        "settled_rate": None,
        "bid_depth": 0.0,
        "ask_depth": 0.0,
    }
    return MarketUpdate(**(fields | changes))


def updates_from_prices(prices: Iterable[float | Sequence[float]], *, first: int = 0, **changes: Any) -> list[MarketUpdate]:
    """One minute for each entry: a price (the bar goes there from the one before) or (open, high, low, close).

    ``changes`` are given to every update. A single price stands for a straight bar, its open being the previous close.
    """
    result: list[MarketUpdate] = []
    previous = math.nan
    for index, entry in enumerate(prices, start=first):
        if isinstance(entry, int | float):
            opened = float(entry) if math.isnan(previous) else previous
            made = Bar(opened, max(opened, entry), min(opened, entry), float(entry), 100.0)
        else:
            made = bar(*entry)
        previous = made.close
        result.append(update(index, made, **changes))
    return result


def limit(name: str, side: str, price: str, quantity: str = "0.1", **changes: Any) -> OrderRequest:
    """A post-only grid order."""
    fields: dict[str, Any] = {"price": Decimal(price), "time_in_force": TimeInForce.POST_ONLY, "purpose": Purpose.GRID}
    return _request(name, side, OrderType.LIMIT, quantity, fields | changes)


def market(name: str, side: str, quantity: str = "0.1", **changes: Any) -> OrderRequest:
    """A market order."""
    return _request(name, side, OrderType.MARKET, quantity, {"price": None, "purpose": Purpose.REBALANCE} | changes)


def stop(name: str, side: str, trigger: str, quantity: str = "0.1", **changes: Any) -> OrderRequest:
    """A stop-market order."""
    fields: dict[str, Any] = {"price": None, "trigger_price": Decimal(trigger), "purpose": Purpose.STOP}
    return _request(name, side, OrderType.STOP_MARKET, quantity, fields | changes)


def approved(request: OrderRequest) -> ApprovedOrder:
    """The order as the risk manager would stamp it."""
    return ApprovedOrder(request, RISK_PASS)


def _request(name: str, side: str, kind: OrderType, quantity: str, fields: dict[str, Any]) -> OrderRequest:
    symbol = fields.pop("symbol", SYMBOL)
    return OrderRequest(client_order_id=name, symbol=symbol, side=Side(side), type=kind, quantity=Decimal(quantity), **fields)
