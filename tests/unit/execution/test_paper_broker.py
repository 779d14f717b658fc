"""The paper broker over a feed: credits, journal, restarts, and what it hands on."""

from dataclasses import replace
from decimal import Decimal

import pytest
from loguru import logger

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import OrderStatus
from alpha_pulse.errors import AmbiguousOutcome, ConfigError, Rejected, Transient
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.journal import MemoryJournal
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.testing import (
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
ETHER = replace(PAIR, spot="ETH/USDT", perpetual="ETH/USDT:USDT", base="ETH")
STILL = [100_000] * 6


class FailingJournal(MemoryJournal):
    """Fails when told to, like a disk."""

    def __init__(self) -> None:
        super().__init__()
        self.fail_at = -1

    async def save(self, account, state, new_fills, new_funding):
        if self.saves == self.fail_at:
            raise Transient("the disk is busy")
        await super().save(account, state, new_fills, new_funding)


def a_broker(updates, *, journal=None, account="paper", **settings):
    clock = FakeClock()
    feed = FakeFeed(updates, instrument=instrument(), clock=clock)
    chosen = PaperSettings(**({"slippage_bps": 0.0} | settings))
    return PaperBroker(chosen, feed, clock, FakeIds(), journal=journal, account=account)


async def opened(updates, **options):
    broker = a_broker(updates, **options)
    await broker.open_pair(PAIR, D(1))
    await broker.feed.next(SYMBOL)
    return broker


# --- opening ------------------------------------------------------------------------------------------------------


async def test_the_instrument_is_the_feeds_with_the_fees_of_the_settings():
    broker = a_broker([], maker_fee=D("0.0001"), taker_fee=D("0.0004"))
    rules = await broker.open_pair(PAIR, D(1))
    assert rules == instrument(maker_fee=D("0.0001"), taker_fee=D("0.0004"))


async def test_without_rules_from_the_feed_the_built_in_ones_apply():
    broker = PaperBroker(PaperSettings(), FakeFeed([]), FakeClock(), FakeIds())
    assert (await broker.open_pair(PAIR, D(1))).symbol == SYMBOL


async def test_the_wallet_is_credited_with_the_notional_of_the_inventory_at_the_first_spot_price():
    broker = a_broker([update(0, bar(100_000), spot=bar(99_990)), update(1, bar(100_000), spot=bar(120_000))])
    await broker.open_pair(PAIR, D(-2))
    assert (await broker.fetch_account(SYMBOL)).wallet == 0
    for _ in range(2):
        await broker.feed.next(SYMBOL)
    account = await broker.fetch_account(SYMBOL)
    assert account.wallet == account.deposits == D(199_980)


async def test_while_spot_is_out_the_index_prices_the_first_credit():
    broker = a_broker([update(0, bar(100_000), spot=None, index_price=100_005.0)])
    await broker.open_pair(PAIR, D(1))
    await broker.feed.next(SYMBOL)
    assert (await broker.fetch_account(SYMBOL)).wallet == D("100005.0")


async def test_a_given_balance_is_there_from_the_start_and_once_however_many_pairs_share_it():
    broker = a_broker(updates_from_prices(STILL), quote_balance=D(50_000))
    await broker.open_pair(PAIR, D(1))
    assert (await broker.fetch_account(SYMBOL)).wallet == D(50_000)
    await broker.open_pair(ETHER, D(1))
    assert (await broker.fetch_account(SYMBOL)).wallet == D(50_000)
    assert (await broker.fetch_account(ETHER.perpetual)).wallet == D(50_000)


async def test_without_an_inventory_a_balance_must_be_given():
    with pytest.raises(ConfigError, match="quote_balance"):
        await a_broker([]).open_pair(PAIR, D(0))
    assert (await a_broker([], quote_balance=D(1)).open_pair(PAIR, D(0))).symbol == SYMBOL


async def test_a_pair_that_failed_to_open_can_be_opened_again():
    class Refusing(FakeFeed):
        async def open(self, pair, instrument, *, resume_after_ms=0):
            if not self.opened:
                self.opened.append(("refused", 0))
                raise Transient("no network")
            await super().open(pair, instrument, resume_after_ms=resume_after_ms)

    broker = PaperBroker(PaperSettings(), Refusing(updates_from_prices(STILL)), FakeClock(), FakeIds())
    with pytest.raises(Transient):
        await broker.open_pair(PAIR, D(1))
    with pytest.raises(ConfigError, match="not open"):
        await broker.feed.next(SYMBOL)
    await broker.open_pair(PAIR, D(1))
    assert await broker.feed.next(SYMBOL) is not None


# --- the feed -----------------------------------------------------------------------------------------------------


async def test_fills_are_booked_before_the_update_is_handed_on():
    broker = await opened(updates_from_prices([*STILL[:1], 101_000]))
    await broker.create_order(approved(limit("s", "sell", "100500")))
    handed = await broker.feed.next(SYMBOL)
    assert isinstance(handed, MarketUpdate)
    assert handed.perp.close == 101_000
    assert len(await broker.fills(SYMBOL)) == 1


async def test_a_problem_is_handed_on_unmatched():
    problem = FeedProblem(1, "zero price")
    broker = a_broker([updates_from_prices(STILL)[0], problem, updates_from_prices(STILL)[1]], journal=MemoryJournal())
    await broker.open_pair(PAIR, D(1))
    await broker.feed.next(SYMBOL)
    await broker.create_order(approved(market("m", "sell")))
    assert await broker.feed.next(SYMBOL) is problem
    assert await broker.fills(SYMBOL) == []
    await broker.feed.next(SYMBOL)
    assert len(await broker.fills(SYMBOL)) == 1


async def test_a_feed_that_ended_stays_ended():
    broker = await opened(updates_from_prices(STILL[:1]))
    assert await broker.feed.next(SYMBOL) is None
    assert await broker.feed.next(SYMBOL) is None


async def test_the_feed_tells_latest_history_and_instrument_and_closes():
    inner = FakeFeed(updates_from_prices(STILL), instrument=instrument())
    broker = PaperBroker(PaperSettings(), inner, FakeClock(), FakeIds())
    assert broker.feed.latest(SYMBOL) is None
    await broker.open_pair(PAIR, D(1))
    assert broker.feed.latest(SYMBOL) is None
    first = await broker.feed.next(SYMBOL)
    assert broker.feed.latest(SYMBOL) is first
    assert broker.feed.history(SYMBOL) == []
    assert await broker.feed.instrument(PAIR) == instrument()
    await broker.feed.open(PAIR, instrument(), resume_after_ms=5)
    assert inner.opened[-1] == (SYMBOL, 5)
    await broker.close()
    assert inner.closed == 1


async def test_a_liquidation_is_logged():
    heard = []
    sink = logger.add(heard.append, format="{level} {message}")
    broker = await opened(updates_from_prices([100_000, 100_000, 400_000, 400_000]))
    await broker.create_order(approved(market("m", "sell", "1")))
    for _ in range(3):
        await broker.feed.next(SYMBOL)
    logger.remove(sink)
    assert (await broker.fetch_account(SYMBOL)).liquidated
    assert any("WARNING LIQUIDATED" in line for line in heard)


async def test_a_stop_that_expired_is_logged_with_a_journal_too():
    heard = []
    sink = logger.add(heard.append, format="{level} {message}")
    broker = await opened(updates_from_prices([100_000, 80_000]), journal=MemoryJournal())
    await broker.create_order(approved(stop("s", "sell", "90000", "50")))
    await broker.feed.next(SYMBOL)
    logger.remove(sink)
    assert any("WARNING stop s expired" in line for line in heard)


# --- money in and out ---------------------------------------------------------------------------------------------


async def test_a_transfer_is_a_flow_and_not_a_profit():
    broker = await opened(updates_from_prices(STILL))
    await broker.transfer(SYMBOL, D(500))
    await broker.transfer(SYMBOL, D(-100_000))
    account = await broker.fetch_account(SYMBOL)
    assert account.wallet == account.deposits == D(500)
    with pytest.raises(Rejected, match="cannot be taken out"):
        await broker.transfer(SYMBOL, D(-501))


async def test_two_pairs_trade_out_of_one_wallet():
    broker = a_broker(updates_from_prices(STILL), quote_balance=D(1_000_000))
    for pair in (PAIR, ETHER):
        await broker.open_pair(pair, D(1))
        await broker.feed.next(pair.perpetual)
        await broker.create_order(approved(market("m", "sell", "1", symbol=pair.perpetual)))
        await broker.feed.next(pair.perpetual)
    one, other = await broker.fetch_account(SYMBOL), await broker.fetch_account(ETHER.perpetual)
    assert one.wallet == other.wallet == D(1_000_000) - one.fees_paid - other.fees_paid
    assert [f.symbol for f in await broker.fills(SYMBOL)] == [SYMBOL]


# --- the journal --------------------------------------------------------------------------------------------------


async def test_without_a_journal_nothing_is_serialised_and_with_one_every_change_is_on_disk():
    journal = MemoryJournal()
    broker = await opened(updates_from_prices(STILL), journal=journal)
    assert journal.saves == 1
    await broker.create_order(approved(limit("s", "sell", "100500")))
    await broker.cancel_order(SYMBOL, "s")
    await broker.cancel_order(SYMBOL, "s")
    await broker.transfer(SYMBOL, D(1))
    assert journal.saves == 4
    await broker.feed.next(SYMBOL)
    assert journal.saves == 5


async def test_a_restart_finds_account_orders_and_feed_where_they_were():
    journal = MemoryJournal()
    prices = [100_000, 100_000, 100_600, 100_600, 101_500]
    broker = await opened(updates_from_prices(prices), journal=journal)
    await broker.create_order(approved(limit("s1", "sell", "100500")))
    await broker.create_order(approved(limit("s2", "sell", "101000")))
    await broker.create_order(approved(stop("stop", "sell", "90000")))
    for _ in range(2):
        await broker.feed.next(SYMBOL)

    again = a_broker(updates_from_prices(prices), journal=journal)
    await again.open_pair(PAIR, D(7))
    assert await again.fetch_account(SYMBOL) == await broker.fetch_account(SYMBOL)
    assert await again.open_orders(SYMBOL) == await broker.open_orders(SYMBOL)
    assert await again.fills(SYMBOL) == await broker.fills(SYMBOL)
    found = await again.find_order(SYMBOL, "s1")
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert again.feed.latest(SYMBOL) == broker.feed.latest(SYMBOL)
    assert len(list(again.feed.history(SYMBOL))) == 3
    for _ in range(2):
        await again.feed.next(SYMBOL)
    assert [f.client_order_id for f in await again.fills(SYMBOL)] == ["s1", "s2"]
    assert [f.trade_id for f in await again.fills(SYMBOL)] == ["1", "2"]


async def test_funding_survives_a_restart_and_is_not_paid_twice():
    journal = MemoryJournal()
    market_ = [*updates_from_prices([100_000, 100_000]), update(2, bar(100_000), settled_rate=0.0001), update(3, bar(100_000))]
    broker = await opened(market_, journal=journal)
    await broker.create_order(approved(market("m", "sell", "1")))
    for _ in range(2):
        await broker.feed.next(SYMBOL)
    again = a_broker(market_, journal=journal)
    await again.open_pair(PAIR, D(1))
    await again.feed.next(SYMBOL)
    assert await again.funding(SYMBOL) == await broker.funding(SYMBOL)
    assert len(await again.funding(SYMBOL)) == 1
    assert (await again.fetch_account(SYMBOL)).funding_received == D(10)


async def test_a_pair_that_is_not_opened_again_stays_in_the_journal():
    journal = MemoryJournal()
    both = a_broker(updates_from_prices(STILL), journal=journal, quote_balance=D(10**6))
    for pair in (PAIR, ETHER):
        await both.open_pair(pair, D(1))
        await both.feed.next(pair.perpetual)
        await both.create_order(approved(limit("s", "sell", "100500", symbol=pair.perpetual)))
    one = a_broker(updates_from_prices(STILL), journal=journal, quote_balance=D(10**6))
    await one.open_pair(PAIR, D(1))
    await one.feed.next(SYMBOL)
    third = a_broker(updates_from_prices(STILL), journal=journal, quote_balance=D(10**6))
    await third.open_pair(ETHER, D(1))
    assert len(await third.open_orders(ETHER.perpetual)) == 1


async def test_accounts_do_not_mix():
    journal = MemoryJournal()
    await opened(updates_from_prices(STILL), journal=journal, account="one")
    other = a_broker(updates_from_prices(STILL), journal=journal, account="two")
    await other.open_pair(PAIR, D(1))
    assert (await other.fetch_account(SYMBOL)).wallet == 0


async def test_a_write_that_could_not_be_journalled_is_of_unknown_outcome():
    journal = FailingJournal()
    broker = await opened(updates_from_prices(STILL), journal=journal)
    journal.fail_at = journal.saves
    with pytest.raises(AmbiguousOutcome) as caught:
        await broker.create_order(approved(limit("s", "sell", "100500")))
    assert caught.value.client_order_id == "s"
    assert await broker.find_order(SYMBOL, "s") is not None
    with pytest.raises(AmbiguousOutcome):
        await broker.cancel_order(SYMBOL, "s")


async def test_an_update_that_could_not_be_journalled_comes_again_and_is_matched_once():
    journal = FailingJournal()
    broker = await opened(updates_from_prices([100_000, 101_000, 101_000]), journal=journal)
    await broker.create_order(approved(limit("s", "sell", "100500")))
    journal.fail_at = journal.saves
    for _ in range(2):
        with pytest.raises(Transient):
            await broker.feed.next(SYMBOL)
    journal.fail_at = -1
    handed = await broker.feed.next(SYMBOL)
    assert isinstance(handed, MarketUpdate)
    assert handed.perp.open == 100_000
    assert len(await broker.fills(SYMBOL)) == 1
    record = await journal.load("paper")
    assert record is not None
    assert [f["client_order_id"] for f in record.fills] == ["s"]


async def scripted_bot(broker, act):
    """Acts on every update exactly once, by asking the venue what it already knows; returns what the venue says in the end."""
    await broker.open_pair(PAIR, D(1))
    item = broker.feed.latest(SYMBOL) or await broker.feed.next(SYMBOL)
    while item is not None:
        for request in act(item):
            if await broker.find_order(SYMBOL, request.client_order_id) is None:
                await broker.create_order(approved(request))
        item = await broker.feed.next(SYMBOL)
    return await broker.fetch_account(SYMBOL), await broker.fills(SYMBOL), await broker.open_orders(SYMBOL)


async def test_a_process_killed_at_any_save_ends_where_an_uninterrupted_one_ends():
    prices = [100_000, (100_000, 100_500, 99_500, 100_200), 100_100, (100_100, 101_000, 99_000, 99_500), 99_900, 100_400]
    market_ = updates_from_prices(prices)

    def act(item):
        price = round(item.perp.close)
        return [
            limit(f"s{item.close_ms}", "sell", str(price + 150)),
            limit(f"b{item.close_ms}", "buy", str(price - 150)),
            market(f"m{item.close_ms}", "sell", "0.05"),
        ]

    expected = await scripted_bot(a_broker(market_, journal=MemoryJournal()), act)
    straight = FailingJournal()
    await scripted_bot(a_broker(market_, journal=straight), act)
    for crash_at in range(straight.saves):
        journal = FailingJournal()
        journal.fail_at = crash_at
        with pytest.raises((Transient, AmbiguousOutcome)):
            await scripted_bot(a_broker(market_, journal=journal), act)
        journal.fail_at = -1
        account, fills, orders = await scripted_bot(a_broker(market_, journal=journal), act)
        assert account == expected[0], crash_at
        assert fills == expected[1], crash_at
        assert [o.request for o in orders] == [o.request for o in expected[2]], crash_at


async def test_the_memory_journal_keeps_copies():
    journal = MemoryJournal()
    state = {"pairs": {"x": 1}}
    await journal.save("a", state, [{"n": 1}], [])
    state["pairs"]["x"] = 2
    first = await journal.load("a")
    assert first is not None
    assert first.state == {"pairs": {"x": 1}}
    first.fills.clear()
    await journal.save("a", {}, [{"n": 2}], [{"f": 1}])
    second = await journal.load("a")
    assert second is not None
    assert (second.fills, second.funding) == ([{"n": 1}, {"n": 2}], [{"f": 1}])
    assert await journal.load("b") is None


# --- closing --------------------------------------------------------------------------------------------------------


class OneAtATime(FakeFeed):
    """A feed that tells nothing once it is closed, until it is opened again."""

    async def next(self, symbol):
        if self.closed >= len(self.opened):
            raise ConfigError("this feed was not opened for it", field="symbol", value=symbol)
        return await super().next(symbol)


async def test_a_pair_that_is_opened_again_after_a_close_goes_on_where_it_was():
    feed = OneAtATime(updates_from_prices(STILL))
    broker = PaperBroker(PaperSettings(), feed, FakeClock(), FakeIds())
    await broker.open_pair(PAIR, D(1))
    first = await broker.feed.next(SYMBOL)
    before = await broker.fetch_account(SYMBOL)
    await broker.close()
    await broker.open_pair(PAIR, D(1))
    second = await broker.feed.next(SYMBOL)
    assert second.close_ms > first.close_ms
    assert (await broker.fetch_account(SYMBOL)).wallet == before.wallet > 0
    await broker.open_pair(PAIR, D(1))
    assert len(feed.opened) == 2  # it was open
