"""Every REST fault once, as an unmodified ccxt client meets it."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange import FakeExchange

BTC = "BTC/USDT:USDT"
POST = "POST /fapi/v1/order"
OPEN = "GET /fapi/v1/openOrders"


async def place(perp: Any, name: str = "g1") -> Any:
    return await perp.create_order(BTC, "limit", "sell", 0.1, 96_000, {"clientOrderId": name})


async def test_a_request_dropped_before_leaves_nothing_behind(fake: FakeExchange, perp: Any) -> None:
    fake.control.fault(POST, "drop_before")
    with pytest.raises(ccxt.NetworkError):
        await place(perp)
    assert fake.venue.orders() == []
    assert [r.processed for r in fake.venue.requests("POST", "/fapi/v1/order")] == [False]


async def test_a_reply_dropped_after_leaves_the_order_live(fake: FakeExchange, perp: Any) -> None:
    fake.control.fault(POST, "drop_after")
    with pytest.raises(ccxt.NetworkError):
        await place(perp)
    assert [o.client_id for o in fake.venue.open_orders()] == ["g1"]


@pytest.mark.parametrize(("kind", "orders"), [("timeout_before", 0), ("timeout_after", 1)])
async def test_a_timeout_says_nothing_about_the_order(fake: FakeExchange, perp: Any, kind: str, orders: int) -> None:
    fake.control.fault(POST, kind)
    perp.timeout = 100
    with pytest.raises(ccxt.RequestTimeout):
        await place(perp)
    assert len(fake.venue.orders()) == orders


@pytest.mark.parametrize(("when", "orders"), [("before", 0), ("after", 1)])
async def test_a_503_comes_before_or_after_the_fact(fake: FakeExchange, perp: Any, when: str, orders: int) -> None:
    fake.control.fault(POST, "status", when=when)
    with pytest.raises(ccxt.BaseError, match="1007"):
        await place(perp)
    assert len(fake.venue.orders()) == orders


@pytest.mark.parametrize("kind", ["truncate", "cut", "html", "empty", "nulls", "nan"])
async def test_an_unreadable_reply_hides_an_order_that_is_live(fake: FakeExchange, perp: Any, kind: str) -> None:
    fake.control.fault(POST, kind)
    try:
        order = await place(perp)
    except (ccxt.BaseError, ValueError, ArithmeticError, AttributeError, TypeError, KeyError):
        order = None
    assert order is None or order["id"] is None or order["price"] != 96_000
    assert [o.client_id for o in fake.venue.open_orders()] == ["g1"]


async def test_a_stale_reply_is_the_one_before(fake: FakeExchange, perp: Any) -> None:
    assert await perp.fetch_open_orders(BTC) == []
    await place(perp)
    fake.control.fault(OPEN, "stale")
    assert await perp.fetch_open_orders(BTC) == []
    assert len(await perp.fetch_open_orders(BTC)) == 1


async def test_a_fresh_order_may_be_hidden_for_a_while(fake: FakeExchange, perp: Any) -> None:
    order = await place(perp)
    for route in (OPEN, "GET /fapi/v1/order"):
        fake.control.fault(route, "hide_new", seconds=5, times=None)
    assert await perp.fetch_open_orders(BTC) == []
    with pytest.raises(ccxt.OrderNotFound):
        await perp.fetch_order(order["id"], BTC)
    fake.venue.offset_ms += 6_000
    assert len(await perp.fetch_open_orders(BTC)) == 1


async def test_an_order_may_be_taken_twice(fake: FakeExchange, perp: Any) -> None:
    fake.control.fault(POST, "duplicate")
    await place(perp)
    assert [o.client_id for o in fake.venue.open_orders()] == ["g1", "g1"]


async def test_cancel_all_may_cancel_only_half(fake: FakeExchange, perp: Any) -> None:
    for number in range(4):
        await place(perp, f"g{number}")
    fake.control.fault("DELETE /fapi/v1/allOpenOrders", "partial")
    await perp.cancel_all_orders(BTC)
    assert len(fake.venue.open_orders()) == 2


async def test_rows_may_be_doubled_or_missing(fake: FakeExchange, perp: Any) -> None:
    for number in range(2):
        await place(perp, f"g{number}")
    fake.control.fault(OPEN, "duplicate_rows")
    assert len(await perp.fapiPrivateGetOpenOrders({"symbol": "BTCUSDT"})) == 4
    fake.control.fault(OPEN, "missing_last_row")
    assert len(await perp.fapiPrivateGetOpenOrders({"symbol": "BTCUSDT"})) == 1


async def test_a_delay_delays(fake: FakeExchange, perp: Any) -> None:
    loop = asyncio.get_running_loop()
    fake.control.fault(OPEN, "delay", seconds=0.1)
    before = loop.time()
    await perp.fetch_open_orders(BTC)
    assert loop.time() - before >= 0.1


@pytest.mark.parametrize(("when", "orders"), [("before", 0), ("after", 1)])
async def test_a_held_request_waits_for_its_release(fake: FakeExchange, perp: Any, when: str, orders: int) -> None:
    fake.control.fault(POST, "hold", when=when)
    task = asyncio.create_task(place(perp))
    (held,) = await fake.control.wait_held()
    assert held.params["newClientOrderId"] == "g1"
    assert len(fake.venue.orders()) == orders
    fake.control.release()
    assert (await task)["clientOrderId"] == "g1"
    assert len(fake.venue.orders()) == 1


async def test_a_held_request_is_processed_though_its_client_died_unless_it_is_lost(fake: FakeExchange, perp: Any) -> None:
    for process in (True, False):
        fake.control.fault(POST, "hold")
        perp.timeout = 50
        with pytest.raises(ccxt.RequestTimeout):
            await place(perp, f"late{process}")
        assert fake.control.release(process=process) == 1
        await asyncio.sleep(0.05)
    assert [o.client_id for o in fake.venue.orders()] == ["lateTrue"]


async def test_429_and_418_carry_retry_after_and_a_ban_lasts(fake: FakeExchange, perp: Any) -> None:
    fake.control.fault(POST, "rate_limit", seconds=7)
    with pytest.raises(ccxt.DDoSProtection, match="429"):
        await place(perp)
    assert perp.last_response_headers["Retry-After"] == "7"
    fake.control.fault(POST, "ban", seconds=30)
    for _ in range(2):
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            await place(perp)
    assert fake.venue.orders() == []
    fake.venue.offset_ms += 31_000
    await perp.load_time_difference()
    await place(perp)


async def test_an_unreachable_venue_comes_back(fake: FakeExchange, perp: Any, eventually: Any) -> None:
    fake.control.unreachable(0.2)
    with pytest.raises(ccxt.NetworkError):
        await perp.fetch_open_orders(BTC)
    await eventually(lambda: not fake.faults.unreachable)
    assert await perp.fetch_open_orders(BTC) == []


async def test_a_fault_waits_counts_and_takes_its_share(fake: FakeExchange, perp: Any) -> None:
    fake.control.fault(POST, "status", after=1, times=1)
    await place(perp, "a")
    with pytest.raises(ccxt.BaseError):
        await place(perp, "b")
    await place(perp, "c")
    fake.control.fault("GET *", "status", times=None, chance=0.5)
    failures = 0
    for _ in range(40):
        try:
            await perp.fetch_open_orders(BTC)
        except ccxt.BaseError:
            failures += 1
    assert 5 < failures < 35
    fake.control.clear()
    assert len(await perp.fetch_open_orders(BTC)) == 2


async def test_an_unknown_fault_is_refused_by_name(fake: FakeExchange) -> None:
    with pytest.raises(ConfigError, match="no such fault"):
        fake.control.fault(POST, "gremlins")
