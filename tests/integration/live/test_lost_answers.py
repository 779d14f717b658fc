"""Orders whose answer is lost, late, mangled or wrong: each is at the venue once, or is placed once more, and never twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.faults import HTML, UNKNOWN_BODY
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal

CREATE = "POST /fapi/v1/[ob]*rder*"  # one order, or a batch of them
STOP = "POST /fapi/v1/algoOrder"
ASK = "GET /fapi/v1/order"
LIST = "GET /fapi/v1/openOrders"
HURRIED = {**QUICK, "request_timeout_s": 0.6}
TAKER = {"hedge": {"escalate_after_s": 0}}  # the hedge is opened by one order that takes at once
DUPLICATE = json.dumps(Refusal(-4116).body())

BEFORE = [("timeout_before", {}), ("drop_before", {}), ("status", {"status": 503}), ("status", {"status": 504, "body": HTML})]
AFTER = [
    ("timeout_after", {}),
    ("drop_after", {}),
    ("cut", {}),
    ("truncate", {}),
    ("empty", {}),
    ("html", {}),
    ("nulls", {}),
    ("nan", {}),
    ("status", {"when": "after", "status": 503, "body": UNKNOWN_BODY}),
    ("status", {"when": "after", "status": 500, "body": ""}),
    ("status", {"when": "after", "status": 504, "body": HTML}),
    ("status", {"when": "after", "status": 408, "body": '{"code":-1007,"msg":"Timeout waiting for response from backend server."}'}),
    ("status", {"when": "after", "status": 400, "body": DUPLICATE}),
]


def creates(rehearsal):
    """How often each client order id was sent, alone or in a batch."""
    names = [request.params["newClientOrderId"] for request in rehearsal.asked("POST /fapi/v1/order")]
    names += [request.params["clientAlgoId"] for request in rehearsal.asked(STOP)]
    for request in rehearsal.asked("POST /fapi/v1/batchOrders"):
        names += [row["newClientOrderId"] for row in json.loads(request.params["batchOrders"])]
    return Counter(names)


async def assert_sound(rehearsal):
    await rehearsal.quiet()
    assert await rehearsal.broken() == []
    assert set(creates(rehearsal).values()) == {1}, "an order id was sent twice"
    assert rehearsal.worst_exposure() <= 1


async def undisturbed(rehearsal):
    """The whole hedge: the order that opens it, ten nodes and the stop."""
    await assert_sound(rehearsal)
    nodes = [("grid", "sell", node, Decimal("0.025")) for node in range(1, 11)]
    assert rehearsal.laid_out() == sorted([*nodes, ("rebalance", "sell", 0, Decimal("0.5")), ("stop", "sell", 0, Decimal(1))])


async def round_trip(rehearsal, count):
    """Let nodes fill on the way up or down, so that counter-orders and a stop of another size go out."""
    await rehearsal.quiet(20.0)
    rehearsal.move(96_500 if count % 2 else 98_500)
    await rehearsal.until(lambda: not rehearsal.fake.faults.active)
    await assert_sound(rehearsal)


async def risen(rehearsal):
    """The hedge is on and two nodes have filled."""
    await rehearsal.quiet()
    rehearsal.move(97_500)
    await rehearsal.quiet()


async def test_creates_that_the_venue_never_saw_are_asked_for_and_then_placed_once(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await risen(rehearsal)
        for count, (kind, options) in enumerate(BEFORE):
            for route in (CREATE, STOP):
                rehearsal.fake.faults.add(route, kind, **options)
            await round_trip(rehearsal, count)
        there = {o.client_id for o in [*rehearsal.ours(), *rehearsal.our_stops()]}
        lost = set(creates(rehearsal)) - there
        assert len(lost) >= 2 * len(BEFORE)
        closed = {s.event.payload["client_order_id"] for s in await rehearsal.events(EventKind.ORDER_CLOSED)}
        assert closed == lost
        for name in lost:
            asked = [r for r in rehearsal.asked("GET /fapi/v1/*rder") if name in r.params.values()]
            assert len(asked) >= 2, f"{name} was given up after {len(asked)} questions"


@pytest.mark.parametrize("half", [0, 1])
async def test_creates_whose_answer_is_lost_or_mangled_are_adopted(tmp_path, half):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await risen(rehearsal)
        for count, (kind, options) in enumerate(AFTER[half::2]):
            for route in (CREATE, STOP):
                rehearsal.fake.faults.add(route, kind, **options)
            await round_trip(rehearsal, count)
            there = {o.client_id for o in [*rehearsal.ours(), *rehearsal.our_stops()]}
            assert set(creates(rehearsal)) == there, f"{kind} {options}: something was sent that is not there"
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
async def test_every_answer_of_a_whole_start_may_be_lost(tmp_path, kind):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "request_timeout_s": 0.4}, start=False) as rehearsal:
        for route in (CREATE, STOP):
            rehearsal.fake.faults.add(route, kind, times=4 if route == CREATE else 2)
        await rehearsal.start()
        await rehearsal.until(lambda: len(rehearsal.fake.faults.hits) >= 4, 20.0)
        await rehearsal.quiet(20.0)
        rehearsal.fake.faults.clear()
        await undisturbed(rehearsal)


async def test_orders_that_took_at_once_fill_once_though_their_answers_were_lost(tmp_path):
    kinds = [AFTER[0], AFTER[1], AFTER[3], AFTER[8]]
    async with Rehearsal.running(tmp_path, TAKER, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add("POST /fapi/v1/order", kinds[0][0])
        await rehearsal.start()
        for kind, options in kinds[1:]:
            await assert_sound(rehearsal)
            assert rehearsal.position == Decimal("-0.5")
            rehearsal.fake.faults.add("POST /fapi/v1/order", kind, **options)
            rehearsal.fake.venue.trade_outside(None, rehearsal.name, "BUY", "0.2")  # a gap that is closed by taking
            await rehearsal.until(lambda: not rehearsal.fake.faults.active)
        await assert_sound(rehearsal)
        assert rehearsal.position == Decimal("-0.5")
        assert len(rehearsal.fake.venue.fills()) == 7


async def test_an_order_that_fills_while_nobody_knows_of_it_is_booked_under_its_name(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "timeout_after")
        rehearsal.fake.faults.add(ASK, "status", times=3)
        rehearsal.fake.hub.fault("silent", account=rehearsal.fake.venue.account().key, seconds=1.5)
        await rehearsal.start()
        await rehearsal.until(lambda: bool(rehearsal.ours()))
        rehearsal.move(95_500)
        await assert_sound(rehearsal)
        fills = [stored.event.payload["fill"] for stored in await rehearsal.events(EventKind.FILL)]
        assert [fill["purpose"] for fill in fills] == ["rebalance"]
        assert rehearsal.position == Decimal("-0.5")


@pytest.mark.parametrize("times", [1, 3])
async def test_answers_about_an_unknown_order_may_be_lost_too(tmp_path, times):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "drop_after")
        for kind in ("status", "truncate", "nulls", "html"):
            rehearsal.fake.faults.add(ASK, kind, times=times)
        await rehearsal.start()
        await undisturbed(rehearsal)


# --- what the venue says is mangled, stale or early ---------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["truncate", "cut", "nulls", "nan", "empty", "html"])
async def test_mangled_answers_to_every_question_crash_nothing_and_change_nothing(tmp_path, kind):
    routes = ["v3/account", "v3/positionRisk", "v1/openOrders", "v1/openAlgoOrders", "v1/userTrades"]
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        for count, route in enumerate(routes):  # one after the other: each failure in a row is waited for longer
            rehearsal.fake.faults.add(f"GET /fapi/{route}", kind)
            rehearsal.move((96_000, 95_000)[count % 2])
            rehearsal.live.broker.live.reread()
            await rehearsal.until(lambda: not rehearsal.fake.faults.active, 20.0)
        await assert_sound(rehearsal)
        assert not rehearsal.ended
        assert rehearsal.position <= Decimal("-0.5")
        assert not [text for text in await rehearsal.alerts() if text.startswith("halted")]


@pytest.mark.parametrize("kind", ["html", "empty", "nulls", "truncate"])
@pytest.mark.parametrize("route", ["positionRisk", "account"])
async def test_no_new_order_goes_out_while_position_or_wallet_cannot_be_believed(tmp_path, route, kind):
    quick = {**HURRIED, "stale_after_s": 1.0}
    async with Rehearsal.running(tmp_path, TAKER, quick=quick) as rehearsal:
        await rehearsal.quiet()
        held = rehearsal.position
        assert held == Decimal("-0.5")
        rehearsal.fake.faults.add(f"GET /fapi/v3/{route}", kind, times=None)
        await rehearsal.until(lambda: len(rehearsal.fake.faults.hits) >= 1)
        await skipped(rehearsal)
        await asyncio.sleep(1.2)  # whatever was read before the first mangled answer is too old now
        sent = len(rehearsal.asked("POST /fapi/v1/*rder"))
        for price in (96_500, 98_500, 97_000):  # nodes fill: a bot that took the position for flat would sell half a coin again
            rehearsal.move(price)
            await asyncio.sleep(0.2)
        await rehearsal.until(lambda: rehearsal.fake.faults.hits[-1][0].endswith(route) and len(rehearsal.fake.faults.hits) >= 3, 20.0)
        assert len(rehearsal.asked("POST /fapi/v1/*rder")) == sent
        assert rehearsal.live.last is not None
        assert rehearsal.live.last[0].account.position.quantity <= held
        rehearsal.fake.faults.clear()
        await rehearsal.until(lambda: len(rehearsal.asked("POST /fapi/v1/*rder")) > sent, 40.0)
        await assert_sound(rehearsal)
        assert await rehearsal.events(EventKind.TICK_SKIPPED)


async def skipped(rehearsal, within_s=20.0):
    """Wait until the bot has said that it does nothing."""
    async with asyncio.timeout(within_s):
        while not await rehearsal.events(EventKind.TICK_SKIPPED):  # noqa: ASYNC110 - the record is asked, and it is in a file
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("hidden", ["lists", "lists and lookups"])
async def test_fresh_orders_that_the_venue_does_not_show_yet_are_not_placed_again(tmp_path, hidden):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "settle_after_s": 2.0}, start=False) as rehearsal:
        for route in ["openOrders", "openAlgoOrders"] + ["order", "algoOrder"] * (hidden != "lists"):
            rehearsal.fake.faults.add(f"GET /fapi/v1/{route}", "hide_new", times=None, seconds=1.5)
        await rehearsal.start()
        for _ in range(8):  # a reconciliation every half second; the orders come out of hiding meanwhile
            await asyncio.sleep(0.25)
            assert creates(rehearsal).total() <= 12
        await undisturbed(rehearsal)


async def test_an_unknown_order_that_the_venue_hides_for_a_while_is_not_placed_again(tmp_path):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "settle_after_s": 2.0}, start=False) as rehearsal:
        rehearsal.fake.faults.add("GET /fapi/v1/*rder*", "hide_new", times=None, seconds=1.5)
        rehearsal.fake.faults.add(CREATE, "drop_after", after=1, times=2)
        await rehearsal.start()
        await undisturbed(rehearsal)
        assert creates(rehearsal).total() == 12


@pytest.mark.parametrize(
    "route", ["GET /fapi/v1/openOrders", "GET /fapi/v1/openAlgoOrders", "GET /fapi/v3/positionRisk", "GET /fapi/v1/userTrades"]
)
async def test_a_stale_answer_moves_nothing_back(tmp_path, route):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add(route, "stale", times=3)
        rehearsal.move(96_500)
        await rehearsal.until(lambda: not rehearsal.fake.faults.active)
        await assert_sound(rehearsal)
        assert rehearsal.position == Decimal("-0.525")
        rehearsal.fake.faults.add(route, "stale", times=2)
        rehearsal.move(95_200)
        await rehearsal.until(lambda: not rehearsal.fake.faults.active)
        await assert_sound(rehearsal)
        assert not rehearsal.ended


async def test_a_fill_that_comes_before_its_acknowledgement_is_booked_once(tmp_path):
    async with Rehearsal.running(tmp_path, TAKER, quick={**HURRIED, "request_timeout_s": 5.0}, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "hold", when="after")
        await rehearsal.start()
        await rehearsal.fake.faults.wait_held()
        assert rehearsal.position == Decimal("-0.5")
        books = rehearsal.live.broker._open[rehearsal.live.symbol].desk.books
        await rehearsal.until(lambda: len(books.fills) == 1)
        rehearsal.fake.faults.release()
        await assert_sound(rehearsal)
        assert len(await rehearsal.events(EventKind.FILL)) == 1
        assert rehearsal.position == Decimal("-0.5")


async def test_a_resting_order_that_fills_in_parts_before_its_acknowledgement_is_booked_in_parts(tmp_path):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "request_timeout_s": 5.0}, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "hold", when="after")
        await rehearsal.start()
        await rehearsal.fake.faults.wait_held()
        order = rehearsal.ours()[0]
        for part in ("0.1", "0.15"):
            rehearsal.fake.venue.fill_part(None, rehearsal.name, order.client_id, part)
        rehearsal.fake.faults.release()
        await assert_sound(rehearsal)
        rehearsal.fake.venue.fill_part(None, rehearsal.name, order.client_id, "0.05")
        await assert_sound(rehearsal)
        assert rehearsal.position == Decimal("-0.3")
        assert len(await rehearsal.events(EventKind.FILL)) == 3
        assert creates(rehearsal)[order.client_id] == 1


async def test_a_stop_that_fires_before_its_acknowledgement_is_booked_as_the_stop(tmp_path):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "request_timeout_s": 5.0}, start=False) as rehearsal:
        rehearsal.fake.faults.add(STOP, "hold", when="after")
        await rehearsal.start()
        await rehearsal.fake.faults.wait_held(timeout=10.0)
        rehearsal.move(80_000)
        await asyncio.sleep(0.1)
        rehearsal.fake.faults.release()
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
        fills = [stored.event.payload["fill"] for stored in await rehearsal.events(EventKind.FILL)]
        assert [fill["purpose"] for fill in fills if fill["purpose"] == "stop"] == ["stop"]
        assert len(await rehearsal.events(EventKind.STOP_LATCHED)) == 1
        assert rehearsal.worst_exposure() <= 1


# --- the venue takes an order twice -------------------------------------------------------------------------------------
def doubled(rehearsal):
    """The names under which more than one order is live."""
    names = Counter(order.client_id for order in rehearsal.ours() if order.is_open)
    return {name for name, count in names.items() if count > 1}


def live_nodes(rehearsal):
    return Counter((purpose, side, node) for purpose, side, node, _ in rehearsal.laid_out())


@pytest.mark.parametrize("after", [0, 1])
async def test_of_an_order_that_the_venue_took_twice_the_second_is_cancelled_and_the_first_stays(tmp_path, after):
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "duplicate", after=after, times=2)
        await rehearsal.start()
        await rehearsal.until(lambda: len(doubled(rehearsal)) == 2)
        await rehearsal.until(lambda: not doubled(rehearsal))
        await rehearsal.quiet()
        await asyncio.sleep(0.8)  # a reconciliation more
        await rehearsal.quiet()
        assert max(live_nodes(rehearsal).values()) == 1
        assert len(rehearsal.laid_out()) == 12
        assert creates(rehearsal).total() == 12
        assert [text for text in await rehearsal.alerts() if text.startswith("twice")]
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


@pytest.mark.parametrize("which", ["both", "first", "second"])
async def test_what_an_order_taken_twice_fills_counts_and_nothing_of_it_stays(tmp_path, which):
    """Both are live for a moment at the venue and may fill: the position is what the venue says, and the gap is closed again."""
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "reconcile_s": 5.0}, start=False) as rehearsal:
        rehearsal.fake.faults.add(CREATE, "duplicate", after=1)
        await rehearsal.start()
        await rehearsal.until(lambda: len(doubled(rehearsal)) == 1)
        name = doubled(rehearsal).pop()
        twins = [order for order in rehearsal.ours() if order.client_id == name]
        account = rehearsal.fake.venue.account()
        for twin in {"both": twins, "first": twins[:1], "second": twins[1:]}[which]:
            account.desk_of(twin).fill_part(twin, twin.quantity)
        await rehearsal.until(lambda: not doubled(rehearsal))
        await rehearsal.quiet(20.0)
        await asyncio.sleep(0.6)
        rehearsal.live.broker.live.reread()
        await asyncio.sleep(0.6)
        await rehearsal.quiet(20.0)
        assert len([order for order in twins if order.is_open]) <= (which == "second")  # the first may rest on
        problems = [problem for problem in await rehearsal.broken() if "B:" not in problem]
        assert problems == []
        assert max(live_nodes(rehearsal).values()) == 1
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []
