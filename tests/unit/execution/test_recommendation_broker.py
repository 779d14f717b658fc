"""Recommendation mode: tickets, verdicts, the virtual account, scores, restarts."""

from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import Liquidity, OrderStatus, TimeInForce
from alpha_pulse.errors import AmbiguousOutcome, Rejected, Transient
from alpha_pulse.execution.config import PaperSettings, TicketSettings
from alpha_pulse.execution.journal import MemoryJournal
from alpha_pulse.execution.matching import Wallet
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.execution.ticket_desk import TicketDesk
from alpha_pulse.execution.tickets import TicketStatus, expected_cost_bps, would_fill
from alpha_pulse.hedging.common.interfaces import Command
from alpha_pulse.testing import (
    MINUTE_MS,
    PAIR,
    SYMBOL,
    FakeClock,
    FakeFeed,
    FakeIds,
    approved,
    bar,
    instrument,
    limit,
    market,
    stop,
    update,
    updates_from_prices,
)

D = Decimal
SHORT = TicketSettings(expiry_s=180, urgent_expiry_s=60, cool_down_s=120, score_after_s=120)
STILL = [100_000] * 20


def a_broker(updates, *, journal=None):
    clock = FakeClock()
    feed = FakeFeed(updates, instrument=instrument(), clock=clock)
    return RecommendationBroker(PaperSettings(slippage_bps=1.0), feed, clock, FakeIds(), tickets=SHORT, journal=journal)


async def opened(updates, **options):
    broker = a_broker(updates, **options)
    await broker.open_pair(PAIR, D(1))
    await broker.feed.next(SYMBOL)
    return broker


async def say(broker, name, argument):
    await broker.apply(Command(1, name, argument))


def the_ticket(broker):
    [ticket] = broker.tickets()
    return ticket


async def test_an_approved_order_becomes_a_ticket_that_says_what_why_at_what_cost_and_until_when():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500", node=2, reason="node 2 of the grid")))
    ticket = the_ticket(broker)
    assert (ticket.id, ticket.side, ticket.price, ticket.quantity, ticket.node) == ("t", "sell", D(100_500), D("0.1"), 2)
    assert (ticket.why, ticket.status, ticket.cost_bps) == ("node 2 of the grid", TicketStatus.OPEN, 2.0)
    assert ticket.expires_ms == ticket.created_ms + 180_000
    [event] = broker.drain_events()
    assert event.kind is EventKind.TICKET
    assert event.payload["ticket"]["id"] == "t"
    assert event.payload["ticket"]["status"] == "open"
    assert broker.drain_events() == []


async def test_nothing_ever_fills_by_itself():
    broker = await opened(updates_from_prices([100_000, (100_000, 110_000, 90_000, 100_000), 100_000]))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    await broker.create_order(approved(market("m", "sell")))
    await broker.create_order(approved(stop("s", "sell", "95000")))
    for _ in range(2):
        await broker.feed.next(SYMBOL)
    assert await broker.fills(SYMBOL) == []
    assert (await broker.fetch_account(SYMBOL)).position.quantity == 0
    assert [t.would_have_filled for t in broker.tickets()] == [True, True, True]


def test_a_taker_is_expected_to_cost_fee_half_spread_and_impact():
    seen = update(0, bar(100_000), bid=99_990, ask=100_010, bid_depth=1_000_000, ask_depth=500_000)
    assert expected_cost_bps(market("m", "sell", "1"), instrument(), seen, 3.0) == pytest.approx(5 + 1 + 10)
    assert expected_cost_bps(market("m", "buy", "1"), instrument(), seen, 3.0) == pytest.approx(5 + 1 + 20)
    ioc = limit("i", "sell", "99000", time_in_force=TimeInForce.IOC)
    assert expected_cost_bps(ioc, instrument(), seen._replace(bid_depth=0.0), 3.0) == pytest.approx(5 + 1 + 3)


async def test_open_and_accepted_tickets_are_the_open_orders():
    broker = await opened(updates_from_prices(STILL))
    for name in ("a", "b"):
        await broker.create_order(approved(limit(name, "sell", "100500")))
    await say(broker, "accept", "a")
    assert [o.client_order_id for o in await broker.open_orders(SYMBOL)] == ["a", "b"]
    await say(broker, "reject", "b")
    assert [o.client_order_id for o in await broker.open_orders(SYMBOL)] == ["a"]
    found = await broker.find_order(SYMBOL, "b")
    assert found is not None
    assert found.status is OrderStatus.REJECTED


async def test_done_books_the_reported_fill_into_the_virtual_account():
    broker = await opened(updates_from_prices(STILL))
    before = await broker.fetch_account(SYMBOL)
    await broker.create_order(approved(limit("t", "sell", "100500", node=2)))
    await say(broker, "done", "t 100510 0.1")
    [fill] = await broker.fills(SYMBOL)
    assert (fill.price, fill.quantity, fill.liquidity, fill.node) == (D(100_510), D("0.1"), Liquidity.MAKER, 2)
    assert fill.fee == D(100_510) * D("0.1") * D("0.0002")
    account = await broker.fetch_account(SYMBOL)
    assert account.position.quantity == D("-0.1")
    assert account.wallet == before.wallet - fill.fee
    assert the_ticket(broker).status is TicketStatus.DONE
    assert await broker.open_orders(SYMBOL) == ()


