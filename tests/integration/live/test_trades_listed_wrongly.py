"""Lists of trades that are wrong: rows twice, rows that come late, pages that end too early, and more of them than fit on a page."""

from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from tests.integration.live.staged import BY_PRICE_ALONE, PATIENCE_S, staged
from tests.integration.live.sudden import kill

TRADES = "GET /fapi/v1/userTrades"
RICH = FakeConfig(accounts=(AccountConfig(usdt=Decimal(3_000_000)),))
LOT = Decimal("0.001")


async def ends_well(rehearsal):
    await rehearsal.settled()
    assert await rehearsal.broken() == []
    assert await rehearsal.stop() == 0
    assert rehearsal.left_behind() == []
    assert await rehearsal.broken() == []


def nibble(rehearsal, count):
    """Fill resting sell orders lot by lot, ``count`` times; the trades."""
    venue = rehearsal.fake.venue
    before = len(venue.fills())
    for order in sorted((o for o in rehearsal.ours() if o.is_open and o.side == "SELL"), key=lambda o: o.price):
        while order.is_open and len(venue.fills()) - before < count:
            venue.fill_part(None, rehearsal.name, order.client_id, LOT)
    found = venue.fills()[before:]
    assert len(found) == count
    return found


def booked(rehearsal):
    return rehearsal.live.state.fills_booked


@pytest.mark.parametrize("stream", ["heard", "silent"])
async def test_rows_that_are_listed_twice_are_booked_once(tmp_path, stream):
    async with staged(tmp_path) as rehearsal:
        if stream == "silent":
            rehearsal.fake.hub.fault("silent", pattern="user/*")
        rehearsal.fake.control.fault(TRADES, "duplicate_rows", times=None)
        assert await rehearsal.trade_through(96_000, 97_000, 95_900, 94_800) >= 4
        rehearsal.fake.control.clear()
        await ends_well(rehearsal)


@pytest.mark.parametrize("times", [1, 4])
async def test_a_row_that_is_listed_late_is_booked_when_it_comes(tmp_path, times):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        rehearsal.fake.control.fault(TRADES, "missing_last_row", times=times)
        assert await rehearsal.trade_through(96_000) >= 1
        assert not rehearsal.fake.faults.active
        rehearsal.fake.control.fault(TRADES, "missing_last_row", times=times)
        assert await rehearsal.trade_through(97_000, 95_900) >= 2
        rehearsal.fake.hub.clear_faults()
        assert not [text for text in await rehearsal.alerts() if "halted" in text]
        await ends_well(rehearsal)


async def test_a_list_that_answers_with_what_it_said_before_hides_nothing_for_long(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        rehearsal.fake.control.fault(TRADES, "stale", times=2)
        assert await rehearsal.trade_through(96_000, 97_000) >= 2
        await ends_well(rehearsal)


async def test_a_list_that_cannot_be_read_is_asked_for_again_and_books_nothing(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        for kind, price in (("nulls", 96_000), ("nan", 97_000), ("truncate", 98_000), ("html", 95_900), ("empty", 94_800)):
            rehearsal.fake.control.fault(TRADES, kind, times=2)
            await rehearsal.trade(price, 97_000 if price < 95_950 else 94_800, count=1)
            assert not rehearsal.fake.faults.active
        await ends_well(rehearsal)


async def test_more_than_a_thousand_fills_while_the_stream_is_silent_are_all_booked(tmp_path):
    async with staged(tmp_path, {**BY_PRICE_ALONE, "inventory": {"quantity": "5"}}, fake=RICH, hedged=False) as rehearsal:
        await rehearsal.settled()
        await rehearsal.trade_through(95_100)
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        rehearsal.fake.control.fault(TRADES, "duplicate_rows", times=2)
        nibble(rehearsal, 1_700)
        await rehearsal.settled()
        assert booked(rehearsal) == len(rehearsal.fake.venue.fills()) > 1_700
        await ends_well(rehearsal)


@pytest.mark.parametrize("fault", ["", "missing_last_row"])
@pytest.mark.parametrize("when", ["one by one", "all in one millisecond"])
async def test_more_than_a_thousand_fills_of_a_dead_bot_are_all_booked_at_the_next_start(tmp_path, when, fault):
    settings = {**BY_PRICE_ALONE, "inventory": {"quantity": "5"}, "exchange": {"dead_man_switch_s": 0}}
    async with staged(tmp_path, settings, fake=RICH, hedged=False) as rehearsal:
        await rehearsal.settled()
        await rehearsal.trade_through(95_100)
        await kill(rehearsal)
        trades = nibble(rehearsal, 1_900)
        if when == "all in one millisecond":
            for trade in trades:
                trade.ts_ms = trades[0].ts_ms
        if fault:
            rehearsal.fake.control.fault(TRADES, fault, times=1)
        await rehearsal.start()
        await rehearsal.settled()
        assert booked(rehearsal) == len(rehearsal.fake.venue.fills()) > 1_900
        await ends_well(rehearsal)


@pytest.mark.parametrize("count", [1, 1_300])
async def test_trades_of_minutes_ago_whose_list_ends_too_early_are_not_given_up(tmp_path, count):
    settings = {**BY_PRICE_ALONE, "inventory": {"quantity": "5"}, "exchange": {"dead_man_switch_s": 0}}
    async with staged(tmp_path, settings, fake=RICH, hedged=False, start=False) as rehearsal:
        rehearsal.fake.control.set_clock(-600_000)  # ten minutes ago, as far as the venue knows
        await rehearsal.start()
        await rehearsal.settled()
        await rehearsal.trade_through(95_100)
        await kill(rehearsal)
        nibble(rehearsal, count)
        rehearsal.fake.control.set_clock(0)
        rehearsal.fake.control.fault(TRADES, "missing_last_row", times=2)
        await rehearsal.start()
        await rehearsal.settled()
        assert booked(rehearsal) == len(rehearsal.fake.venue.fills()) > count
        await ends_well(rehearsal)


async def test_a_position_whose_trades_never_come_halts_the_pair_and_the_next_start_finds_them(tmp_path):
    async with staged(tmp_path) as rehearsal:
        rehearsal.fake.hub.fault("silent", pattern="user/*")
        rehearsal.fake.control.fault(TRADES, "missing_last_row", times=None)
        rehearsal.move(96_000)
        await rehearsal.until(lambda: rehearsal.ended, PATIENCE_S)
        assert await rehearsal.stop() == 1
        assert any("no trade explains" in text for text in await rehearsal.alerts())
        assert [stop for stop in rehearsal.our_stops() if stop.is_open]
        assert not [order for order in rehearsal.ours() if order.is_open]
        rehearsal.fake.control.clear()
        await rehearsal.start()
        rehearsal.live.resume()
        await rehearsal.settled()
        assert len(await rehearsal.events(EventKind.FILL)) == len(rehearsal.fake.venue.fills())
        await ends_well(rehearsal)
