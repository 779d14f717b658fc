"""What others do to the bot's account: its key revoked, its position traded, liquidated or deleveraged, its orders cancelled, its
leverage or position mode changed.
"""

import asyncio
from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, AccountConfig, FakeConfig
from tests.integration.live.staged import PATIENCE_S, staged

HALF = Decimal("-0.5")


async def told(rehearsal, *words):
    """An alert with all of these words is on record, or the end of a bot with them: both are told to a person's phone."""
    ends = [stored.event.payload["reason"] for stored in await rehearsal.events(EventKind.STOPPED)]
    return any(all(word in text.lower() for word in words) for text in [*await rehearsal.alerts(), *ends])


async def hedged_again(rehearsal, position=HALF):
    """Wait until the hedge is repaired: the price passes the order that does it, which may rest where the price was highest before."""
    for price in (price for higher in range(10) for price in (95_100 + 10 * higher, 94_900, 95_000)):
        await rehearsal.settled()
        if rehearsal.position == position:
            return
        rehearsal.move(price)
    raise AssertionError(f"{rehearsal.position} instead of {position}")


async def ends_well(rehearsal, code=0):
    await rehearsal.settled()
    assert rehearsal.worst()
    assert await rehearsal.broken() == []
    assert await rehearsal.stop() == code
    assert rehearsal.left_behind() == []


def grid(rehearsal):
    return [order for order in rehearsal.ours() if order.is_open]


# --- the key ---------------------------------------------------------------------------------------------------------