async def test_done_without_numbers_means_as_recommended():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    await broker.create_order(approved(market("m", "buy")))
    await say(broker, "done", "t")
    await say(broker, "done", "m")
    first, second = await broker.fills(SYMBOL)
    assert (first.price, second.price, second.liquidity) == (D(100_500), D("100000.0"), Liquidity.TAKER)


async def test_parts_add_up_and_average():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    await say(broker, "done", "t 100500 0.04")
    assert (the_ticket(broker).status, the_ticket(broker).filled) == (TicketStatus.ACCEPTED, D("0.04"))
    assert (await broker.open_orders(SYMBOL))[0].remaining == D("0.06")
    await say(broker, "done", "t 100600")
    ticket = the_ticket(broker)
    assert (ticket.status, ticket.filled, ticket.fill_price) == (TicketStatus.DONE, D("0.1"), D(100_560))


async def test_a_fill_reported_after_the_ticket_expired_is_booked_because_it_happened():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(market("m", "sell")))
    for _ in range(3):
        await broker.feed.next(SYMBOL)
    assert the_ticket(broker).status is TicketStatus.EXPIRED
    await say(broker, "done", "m 99990 0.04")
    assert the_ticket(broker).status is TicketStatus.EXPIRED
    await say(broker, "done", "m 99990")
    assert the_ticket(broker).status is TicketStatus.DONE
    assert (await broker.fetch_account(SYMBOL)).position.quantity == D("-0.1")


async def test_tickets_expire_by_the_clock_unless_they_were_accepted():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("open", "sell", "100500")))
    await broker.create_order(approved(limit("taken", "sell", "100600")))
    await say(broker, "accept", "taken")
    broker.drain_events()
    for _ in range(2):
        await broker.feed.next(SYMBOL)
    assert len(await broker.open_orders(SYMBOL)) == 2
    await broker.feed.next(SYMBOL)
    assert [o.client_order_id for o in await broker.open_orders(SYMBOL)] == ["taken"]
    [event] = broker.drain_events()
    assert (event.kind, event.payload["ticket"]["status"]) == (EventKind.TICKET_UPDATED, "expired")


async def test_a_rejected_order_is_not_asked_again_before_the_cool_down_is_over():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t1", "sell", "100500", node=2)))
    await say(broker, "reject", "t1")
    with pytest.raises(Rejected, match="short while ago"):
        await broker.create_order(approved(limit("t2", "sell", "100510", node=2)))
    await broker.create_order(approved(limit("other", "sell", "100600", node=3)))
    for _ in range(3):
        await broker.feed.next(SYMBOL)
    await broker.create_order(approved(limit("t3", "sell", "100510", node=2)))


async def test_withdrawing_an_accepted_ticket_tells_the_person_to_cancel_it():
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    await say(broker, "accept", "t")
    desk = broker._desks[0]
    assert desk.cancel("t") is True
    assert any("cancel the order at the venue" in notice for notice in desk.notices)
    assert the_ticket(broker).status is TicketStatus.WITHDRAWN


@pytest.mark.parametrize(
    ("name", "argument", "reason"),
    [
        ("accept", "nobody", "no ticket nobody"),
        ("accept", "", "say accept"),
        ("sell", "t", "say accept"),
        ("accept", "t 1", "too many"),
        ("done", "t 1 2 3", "too many"),
        ("done", "t abc", "numbers"),
        ("done", "t 0", "cannot be booked"),
        ("done", "t NaN", "cannot be booked"),
        ("done", "t 100500 0.00001", "cannot be booked"),
        ("done", "t 100500 NaN", "cannot be booked"),
        ("done", "t 100500 -1", "cannot be booked"),
    ],
)
async def test_a_verdict_that_makes_no_sense_changes_nothing_and_is_told(name, argument, reason):
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    broker.drain_events()
    await say(broker, name, argument)
    [event] = broker.drain_events()
    assert event.kind is EventKind.ALERT
    assert reason in event.payload["reason"]
    assert the_ticket(broker).status is TicketStatus.OPEN
    assert await broker.fills(SYMBOL) == []


@pytest.mark.parametrize(("first", "second"), [("done", "done"), ("done", "accept"), ("done", "reject"), ("reject", "accept")])
async def test_a_closed_ticket_takes_no_second_verdict(first, second):
    broker = await opened(updates_from_prices(STILL))
    await broker.create_order(approved(limit("t", "sell", "100500")))
    await say(broker, first, "t")
    broker.drain_events()
    await say(broker, second, "t")
    assert [event.kind for event in broker.drain_events()] == [EventKind.ALERT]
    assert len(await broker.fills(SYMBOL)) == (first == "done")


