"""The venue of the wire benchmark, in a process of its own: ``python -m benchmarks.wire_venue``.

It prints its addresses as a line of JSON. On a line of standard input it fills one of the resting orders after another, and times from the
moment at which it hands the fill's frame to the socket to the moment at which the next create request reaches it. Both are read from this
process's monotonic clock. The times come back as a line of JSON [ns].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiohttp import web

from alpha_pulse.fake_exchange.config import FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.records import VenueOrder
from alpha_pulse.fake_exchange.server import FakeExchange

SYMBOL = "BTCUSDT"
_CREATE = "/fapi/v1/order"
_PRICE = 95_450  # between two nodes of a grid that is anchored at 95,000
_PATIENCE_S = 10.0
_PAUSE_S = 0.03  # between two fills: whoever trades comes to rest


class TimedExchange(FakeExchange):
    """Notes when a create reached it."""

    created_ns = 0
    first_ns = 0

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET" and "rder" in request.path:
            now = time.monotonic_ns()
            self.first_ns = self.first_ns or now
            if request.method == "POST" and request.path == _CREATE:
                self.created_ns = self.created_ns or now
        return await super()._handle(request)


def nearest(fake: FakeExchange, side: str) -> VenueOrder | None:
    """The limit order of a side that lies next to the market."""
    last = fake.venue.market(SYMBOL).last
    orders = [order for order in fake.venue.open_orders(None, SYMBOL) if order.type == "LIMIT" and order.side == side]
    return min(orders, key=lambda order: abs(order.price - last), default=None)


async def until_there(fake: FakeExchange, side: str) -> VenueOrder:
    """The next order to fill, once nothing has been sent for a while."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            seen = len(fake.venue.log)
            await asyncio.sleep(_PAUSE_S)
            order = nearest(fake, side)
            if order is not None and len(fake.venue.log) == seen:
                return order


async def one(fake: TimedExchange, side: str) -> tuple[int, int] | None:
    """Fill an order; ns until the first request that changes an order, and until the first create. None where none came."""
    try:
        order = await until_there(fake, side)
    except TimeoutError:
        return None  # what should have placed it has not: the next round is of the other side
    fake.created_ns = fake.first_ns = 0
    fake.venue.fill_part(None, SYMBOL, order.client_id, order.quantity - order.filled)
    sent_ns = time.monotonic_ns()
    try:
        async with asyncio.timeout(1.0):
            while not fake.created_ns:  # noqa: ASYNC110 - a waiter would share the loop with what is timed
                await asyncio.sleep(0.01)
    except TimeoutError:
        return None
    return fake.first_ns - sent_ns, fake.created_ns - sent_ns


async def serve() -> None:
    """Run the exchange; say where it is; for each line of standard input fill as many orders as it says."""
    loop = asyncio.get_running_loop()
    config = FakeConfig(symbols=(SymbolConfig(name=SYMBOL),))
    async with TimedExchange.running(config) as fake:
        print(json.dumps({"rest_url": fake.rest_url, "ws_url": fake.ws_url}), flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            fake.venue.set_price(SYMBOL, _PRICE)
            found = [await one(fake, side) for side in ("SELL", "BUY") * (int(line) // 2)]  # to and fro, so that each has a counter-order
            print(json.dumps([times for times in found if times is not None]), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
