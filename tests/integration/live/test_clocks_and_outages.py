"""A venue out of reach for a while, at any moment, and clocks that run apart or jump."""

import asyncio
import time
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import AlphaPulseError, Transient
from alpha_pulse.execution.broker_factory import create_broker, live_account
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.ccxt_feed import CcxtFeed
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.ids import SystemIds
from alpha_pulse.runtime.process import SystemHost
from tests.integration.live.staged import PATIENCE_S, Staged, staged

HOUR_S = 3600.0


async def ends_well(rehearsal):
    await rehearsal.settled()
    assert rehearsal.worst()
    assert await rehearsal.broken() == []
    assert await rehearsal.stop() == 0
    assert rehearsal.left_behind() == []
    assert await rehearsal.broken() == []


def grid(rehearsal):
    return [order for order in rehearsal.ours() if order.is_open]


# --- out of reach ------------------------------------------------------------------------------------------------------


async def test_a_bot_comes_back_by_itself_from_an_outage_and_books_what_filled_twice_in_a_row(tmp_path):
    async with staged(tmp_path) as rehearsal:
        for up, down in ((96_000, 94_900), (97_000, 94_900)):
            rehearsal.fake.control.unreachable(5.0)
            rehearsal.move(up)
            seen = len(await rehearsal.skipped())
            deadline = asyncio.get_running_loop().time() + PATIENCE_S
            while len(await rehearsal.skipped()) == seen:  # the record says why nothing goes on
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.1)
            await rehearsal.settled()
            await rehearsal.trade(down, 97_000, count=1)
            await rehearsal.fake.hub.subscribed("user/*", PATIENCE_S)
            assert await rehearsal.broken() == []
        await rehearsal.trade(94_900, 97_000, count=1)
        await ends_well(rehearsal)


async def test_an_outage_in_the_middle_of_a_plan_leaves_no_order_twice(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.control.fault("POST /fapi/v1/*rder*", "hold", when="after", times=1)
        rehearsal.move(96_000)
        await rehearsal.fake.control.wait_held(timeout=PATIENCE_S)
        rehearsal.fake.control.unreachable(3.0)
        rehearsal.fake.control.release(process=False)
        rehearsal.fake.venue.transfer(None, "USDT", 1)
        await rehearsal.settled()
        await ends_well(rehearsal)


async def test_a_venue_whose_account_cannot_be_read_is_asked_less_and_less_often_and_gets_no_new_orders(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.control.fault("GET /fapi/v3/account", "status", times=None)
        begin = time.monotonic()
        deadline = begin + PATIENCE_S
        while not any("last read" in reason for reason in await rehearsal.skipped()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        sent = len(rehearsal.asked("POST /fapi/v1/*rder"))
        rehearsal.move(97_000)
        await asyncio.sleep(6.0)
        asked = [hit for hit in rehearsal.fake.faults.hits if hit[1] == "status"]
        assert 2 <= len(asked) <= (time.monotonic() - begin) / 0.7
        assert len(rehearsal.asked("POST /fapi/v1/*rder")) == sent
        assert [stop for stop in rehearsal.our_stops() if stop.is_open]
        rehearsal.fake.control.clear()
        await rehearsal.settled(60.0)
        assert grid(rehearsal)
        await ends_well(rehearsal)


async def test_a_start_without_a_venue_fails_cleanly_and_the_next_one_works(tmp_path):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.control.unreachable(60.0)
        for _ in range(2):
            with pytest.raises(Transient):
                await rehearsal.start()
        rehearsal.fake.control.clear()
        await rehearsal.start()
        await ends_well(rehearsal)


@pytest.mark.parametrize("after", [0, 4, 9, 14, 20])
async def test_a_start_that_breaks_off_anywhere_leaves_no_lock_and_no_order_twice(tmp_path, after):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.control.fault("*", "drop_before", times=4, after=after)
        try:
            await rehearsal.start()
        except AlphaPulseError:
            rehearsal.fake.control.clear()
            await rehearsal.start()
        await ends_well(rehearsal)


async def test_a_stop_during_an_outage_is_quick_and_the_venue_clears_the_grid(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.control.unreachable(60.0)
        await asyncio.sleep(4.0)  # long enough for the account to be stale: the bot rides it out
        begin = time.monotonic()
        code = await rehearsal.stop()
        assert time.monotonic() - begin < 10.0
        assert code in {0, 1}
        await rehearsal.until(lambda: not grid(rehearsal), PATIENCE_S)  # the dead-man switch
        rehearsal.fake.control.clear()
        await rehearsal.start()
        await ends_well(rehearsal)


# --- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [12, -12])
async def test_a_venue_whose_clock_jumps_is_followed_and_nothing_is_counted_twice(tmp_path, seconds):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.control.set_clock(-120_000)
        await rehearsal.start()
        await rehearsal.settled()
        await rehearsal.trade(95_100, 96_000, count=1)
        rehearsal.fake.venue.settle_funding(rehearsal.name, "0.001")
        async with rehearsal.watched():
            for offset in (seconds, 0, seconds, -seconds):
                rehearsal.fake.control.set_clock((offset - 60) * 1000)
                rehearsal.fake.venue.settle_funding(rehearsal.name, "0.0005")
                await rehearsal.trade(97_000, 95_900)
        await funded(rehearsal, 5)
        await rehearsal.settled()
        assert await rehearsal.broken_but_for_time() == []
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_a_bot_starts_at_a_venue_whose_clock_is_far_off(tmp_path):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.control.set_clock(-90_000)
        await rehearsal.start()
        await rehearsal.settled()
        await rehearsal.trade(95_100, 96_000)
        await rehearsal.stop()
        rehearsal.fake.control.set_clock(90_000)
        await rehearsal.start()
        await rehearsal.trade(97_000, 95_900, count=1)
        await ends_well(rehearsal)


async def funded(rehearsal, count):
    """Wait until so many funding payments are on record; there are no more of them."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while len(found := await rehearsal.events(EventKind.FUNDING)) < count:
        assert asyncio.get_running_loop().time() < deadline, f"{len(found)} of {count} payments"
        await asyncio.sleep(0.1)
    assert len(found) == count
    paid = sum(row.amount for row in rehearsal.fake.venue.income() if row.kind == "FUNDING_FEE")
    assert sum(Decimal(stored.event.payload["payment"]["amount"]) for stored in found) == paid


class Jumping(Staged):
    """A bot on a machine whose clock jumps: its own, and the one that ccxt stamps requests with."""

    ahead_s = 0.0

    async def start(self):
        """As ``Staged.start``, on a clock of its own."""
        clock = SystemClock(lambda: time.time_ns() + round(self.ahead_s * 1e9))  # noqa: TID251 - the machine's clock, which jumps
        account = live_account(self.settings.exchange, self._environ)
        exchange = self.settings.exchange
        feed = CcxtFeed(exchange.id, clock=clock, rest_url=exchange.rest_url, ws_url=exchange.ws_url, pace=self.pace, guard=account.guard)
        broker = create_broker(
            "real",
            self.settings,
            feed=feed,
            clock=clock,
            ids=SystemIds(),
            journal=SqlJournal(self.engine, self.name),
            environ=self._environ,
            live=account,
        )
        store = SqlStore(self.engine, host=SystemHost())
        bot = await self.launch(GridHedgeBot(broker=broker, symbol=self.settings.symbol, config=self.settings.bot_config, store=store))
        rest = account.connection.rest
        ordinary = rest.milliseconds
        rest.milliseconds = lambda: ordinary() + round(self.ahead_s * 1000)
        return bot


@pytest.mark.parametrize("jumps", [(10.0, 0.0, -10.0), (HOUR_S, 0.0), (-HOUR_S, 0.0)], ids=["ten seconds", "an hour ahead", "an hour back"])
async def test_a_local_clock_that_jumps_stops_no_timer_and_counts_nothing_twice(tmp_path, jumps):
    async with staged(tmp_path, kind=Jumping) as rehearsal:
        await rehearsal.trade_through(96_000)
        for seconds in jumps:
            rehearsal.ahead_s = seconds
            rehearsal.fake.venue.settle_funding(rehearsal.name, "0.0005")
            await rehearsal.trade(97_000, 95_900)
            rehearsal.fake.hub.fault("disconnect", seconds=0.5, abort=True)
            await rehearsal.trade(97_000, 95_900)
        await funded(rehearsal, len(jumps))
        await ends_well(rehearsal)
