"""Cancels that are lost, come too late, or take only a part along: nothing is forgotten, and nothing stays."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.faults import HTML
from alpha_pulse.fake_exchange.rehearsal import QUICK, Rehearsal

CANCEL = "DELETE /fapi/v1/*rder*"
HURRIED = {**QUICK, "request_timeout_s": 0.6}


async def finish(rehearsal):
    assert await rehearsal.stop() == 0
    assert rehearsal.left_behind() == []
    assert await rehearsal.broken() == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("timeout_before", {}),
        ("timeout_after", {}),
        ("drop_after", {}),
        ("truncate", {}),
        ("nulls", {}),
        ("html", {}),
        ("status", {"status": 503}),
        ("status", {"status": 504, "when": "after", "body": HTML}),
    ],
)
async def test_a_stop_leaves_nothing_behind_when_cancels_or_their_answers_are_lost(tmp_path, kind, options):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add(CANCEL, kind, times=3, **options)
        await finish(rehearsal)
        stopped = (await rehearsal.events(EventKind.STOPPED))[0].event.payload
        assert (stopped["cancelled"], stopped["left"]) == (12, 0)


async def test_a_cancel_that_is_lost_in_the_middle_of_a_run_is_sent_again_and_the_order_stays_known(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        for kind in ("timeout_before", "drop_after", "timeout_after", "html"):
            rehearsal.fake.faults.add(CANCEL, kind)
            rehearsal.move(98_000 if kind.startswith("timeout") else 96_000)  # the stop is replaced: its quantity is another one
            await rehearsal.until(lambda: not rehearsal.fake.faults.active)
            await rehearsal.quiet(20.0)
            assert await rehearsal.broken() == []
            assert len([stop for stop in rehearsal.our_stops() if stop.is_open]) == 1
            assert rehearsal.worst_exposure() <= 1
        await finish(rehearsal)


async def test_orders_that_fill_while_they_are_being_cancelled_are_booked(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add(CANCEL, "hold", times=None)
        rehearsal.live.request_stop("cancels that race fills")
        await rehearsal.fake.faults.wait_held()
        rehearsal.move(97_500)  # the opening order and two nodes fill first
        rehearsal.fake.faults.clear()
        rehearsal.fake.faults.release()
        await finish(rehearsal)
        assert rehearsal.position == Decimal("-0.55")


async def test_a_partly_filled_order_that_is_cancelled_keeps_what_it_filled(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.hub.fault("silent", account=rehearsal.fake.venue.account().key, seconds=1.0)
        order = next(o for o in rehearsal.ours() if o.quantity == Decimal("0.5"))
        rehearsal.fake.faults.add(CANCEL, "drop_after", times=2)
        rehearsal.fake.venue.fill_part(None, rehearsal.name, order.client_id, "0.2")
        await finish(rehearsal)
        assert rehearsal.position == Decimal("-0.2")


@pytest.mark.parametrize("kind", ["timeout_after", "drop_after"])
async def test_an_order_without_an_answer_that_is_live_is_cancelled_with_the_rest(tmp_path, kind):
    async with Rehearsal.running(tmp_path, quick={**HURRIED, "settle_first_s": 0.4}) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add("POST /fapi/v1/[ob]*rder*", kind)
        rehearsal.fake.faults.add("GET /fapi/v1/order", "status", times=2)
        rehearsal.move(98_000)
        await rehearsal.until(lambda: bool(rehearsal.live.state.unknown))
        await finish(rehearsal)


async def test_an_order_that_arrives_after_it_was_given_up_is_cancelled(tmp_path):
    """The request is held on the way for longer than anybody asks after it. Two orders for one node is what must not stay."""
    async with Rehearsal.running(tmp_path, quick=HURRIED, start=False) as rehearsal:
        rehearsal.fake.faults.add("POST /fapi/v1/order", "hold")
        await rehearsal.start()
        await rehearsal.quiet(20.0)
        late = rehearsal.laid_out()
        assert len(late) == 12
        assert rehearsal.fake.faults.release() == 1
        opening = "rebalance", "sell", 0, Decimal("0.5")
        await rehearsal.until(lambda: rehearsal.laid_out().count(opening) == 2)
        await rehearsal.until(lambda: rehearsal.laid_out().count(opening) == 1)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
        assert rehearsal.laid_out() == late
        await finish(rehearsal)


async def test_a_cancel_of_many_that_takes_only_a_part_along_is_looked_after(tmp_path):
    """The venue answers that all is cancelled, and half of it is not."""
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        for route in ("DELETE /fapi/v1/batchOrders", "DELETE /fapi/v1/all*", "DELETE /fapi/v1/algoOpen*"):
            rehearsal.fake.faults.add(route, "partial", times=1)
        await finish(rehearsal)


async def test_a_venue_that_forgets_cancels_twice_in_a_row_is_asked_again_at_the_stop(tmp_path):
    async with Rehearsal.running(tmp_path, quick=HURRIED) as rehearsal:
        await rehearsal.quiet()
        rehearsal.fake.faults.add(CANCEL, "drop_before", times=4)
        rehearsal.fake.faults.add("GET /fapi/v1/openOrders", "stale", times=2)
        await finish(rehearsal)
