"""What the venue refuses is understood, not repeated in a loop, and mended where it can be."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal
from alpha_pulse.hedging.common.order_ids import read_order_id

HURRIED = {**QUICK, "request_timeout_s": 0.6}
CREATE = "POST /fapi/v1/order"


def tries(rehearsal):
    """How often each kind of order was sent."""
    names = [request.params["newClientOrderId"] for request in rehearsal.asked(CREATE)]
    names += [request.params["clientAlgoId"] for request in rehearsal.asked("POST /fapi/v1/algoOrder")]
    for request in rehearsal.asked("POST /fapi/v1/batchOrders"):
        names += [row["newClientOrderId"] for row in json.loads(request.params["batchOrders"])]
    said = [name for text in names if (name := read_order_id(rehearsal.tag, text)) is not None]
    return Counter((name.purpose.value, name.side.value, name.node) for name in said)


def refusing(rehearsal, code, *, times=None):
    """Every create is refused with a code of the venue's."""
    body = json.dumps(Refusal(code).body())
    for route in (CREATE, "POST /fapi/v1/batchOrders"):
        rehearsal.fake.faults.add(route, "status", times=times, status=400, body=body)


async def wiggle(rehearsal, seconds):
    """A market that moves a little, so that there is a tick again and again."""
    loop = asyncio.get_running_loop()
    until, count = loop.time() + seconds, 0
    while loop.time() < until:
        count += 1
        rehearsal.move(95_000 - 10 * (count % 3))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("code", [-2019, -5022, -2010])
async def test_what_is_refused_again_and_again_is_asked_less_and_less_often_and_the_rest_stays(tmp_path, code):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        refusing(rehearsal, code, times=20)
        await rehearsal.start()
        await wiggle(rehearsal, 3.0)
        await rehearsal.quiet()
        assert max(tries(rehearsal).values()) <= 3
        assert len(rehearsal.our_stops()) == 1, "the stop was not refused"
        assert rehearsal.our_stops()[0].is_open
        assert await rehearsal.broken() == []
        assert await rehearsal.events(EventKind.ORDER_REJECTED) or code == -2010
        assert not rehearsal.ended
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_a_node_that_the_margin_does_not_carry_is_left_out_and_the_others_are_placed(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "status", times=None, status=400, body=json.dumps(Refusal(-2019).body()))
        await rehearsal.start()
        await wiggle(rehearsal, 1.5)
        await rehearsal.quiet()
        assert ("rebalance", "sell", 0) not in {row[:3] for row in rehearsal.laid_out()}
        assert len([row for row in rehearsal.laid_out() if row[0] == "grid"]) == 10
        assert tries(rehearsal)["rebalance", "sell", 0] <= 2
        assert await rehearsal.broken() == []


async def test_a_wallet_that_is_nearly_empty_neither_loops_nor_passes_a_limit(tmp_path):
    poor = FakeConfig(accounts=(AccountConfig(usdt=Decimal(20_000)),))
    async with Rehearsal.running(tmp_path, quick=HURRIED, fake=poor) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.venue.transfer(None, "USDT", -17_000)
        for price in (95_500, 96_500, 95_800, 97_500):
            rehearsal.move(price)
            await rehearsal.quiet(20.0)
        assert await rehearsal.broken() == []
        assert max(tries(rehearsal).values()) <= 6
        assert rehearsal.worst_exposure() * 97_500 <= 20_000 * 2
        assert not rehearsal.ended


async def test_post_only_orders_that_the_market_has_passed_are_refused_by_the_venue_and_not_chased(tmp_path):
    """Really crossing: the price falls on the way of each order, so that a buy at the touch would take."""
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        rehearsal.move(98_000)
        await rehearsal.quiet()
        for _ in range(3):
            rehearsal.fake.faults.add("POST /fapi/v1/[ob]*rder*", "delay", seconds=0.3, times=2)
            rehearsal.move(96_900)
            await asyncio.sleep(0.1)
            rehearsal.move(95_900)
            await asyncio.sleep(0.3)
            rehearsal.move(98_000)
            await rehearsal.quiet(20.0)
            assert await rehearsal.broken() == []
            assert rehearsal.worst_exposure() <= 1
        assert max(tries(rehearsal).values()) <= 12


async def test_a_refused_reduce_only_order_has_the_position_read_at_once(tmp_path):
    """The venue's position is another one, and no stream has told: whoever says no is asked how things stand."""
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "reconcile_s": 30.0, "stale_after_s": 60.0}) as rehearsal:
        await rehearsal.quiet()
        await asyncio.sleep(1.0)  # what the start wanted read is read
        account = rehearsal.fake.venue.account().key
        rehearsal.fake.hub.fault("silent", account=account)
        rehearsal.fake.venue.trade_outside(None, rehearsal.name, "SELL", "0.01")
        rehearsal.fake.hub.clear_faults()
        refusing(rehearsal, -2022, times=1)
        rehearsal.fake.faults.add("POST /fapi/v1/algoOrder", "status", status=400, body=json.dumps(Refusal(-2022).body()))
        rehearsal.move(96_500)
        await rehearsal.until(lambda: bool(rehearsal.fake.faults.hits))
        await rehearsal.until(lambda: rehearsal.live.state.fills_booked == 3, 4.0)
        rehearsal.fake.faults.clear()
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
