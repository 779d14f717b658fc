"""Accounts that keep a long and a short side apart: a whole run, with coins held and with coins owed."""

from decimal import Decimal

import pytest

from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from tests.integration.live.sudden import hedged, kill, lively

RICH = FakeConfig(accounts=(AccountConfig(usdt=Decimal(300_000)),))


@pytest.mark.parametrize(("coins", "side"), [("1", "SHORT"), ("-1", "LONG")])
async def test_a_whole_run_in_hedge_mode(tmp_path, coins, side):
    settings = {"inventory": {"quantity": coins}, "exchange": {"position_mode": "hedge"}}
    sign = int(coins)
    async with lively(tmp_path, settings, fake=RICH) as rehearsal:
        await hedged(rehearsal)
        venue = rehearsal.fake.venue
        assert venue.account().dual
        for step in (1, 3, 4, 2, 0):  # grid orders open, and their counter-orders close
            rehearsal.move(95_000 * (1 + 0.01 * step * sign))
            await rehearsal.quiet()
        assert {order.position_side for order in [*rehearsal.ours(), *rehearsal.our_stops()]} == {side}
        assert {trade.side for trade in venue.fills()} == {"BUY", "SELL"}
        assert await rehearsal.broken() == []
        held = rehearsal.position
        assert held * sign < 0

        await kill(rehearsal)
        [stop] = [stop for stop in rehearsal.our_stops() if stop.is_open]
        rehearsal.move(float(stop.trigger_price) * (1 - 0.01 * sign))
        await rehearsal.start()
        await rehearsal.quiet()
        assert rehearsal.live.state.risk.stop_latched
        assert rehearsal.position == -sign
        assert await rehearsal.broken() == []
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_the_users_own_long_side_is_not_the_bots(tmp_path):
    settings = {"exchange": {"position_mode": "hedge"}}
    async with lively(tmp_path, settings, fake=FakeConfig(accounts=(AccountConfig(usdt=Decimal(300_000), dual_side=True),))) as rehearsal:
        await hedged(rehearsal)
        short = rehearsal.position
        rehearsal.fake.venue.trade_outside(None, "BTCUSDT", "BUY", "0.1", position_side="LONG")
        rehearsal.move(96_500)
        await rehearsal.until(lambda: rehearsal.live.state.fills_booked > 1)
        assert rehearsal.live.last[0].account.position.quantity <= short
        assert not rehearsal.live.state.risk.halted
