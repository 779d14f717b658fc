"""The protective stop at the venue: how it rests, what it covers, and that it works while nobody is at home."""

from decimal import Decimal

import pytest

from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from tests.integration.live.sudden import hedged, kill, lively

UNWINDING = {"hedge": {"ratio": 0.5, "min_ratio": 0.2, "amplitude_adverse": 0.25}, "grid": {"num_levels": 5, "volatility_multiple": 0}}
"""A grid that takes hedge off as price falls."""


def wallet_of(usdt, **others):
    return FakeConfig(accounts=(AccountConfig(usdt=Decimal(usdt), **others),))


RICH = wallet_of(300_000)


def resting(rehearsal, side):
    return sum((o.quantity - o.filled for o in rehearsal.ours() if o.is_open and o.side == side), Decimal(0))


def the_stop(rehearsal):
    [stop] = [stop for stop in rehearsal.our_stops() if stop.is_open]
    return stop


async def test_it_rests_as_an_algo_order_on_mark_without_price_protection_and_not_reduce_only(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        stop = the_stop(rehearsal)
        assert (stop.type, stop.side, stop.working_type, stop.price_protect) == ("STOP_MARKET", "SELL", "MARK_PRICE", False)
        assert (stop.reduce_only, stop.close_position) == (False, False)
        assert stop.quantity == 1 + rehearsal.position
        [asked, *_] = rehearsal.asked("POST /fapi/v1/algoOrder")
        assert asked.params["workingType"] == "MARK_PRICE"
        assert str(asked.params.get("priceProtect", "FALSE")).upper() == "FALSE"
        assert str(asked.params.get("reduceOnly", "false")).lower() == "false"
        assert not [r for r in rehearsal.asked("POST /fapi/v1/order") if r.params["type"] not in {"LIMIT", "MARKET"}]


@pytest.mark.parametrize("coins", ["1", "-1"])
async def test_it_follows_the_position_and_never_goes_down_while_it_is_replaced(tmp_path, coins):
    async with lively(tmp_path, {"inventory": {"quantity": coins}}, fake=RICH) as rehearsal:
        await hedged(rehearsal)
        sign = int(coins)
        first = the_stop(rehearsal)
        rehearsal.move(95_000 * (1 + 0.05 * sign))
        await rehearsal.quiet()
        stop = the_stop(rehearsal)
        assert stop.quantity == abs(sign + rehearsal.position) < first.quantity
        assert stop.side == ("SELL" if sign > 0 else "BUY")
        assert sign * (stop.trigger_price - first.trigger_price) >= 0
        assert await rehearsal.broken() == []


@pytest.mark.parametrize("coins", ["1", "-1"])
async def test_it_fires_while_the_bot_is_dead_and_is_booked_and_latched_at_the_next_start(tmp_path, coins):
    sign = int(coins)
    async with lively(tmp_path, {"inventory": {"quantity": coins}}, fake=RICH) as rehearsal:
        await hedged(rehearsal)
        stop = the_stop(rehearsal)
        await kill(rehearsal)
        rehearsal.move(float(stop.trigger_price) * (1 - 0.03 * sign))
        assert rehearsal.position == -sign  # whole at once, grid orders or not
        await rehearsal.start()
        await rehearsal.quiet()
        assert rehearsal.live.state.risk.stop_latched
        assert rehearsal.position == -sign
        assert rehearsal.laid_out() == []
        assert await rehearsal.broken() == []
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_a_fall_through_it_and_back_while_the_bot_is_dead_is_latched_all_the_same(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        stop = the_stop(rehearsal)
        await kill(rehearsal)
        rehearsal.move(float(stop.trigger_price) - 500)
        rehearsal.move(94_000)
        await rehearsal.start()
        await rehearsal.quiet()
        assert rehearsal.live.state.risk.stop_latched
        assert rehearsal.position == -1
        rehearsal.move(100_000)  # back above the reference: released, and anchored anew
        await rehearsal.until(lambda: not rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        rehearsal.move(99_900)  # the hedge is brought back to its ratio
        await rehearsal.until(lambda: rehearsal.position > -1)
        await rehearsal.quiet()
        assert the_stop(rehearsal).client_id != stop.client_id
        assert await rehearsal.broken() == []


async def test_a_stop_that_is_on_when_the_bot_comes_back_is_kept_and_not_doubled(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        before = the_stop(rehearsal)
        await kill(rehearsal)
        await rehearsal.start()
        await rehearsal.quiet()
        assert the_stop(rehearsal) is before


async def test_it_is_left_at_the_venue_where_the_user_asked_for_that(tmp_path):
    async with lively(tmp_path, {"execution": {"keep_stop_on_exit": True}}) as rehearsal:
        await hedged(rehearsal)
        assert await rehearsal.stop() == 0
        assert rehearsal.open_orders() == [the_stop(rehearsal)]
        assert await rehearsal.broken() == []


async def test_a_stop_that_a_person_took_away_is_put_back(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        gone = the_stop(rehearsal)
        account = rehearsal.fake.venue.account()
        account.desk_of(gone).cancel_algo(gone)
        await rehearsal.until(lambda: any(stop.is_open for stop in rehearsal.our_stops()))
        await rehearsal.quiet()
        assert the_stop(rehearsal).quantity == gone.quantity
        assert await rehearsal.broken() == []


# --- without a dead-man switch ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coins", ["1", "-1"])
async def test_without_a_dead_man_switch_it_covers_what_would_unwind_before_it(tmp_path, coins):
    sign = int(coins)
    settings = {**UNWINDING, "inventory": {"quantity": coins}, "exchange": {"dead_man_switch_s": 0}}
    async with lively(tmp_path, settings, fake=RICH) as rehearsal:
        await hedged(rehearsal)
        stop, unwinding = the_stop(rehearsal), resting(rehearsal, "BUY" if sign > 0 else "SELL")
        assert unwinding > 0
        assert stop.quantity == abs(sign + rehearsal.position) + unwinding
        await kill(rehearsal)
        rehearsal.move(float(stop.trigger_price) * (1 - 0.01 * sign), gap=False)  # every unwinding node on the way, then the stop
        assert rehearsal.position == -sign
        await rehearsal.start()
        await rehearsal.quiet()
        assert rehearsal.live.state.risk.stop_latched
        assert await rehearsal.broken() == []


async def test_with_a_dead_man_switch_it_leaves_what_would_unwind_to_that(tmp_path):
    async with lively(tmp_path, UNWINDING) as rehearsal:
        await hedged(rehearsal)
        assert resting(rehearsal, "BUY") > 0
        assert the_stop(rehearsal).quantity == 1 + rehearsal.position


async def test_when_the_venue_no_longer_takes_the_switch_the_stop_grows_to_cover(tmp_path):
    async with lively(
        tmp_path, {**UNWINDING, "exchange": {"dead_man_switch_s": 1.0}, "execution": {"rebalance_interval": 0.5}}
    ) as rehearsal:
        await hedged(rehearsal)
        assert the_stop(rehearsal).quantity == 1 + rehearsal.position
        rehearsal.fake.faults.add("POST /fapi/v1/countdownCancelAll", "status", times=None, status=500)
        rehearsal.fake.venue.account().countdowns.clear()
        await rehearsal.until(lambda: not rehearsal.live.broker.capabilities.dead_man_switch)
        rehearsal.move(95_010)
        await rehearsal.until(
            lambda: any(s.is_open and s.quantity == 1 + rehearsal.position + resting(rehearsal, "BUY") for s in rehearsal.our_stops()), 30
        )
        await rehearsal.quiet()
        assert any("dead-man" in alert for alert in await rehearsal.alerts())
        assert await rehearsal.broken() == []


# --- its margin ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("usdt", [22_000, 25_000, 28_000, 32_000, 40_000])
@pytest.mark.parametrize("coins", ["1", "-1"])
async def test_its_margin_is_there_when_it_fires_however_small_the_wallet(tmp_path, usdt, coins):
    sign = int(coins)
    settings = {"inventory": {"quantity": coins}, "risk": {"max_effective_leverage": 3, "alert_distance": 0.03,
                "no_increase_distance": 0.02, "cut_distance": 0.01}}  # fmt: skip
    async with lively(tmp_path, settings, fake=wallet_of(usdt)) as rehearsal:
        await hedged(rehearsal)
        stop, held = the_stop(rehearsal), rehearsal.position
        assert held * sign < 0
        await kill(rehearsal)
        rehearsal.move(stop.trigger_price, gap=False)
        assert stop.status == "FINISHED", (stop.reason, held, stop.quantity, stop.trigger_price, rehearsal.laid_out())
        assert rehearsal.position == held - sign * stop.quantity
        await rehearsal.start()
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


async def test_what_it_lacks_is_said_with_the_top_up_that_mends_it(tmp_path):
    async with lively(tmp_path, fake=wallet_of(50_000)) as rehearsal:
        await hedged(rehearsal)
        [said] = [alert for alert in await rehearsal.alerts() if alert.startswith("stop short")]
        missing = Decimal(said.partition("wallet by ")[2].partition(" ")[0].replace(",", ""))
        assert the_stop(rehearsal).quantity < 1 + rehearsal.position
        rehearsal.fake.venue.transfer(None, "USDT", missing + 1)
        await rehearsal.until(lambda: any(s.is_open and s.quantity == 1 + rehearsal.position for s in rehearsal.our_stops()))
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
