"""Too many requests: silence for as long as the venue asks for it, and cancels and stops that can always be afforded."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal

import ccxt
import pytest

from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal
from alpha_pulse.market.ccxt_mapping import make_exchange
from alpha_pulse.market.guard import Haste, RequestGuard, hasty

HURRIED = {**QUICK, "request_timeout_s": 0.6}


def asked(rehearsal):
    """Requests of any kind that reached the venue, the market feed's too."""
    return rehearsal.fake.door.counts.total()


def guard_of(rehearsal) -> RequestGuard:
    return rehearsal.live.broker.live.guard


async def banned(rehearsal):
    """Wait until the answer that asks for silence has come, and whatever was on its way with it."""
    await rehearsal.until(lambda: guard_of(rehearsal).banned_for() > 0)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("route", ["GET /fapi/v1/*", "GET /api/v3/*", "GET /fapi/v3/positionRisk"])
@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
async def test_nothing_at_all_is_sent_until_the_time_that_the_venue_names(tmp_path, kind, route):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add(route, kind, seconds=3.0)
        await banned(rehearsal)
        sent = asked(rehearsal)
        for price in (95_500, 97_000, 95_200, 96_500):  # fills come by the stream, and everybody would like to ask and to trade
            rehearsal.move(price)
            await asyncio.sleep(0.4)
        assert guard_of(rehearsal).banned_for() > 0.2, "the machine is too slow for this test"
        assert asked(rehearsal) == sent
        await rehearsal.until(lambda: asked(rehearsal) > sent)
        assert guard_of(rehearsal).refused == 1
        await rehearsal.quiet(30.0)
        assert await rehearsal.broken() == []
        assert rehearsal.worst_exposure() <= 1
        assert not rehearsal.ended


@pytest.mark.parametrize("kind", ["rate_limit", "ban"])
async def test_a_create_that_is_refused_for_haste_is_not_taken_for_an_order_and_not_doubled(tmp_path, kind):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add("POST /fapi/v1/[ob]*rder*", kind, seconds=2.0, after=1)
        await rehearsal.start()
        await banned(rehearsal)
        sent = asked(rehearsal)
        await asyncio.sleep(1.0)
        assert asked(rehearsal) == sent
        await rehearsal.until(lambda: asked(rehearsal) > sent)
        await rehearsal.quiet(30.0)
        assert await rehearsal.broken() == []
        assert rehearsal.worst_exposure() <= 1


async def test_a_stop_during_a_ban_sends_nothing_and_the_next_start_takes_up_what_is_left(tmp_path):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "dead_man_switch_s": 0}) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add("GET /fapi/v3/positionRisk", "ban", seconds=4.0)
        await banned(rehearsal)
        sent = asked(rehearsal)
        async with asyncio.timeout(3.0):
            await rehearsal.stop()
        assert asked(rehearsal) == sent
        assert len(rehearsal.left_behind()) == 12
        await asyncio.sleep(max(0.0, guard_of(rehearsal).banned_for()) + 0.1)
        await rehearsal.start()
        await rehearsal.quiet()
        assert len(rehearsal.laid_out()) == 12
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []
        assert await rehearsal.broken() == []


@contextlib.asynccontextmanager
async def spent(rehearsal):
    """Somebody asks for so much that everything above the reserve is gone; yields the requests that wait for their turn."""
    rest = rehearsal.live.broker.live.connection.rest
    symbol = rehearsal.live.symbol
    greedy = [asyncio.create_task(rest.fetch_order_book(symbol, 1000)) for _ in range(75)]
    try:
        before = -1
        while before != (before := asked(rehearsal)):  # noqa: ASYNC110 - the venue is another program
            await asyncio.sleep(0.3)
        assert not all(task.done() for task in greedy)
        yield greedy
    finally:
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)


PATIENT = {**HURRIED, "stale_after_s": 60, "weight_per_minute": 1200}  # reads wait for their turn: what was read before holds that long


async def test_with_the_budget_spent_cancels_still_go_out_at_once(tmp_path):
    async with Rehearsal.running(tmp_path, quick=PATIENT) as rehearsal:
        await rehearsal.quiet()
        async with spent(rehearsal):
            rehearsal.live.request_stop("the budget is spent")
            await rehearsal.until(lambda: not rehearsal.open_orders(), 6.0)
            async with asyncio.timeout(10.0):
                assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_with_the_budget_spent_a_stop_is_still_placed(tmp_path):
    async with Rehearsal.running(tmp_path, quick=PATIENT) as rehearsal:
        await rehearsal.quiet()
        async with spent(rehearsal):
            rehearsal.move(95_500)  # the hedge opens: half of the stop is enough
            await rehearsal.until(lambda: [s.quantity for s in rehearsal.our_stops() if s.is_open] == [Decimal("0.5")], 4.0)


async def test_with_the_budget_spent_no_grid_order_holds_a_stop_up(tmp_path):
    async with Rehearsal.running(tmp_path, quick=PATIENT) as rehearsal:
        await rehearsal.quiet()
        async with spent(rehearsal):
            for price in (95_500, 97_000, 98_000):  # nodes fill: counter-orders are wanted, and a stop of another size
                rehearsal.move(price)
                await asyncio.sleep(0.2)
            await rehearsal.until(lambda: sum(s.quantity for s in rehearsal.our_stops() if s.is_open) == 1 + rehearsal.position, 4.0)


@pytest.mark.parametrize(
    ("exchange_id", "given", "budget"),
    [("binanceusdm", {}, 2400.0), ("binanceusdm", {"binanceusdm": 600.0}, 600.0), ("bybit", {}, None), ("bybit", {"bybit": 900.0}, 900.0)],
)
async def test_the_budget_is_what_is_given_else_documented_else_what_ccxt_counts_on(exchange_id, given, budget):
    exchange = make_exchange(exchange_id)
    try:
        expected = budget or 60_000 / exchange.rateLimit
        guard = RequestGuard(reserve=0.25, weight_per_minute=given)
        guard.install(exchange)
        limiter = exchange.throttler.config
        assert limiter["maxWeight"] == pytest.approx(expected * limiter["windowSize"] / 60_000)
        with hasty(Haste.PROTECT):
            await exchange.throttle(0.74 * expected)
        async with asyncio.timeout(1.0):
            await exchange.throttle(0.005 * expected)  # reading leaves the reserve of a quarter
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await exchange.throttle(0.02 * expected)
    finally:
        await exchange.close()


class Queued:
    """As much of a ccxt exchange as the guard touches; its own limiter lets nobody through until it is told to."""

    id, rateLimit = "queued", 50  # noqa: N815 - ccxt's spelling

    def __init__(self):
        self.opened = asyncio.Event()

    async def throttle(self, cost=None):
        del cost
        await self.opened.wait()


@pytest.mark.parametrize("status", [429, 418])
async def test_a_request_that_waits_for_its_turn_is_not_sent_when_a_ban_comes_meanwhile(status):
    guard, exchange = RequestGuard(), Queued()
    guard.install(exchange)
    waiting = asyncio.create_task(exchange.throttle(1))
    await asyncio.sleep(0)
    exchange.on_rest_response(status, "", "http://venue/fapi/v1/order", "GET", {"retry-after": "30"}, "{}", None, None)
    exchange.opened.set()
    with pytest.raises(ccxt.RateLimitExceeded, match="asked for silence"):
        await waiting
    with hasty(Haste.PROTECT), pytest.raises(ccxt.RateLimitExceeded):
        await exchange.throttle(1)