async def test_the_outcome_is_scored_by_where_the_market_went_from_the_recommended_price():
    broker = await opened(updates_from_prices([100_000, *[99_000] * 12]))
    await broker.create_order(approved(market("m", "sell")))
    await broker.create_order(approved(limit("b", "buy", "98000")))
    for _ in range(9):
        await broker.feed.next(SYMBOL)
    scores = {t.id: t.score_bps for t in broker.tickets()}
    assert scores["m"] == pytest.approx(100.0)  # sold at 100,000 before a fall of 1 %
    assert scores["b"] == pytest.approx(102.0408, abs=1e-3)
    assert not broker.tickets()[1].would_have_filled


async def test_a_reported_fill_is_scored_from_its_own_price():
    broker = await opened(updates_from_prices([100_000, *[99_000] * 6]))
    await broker.create_order(approved(market("m", "sell")))
    await say(broker, "done", "m 99500")
    for _ in range(5):
        await broker.feed.next(SYMBOL)
    assert the_ticket(broker).score_bps == pytest.approx(50.2513, abs=1e-3)


async def test_funding_of_the_reported_position_is_booked():
    broker = await opened([*updates_from_prices([100_000]), update(1, bar(100_000), settled_rate=0.0001)])
    await broker.create_order(approved(market("m", "sell", "1")))
    await say(broker, "done", "m")
    await broker.feed.next(SYMBOL)
    assert (await broker.fetch_account(SYMBOL)).funding_received == D(10)


def test_a_stop_would_have_filled_when_mark_reached_its_trigger():
    desk = TicketDesk(instrument(), Wallet(), SHORT, 0.0, FakeClock())
    desk.match(update(0, bar(100_000)))
    desk.place(stop("s", "sell", "99000"), 0)
    [ticket] = desk.tickets.values()
    assert not would_fill(ticket, update(1, bar(98_000), mark=bar(99_500)), 0.1)
    assert would_fill(ticket, update(1, bar(99_500), mark=bar(99_000)), 0.1)


async def test_tickets_verdicts_and_undelivered_events_survive_a_restart():
    journal = MemoryJournal()
    prices = updates_from_prices(STILL)
    broker = await opened(prices, journal=journal)
    await broker.create_order(approved(limit("a", "sell", "100500", node=1)))
    await broker.create_order(approved(limit("b", "sell", "100600", node=2)))
    await broker.create_order(approved(limit("c", "sell", "100700", node=3)))
    await say(broker, "accept", "a")
    await say(broker, "reject", "b")
    await say(broker, "done", "c 100700 0.04")
    again = a_broker(prices, journal=journal)
    await again.open_pair(PAIR, D(1))
    assert again.tickets() == broker.tickets()
    assert await again.open_orders(SYMBOL) == await broker.open_orders(SYMBOL)
    assert await again.fetch_account(SYMBOL) == await broker.fetch_account(SYMBOL)
    assert await again.fills(SYMBOL) == await broker.fills(SYMBOL)
    assert again.drain_events() == broker.drain_events()
    with pytest.raises(Rejected, match="short while ago"):
        await again.create_order(approved(limit("b2", "sell", "100600", node=2)))


async def test_a_verdict_that_could_not_be_journalled_is_of_unknown_outcome():
    class Failing(MemoryJournal):
        async def save(self, account, state, new_fills, new_funding):
            if self.saves == 2:
                raise Transient("the disk is busy")
            await super().save(account, state, new_fills, new_funding)

    broker = await opened(updates_from_prices(STILL), journal=Failing())
    await broker.create_order(approved(limit("t", "sell", "100500")))
    with pytest.raises(AmbiguousOutcome):
        await say(broker, "accept", "t")


def test_closed_tickets_are_forgotten_oldest_first_and_live_ones_never():
    clock = FakeClock()
    desk = TicketDesk(instrument(), Wallet(), SHORT, 0.0, clock, kept=3)
    desk.match(update(0, bar(100_000)))
    desk.place(limit("live", "sell", "100500", node=99), 0)
    desk.verdict("accept", "live")
    for index in range(5):
        desk.place(market(f"m{index}", "sell", node=index), clock.now_ms())
        for _ in range(5):
            clock.advance_to(clock.now_ms() + MINUTE_MS)
            desk.match(update(1, bar(100_000)))
    assert list(desk.tickets) == ["live", "m3", "m4"]


def test_a_verdict_of_another_kind_is_refused():
    desk = TicketDesk(instrument(), Wallet(), SHORT, 0.0, FakeClock())
    with pytest.raises(Rejected, match="no market price"):
        desk.place(market("m", "sell"), 0)
    desk.match(update(0, bar(100_000)))
    desk.place(market("m", "sell"), 0)
    with pytest.raises(Rejected, match="unknown verdict"):
        desk.verdict("postpone", "m")
    with pytest.raises(Rejected, match="no ticket"):
        desk.verdict("accept", "nobody")
