"""The venue's dead-man switch: it takes the grid out when the bot has fallen silent, and leaves the stop alone."""

import asyncio

from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.market.ccxt_feed import Pace
from tests.integration.live.staged import BY_PRICE_ALONE, Staged
from tests.integration.live.sudden import hang, hedged, kill, lively

SHORT = {"exchange": {"dead_man_switch_s": 1.0}}


def grid_is_out(rehearsal):
    return not any(order.is_open for order in rehearsal.ours())


def stops_on(rehearsal):
    return [stop for stop in rehearsal.our_stops() if stop.is_open]


async def test_a_bot_that_hangs_loses_its_grid_and_keeps_its_stop(tmp_path):
    async with lively(tmp_path, SHORT) as rehearsal:
        await hedged(rehearsal)
        [stop] = stops_on(rehearsal)
        assert not grid_is_out(rehearsal)
        await hang(rehearsal)  # its connection is well and could renew the switch for ever
        await rehearsal.until(lambda: grid_is_out(rehearsal))
        assert stops_on(rehearsal) == [stop]
        await kill_the_rest(rehearsal)
        rehearsal.move(float(stop.trigger_price) - 10)  # and the stop still works
        assert rehearsal.position == -1


async def kill_the_rest(rehearsal):
    await rehearsal.live.store.close()
    rehearsal.live.broker.live.armed_at.clear()
    await rehearsal.live.broker.close()


async def test_a_bot_that_is_gone_loses_its_grid_and_finds_that_out_when_it_comes_back(tmp_path):
    async with lively(tmp_path, SHORT) as rehearsal:
        await hedged(rehearsal)
        before, [stop] = rehearsal.laid_out(), stops_on(rehearsal)
        await kill(rehearsal)
        await rehearsal.until(lambda: grid_is_out(rehearsal))
        assert stops_on(rehearsal) == [stop]
        await rehearsal.start()
        await rehearsal.until(lambda: rehearsal.laid_out() == before)
        assert stops_on(rehearsal) == [stop]
        assert await rehearsal.broken() == []


async def test_orders_that_the_venue_took_out_under_a_living_bot_are_placed_again(tmp_path):
    async with lively(tmp_path, SHORT) as rehearsal:
        await hedged(rehearsal)
        before = rehearsal.laid_out()
        rehearsal.fake.venue.account().countdowns["BTCUSDT"] = 0  # as if a renewal had come too late
        await rehearsal.until(lambda: grid_is_out(rehearsal))
        await rehearsal.until(lambda: rehearsal.laid_out() == before)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


async def test_a_living_bot_keeps_its_grid_in_a_market_where_nothing_moves(tmp_path):
    async with Rehearsal.running(tmp_path, SHORT) as rehearsal:
        await rehearsal.quiet()
        before, sent = rehearsal.laid_out(), len(rehearsal.asked("POST /fapi/v1/order"))
        deadline = asyncio.get_running_loop().time() + 4.0  # four times the switch's patience
        await rehearsal.until(lambda: asyncio.get_running_loop().time() > deadline or rehearsal.laid_out() != before)
        assert rehearsal.laid_out() == before
        assert len(rehearsal.asked("POST /fapi/v1/order")) == sent
        assert rehearsal.live.broker.capabilities.dead_man_switch


async def test_a_lost_renewal_is_followed_by_the_next_one(tmp_path):
    async with lively(tmp_path, SHORT) as rehearsal:
        await hedged(rehearsal)
        before = rehearsal.laid_out()
        rehearsal.fake.faults.add("POST /fapi/v1/countdownCancelAll", "drop_before", times=1)
        since = len(rehearsal.fake.venue.log)
        await rehearsal.until(lambda: len(rehearsal.asked("POST /fapi/v1/countdownCancelAll", since=since)) >= 5)
        assert rehearsal.laid_out() == before


async def test_a_stop_of_the_bot_disarms_it(tmp_path):
    async with Rehearsal.running(tmp_path) as rehearsal:
        await rehearsal.quiet()
        await rehearsal.until(lambda: "BTCUSDT" in rehearsal.fake.venue.account().countdowns)
        assert await rehearsal.stop() == 0
        assert rehearsal.fake.venue.account().countdowns == {}
        assert rehearsal.left_behind() == []


async def test_it_can_be_switched_off(tmp_path):
    async with Rehearsal.running(tmp_path, {"exchange": {"dead_man_switch_s": 0}}) as rehearsal:
        await rehearsal.quiet()
        assert rehearsal.asked("POST /fapi/v1/countdownCancelAll") == []
        assert not rehearsal.live.broker.capabilities.dead_man_switch


class Quick(Staged):
    """Its quotes are stale before the switch's patience ends."""

    pace = Pace(update=0.1, quotes=0.2, funding=0.3, spot=0.5, silent=0.5, stale=0.6)


async def test_a_living_bot_whose_market_is_broken_keeps_the_orders_that_add_to_its_hedge(tmp_path):
    async with Quick.running(tmp_path, {**BY_PRICE_ALONE, "exchange": {"dead_man_switch_s": 2.0}}) as rehearsal:
        await rehearsal.quiet(30)
        rehearsal.fake.hub.fault("silent", pattern="*@bookTicker")
        rehearsal.fake.control.fault("GET /fapi/v1/depth", "status", times=None)
        await rehearsal.until(lambda: "quotes" in rehearsal.live._problem, 30)
        await rehearsal.until(lambda: len(rehearsal.asked("POST /fapi/v1/countdownCancelAll")) > 0, 30)
        adds = [order for order in rehearsal.ours() if order.is_open]
        deadline = asyncio.get_running_loop().time() + 5.0
        await rehearsal.until(lambda: asyncio.get_running_loop().time() > deadline or grid_is_out(rehearsal))
        assert [order for order in rehearsal.ours() if order.is_open] == adds != []
        rehearsal.fake.hub.clear_faults()
        rehearsal.fake.control.clear()
