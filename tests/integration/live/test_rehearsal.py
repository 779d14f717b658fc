"""The bot in real mode on an exchange that behaves: the line that every fault departs from."""

from decimal import Decimal

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.rehearsal import Rehearsal


async def test_a_hedge_goes_on_follows_the_price_and_is_withdrawn(tmp_path):
    async with Rehearsal.running(tmp_path) as rehearsal:
        await rehearsal.quiet()
        assert len(rehearsal.open_orders()) == 12
        for price in (96_000, 97_000, 98_500, 97_500, 96_500, 95_500):
            rehearsal.move(price)
            await rehearsal.quiet()
        assert await rehearsal.broken() == []
        assert rehearsal.position < Decimal("-0.5")
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []
        assert await rehearsal.broken() == []
        assert len(await rehearsal.events(EventKind.STOPPED)) == 1


async def test_a_second_run_goes_on_where_the_first_one_stopped(tmp_path):
    async with Rehearsal.running(tmp_path) as rehearsal:
        rehearsal.move(96_000)
        await rehearsal.quiet()
        held = rehearsal.position
        await rehearsal.stop()
        await rehearsal.start()
        await rehearsal.quiet()
        assert rehearsal.position == held
        rehearsal.move(98_000)
        await rehearsal.quiet()
        assert rehearsal.position < held
        assert await rehearsal.broken() == []