async def test_a_revoked_key_ends_the_bot_with_an_alert_and_the_venue_clears_its_grid(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.venue.revoke_key(DEFAULT_KEY)
        placed = len(rehearsal.fake.venue.orders())
        rehearsal.move(96_000)  # fills that nobody may read now
        await rehearsal.until(lambda: rehearsal.ended, PATIENCE_S)
        assert await rehearsal.stop() == 1
        assert len(rehearsal.fake.venue.orders()) == placed
        assert await told(rehearsal, "key"), await rehearsal.alerts()
        await rehearsal.until(lambda: not grid(rehearsal), PATIENCE_S)  # the dead-man switch
        assert [stop for stop in rehearsal.our_stops() if stop.is_open]
        rehearsal.fake.venue.revoke_key(DEFAULT_KEY, revoked=False)
        await rehearsal.start()
        rehearsal.live.resume()
        await rehearsal.settled()
        await ends_well(rehearsal)


async def test_with_a_revoked_key_no_bot_starts_and_nothing_is_left_open(tmp_path):
    async with staged(tmp_path, hedged=False, start=False) as rehearsal:
        rehearsal.fake.venue.revoke_key(DEFAULT_KEY)
        for _ in range(2):
            with pytest.raises(AlphaPulseError, match="key"):
                await rehearsal.start()
        rehearsal.fake.venue.revoke_key(DEFAULT_KEY, revoked=False)
        await rehearsal.start()
        await ends_well(rehearsal)


async def test_a_key_revoked_between_two_creates_sends_nothing_after_the_refusal(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.control.fault("POST /fapi/v1/order", "hold", times=1)
        rehearsal.move(96_000)
        await rehearsal.fake.control.wait_held(timeout=PATIENCE_S)
        rehearsal.fake.venue.revoke_key(DEFAULT_KEY)
        sent = len(rehearsal.asked("POST /fapi/v1/order"))
        rehearsal.fake.control.release()
        await rehearsal.until(lambda: rehearsal.ended, PATIENCE_S)
        assert len(rehearsal.asked("POST /fapi/v1/order")) <= sent + 2
        assert await rehearsal.stop() == 1
        assert await told(rehearsal, "key"), await rehearsal.alerts()


# --- trades by others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "quantity"), [("BUY", "0.2"), ("SELL", "0.3"), ("BUY", "0.9")])
async def test_a_manual_trade_is_booked_told_and_made_good(tmp_path, side, quantity):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.venue.trade_outside(None, rehearsal.name, side, quantity)
        await rehearsal.settled()
        assert await told(rehearsal, "somebody else traded", quantity)
        await hedged_again(rehearsal)
        await ends_well(rehearsal)


async def test_manual_trades_while_the_stream_is_down_and_orders_fill_in_part_are_told_apart(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("disconnect", pattern="user/*", seconds=2.0)
        order = max(grid(rehearsal), key=lambda o: o.price)
        rehearsal.fake.venue.fill_part(None, rehearsal.name, order.client_id, "0.03")
        for side, quantity in (("BUY", "0.11"), ("SELL", "0.04"), ("BUY", "0.02")):
            rehearsal.fake.venue.trade_outside(None, rehearsal.name, side, quantity)
        await rehearsal.settled()
        fills = [stored.event.payload["fill"] for stored in await rehearsal.events(EventKind.FILL)]
        assert sum(fill["purpose"] == "external" for fill in fills) == 3
        assert sum(fill["client_order_id"] == order.client_id for fill in fills) == 1
        await ends_well(rehearsal)


async def test_an_order_and_a_stop_cancelled_in_the_venues_app_are_placed_again(tmp_path):
    async with staged(tmp_path) as rehearsal:
        account = rehearsal.fake.venue.account()
        before = rehearsal.laid_out()
        lost, stop = grid(rehearsal)[0], next(s for s in rehearsal.our_stops() if s.is_open)
        account.desk_of(lost).cancel(lost)
        account.desk_of(stop).cancel_algo(stop)
        await rehearsal.until(lambda: rehearsal.laid_out() == before, PATIENCE_S)
        await ends_well(rehearsal)


async def test_all_orders_cancelled_outside_while_the_stream_is_silent_are_placed_again(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        account = rehearsal.fake.venue.account()
        before = rehearsal.laid_out()
        for lost in grid(rehearsal):
            account.desk_of(lost).cancel(lost)
        for stop in [s for s in rehearsal.our_stops() if s.is_open]:
            account.desk_of(stop).cancel_algo(stop)
        await rehearsal.until(lambda: rehearsal.laid_out() == before, PATIENCE_S)
        rehearsal.fake.hub.clear_faults()
        await ends_well(rehearsal)


# --- the venue closes positions ----------------------------------------------------------------------------------------


async def test_a_liquidation_is_booked_told_and_halts_the_pair(tmp_path):
    poor = FakeConfig(accounts=(AccountConfig(usdt=Decimal(30_000)),))
    async with staged(tmp_path, hedged=False, fake=poor) as rehearsal:
        await rehearsal.settled()
        await rehearsal.trade_through(95_100)
        held = rehearsal.position
        assert held < 0
        rehearsal.move(260_000)
        await rehearsal.settled()
        assert any(trade.client_id.startswith("autoclose") for trade in rehearsal.fake.venue.fills())
        assert await told(rehearsal, "liquidated")
        assert rehearsal.live.state.risk.halted
        assert not grid(rehearsal)
        placed = len(rehearsal.ours())
        rehearsal.move(250_000)
        await rehearsal.settled()
        assert len(rehearsal.ours()) == placed
        assert await rehearsal.broken() == []


@pytest.mark.parametrize("quantity", ["0.2", None])
async def test_a_deleveraged_position_is_booked_told_and_hedged_again(tmp_path, quantity):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.venue.deleverage(None, rehearsal.name, quantity)
        await rehearsal.settled()
        assert await told(rehearsal, "deleveraged")
        await hedged_again(rehearsal)
        await ends_well(rehearsal)


async def test_a_deleveraging_during_an_outage_is_found_afterwards(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.control.unreachable(2.0)
        rehearsal.fake.venue.deleverage(None, rehearsal.name, "0.25")
        await hedged_again(rehearsal)
        assert await told(rehearsal, "deleveraged")
        await ends_well(rehearsal)


# --- settings of the account -------------------------------------------------------------------------------------------


async def test_a_leverage_changed_within_the_limit_is_told_and_used(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.venue.set_leverage_outside(None, rehearsal.name, 2)
        await rehearsal.until(lambda: rehearsal.live.broker._desk(rehearsal.live.symbol).books.leverage == 2, PATIENCE_S)
        await rehearsal.trade_through(96_000)
        assert await told(rehearsal, "leverage", "2")
        assert rehearsal.live.last[0].account.leverage_limit == 2
        await ends_well(rehearsal)


async def test_a_leverage_changed_beyond_the_limit_halts_with_an_alert_and_the_next_start_sets_it_back(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.venue.set_leverage_outside(None, rehearsal.name, 20)
        await rehearsal.until(lambda: rehearsal.ended, PATIENCE_S)
        assert await rehearsal.stop() == 1
        assert await told(rehearsal, "leverage", "20")
        assert not grid(rehearsal)
        assert [stop for stop in rehearsal.our_stops() if stop.is_open]
        await rehearsal.start()
        rehearsal.live.resume()
        await rehearsal.settled()
        assert rehearsal.fake.venue.account().leverage[rehearsal.name] == 3
        await ends_well(rehearsal)


async def test_a_position_mode_changed_outside_halts_with_an_alert_instead_of_a_storm_of_orders(tmp_path):
    async with staged(tmp_path) as rehearsal:
        sent = len(rehearsal.asked("POST /fapi/v1/order"))
        rehearsal.fake.venue.set_position_mode_outside(None, dual=True)
        await rehearsal.until(lambda: rehearsal.ended, PATIENCE_S)
        assert await rehearsal.stop() == 1
        assert await told(rehearsal, "position mode")
        assert len(rehearsal.asked("POST /fapi/v1/order")) - sent < 40
        assert rehearsal.left_behind() == []
        rehearsal.fake.venue.set_position_mode_outside(None, dual=False)
        await rehearsal.start()
        rehearsal.live.resume()
        await asyncio.sleep(0)
        await rehearsal.settled()
        await ends_well(rehearsal)


async def test_money_moved_out_of_the_wallet_is_a_flow_and_not_a_loss(tmp_path):
    async with staged(tmp_path) as rehearsal:
        before = rehearsal.live.last[0].account
        rehearsal.fake.venue.transfer(None, "USDT", -40_000)
        await rehearsal.until(lambda: rehearsal.live.last[0].account.wallet < 70_000, PATIENCE_S)
        after = rehearsal.live.last[0].account
        assert before.deposits - after.deposits == 40_000
        assert before.realized_pnl == after.realized_pnl
        assert not await rehearsal.events(EventKind.DRAWDOWN_LATCHED)
        await ends_well(rehearsal)


async def test_no_node_gets_a_second_order_and_no_limit_is_passed_while_cancels_fail_and_a_stranger_trades(tmp_path):
    async with staged(tmp_path) as rehearsal, rehearsal.watched():
        rehearsal.fake.control.fault("DELETE /fapi/v1/*rder*", "drop_before", times=None)
        for side in ("BUY", "SELL", "BUY"):
            tried = len(rehearsal.fake.faults.hits)
            rehearsal.fake.venue.trade_outside(None, rehearsal.name, side, "0.25")
            given = max(rehearsal.worst_exposure(), Decimal(1))  # what the stranger has made of it
            await rehearsal.until(lambda seen=tried: len(rehearsal.fake.faults.hits) > seen, PATIENCE_S)
            await asyncio.sleep(0.5)
            assert rehearsal.worst_exposure() <= given
        rehearsal.fake.control.clear()
        await ends_well(rehearsal)
