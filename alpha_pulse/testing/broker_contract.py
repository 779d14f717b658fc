"""What every broker must do, whatever it trades on. Inherit, provide ``venue``, and pytest runs the checks.

::

    class TestMyBroker(BrokerContract):
        async def venue(self) -> Venue: ...

``BrokerContract`` holds for every broker; ``ExecutingBrokerContract`` adds what only one that fills orders by itself can promise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Liquidity, OrderRequest, OrderStatus
from alpha_pulse.errors import AlphaPulseError, Rejected
from alpha_pulse.hedging.common.interfaces import Broker
from alpha_pulse.hedging.common.order_ids import OrderName, bot_tag, order_id
from alpha_pulse.testing.markets import PAIR, approved, limit, market, stop


@dataclass(frozen=True, slots=True)
class Venue:
    """A broker that is ready for the checks.

    Its feed delivers at least eight updates at a standing price of 100,000, then one that trades from 99,000 to 101,000, then one
    at 100,000. Tick at most 0.1, lot 0.001 or finer; the wallet carries a position of 1.
    """

    broker: Broker
    pair: HedgePair = PAIR
    inventory: Decimal = Decimal(1)

    @property
    def symbol(self) -> str:
        """Unified symbol of the perpetual."""
        return self.pair.perpetual

    def ours(self, request: OrderRequest) -> OrderRequest:
        """The same order under the id that a bot would give it: a broker may refuse any other. The digit of its name counts them."""
        number = int(request.client_order_id[1:])
        name = OrderName(request.purpose, request.side, request.node, number)
        return replace(request, client_order_id=order_id(bot_tag(self.broker.account, self.symbol), name))

    async def start(self) -> None:
        """Open the pair and take the first update in."""
        await self.broker.open_pair(self.pair, self.inventory)
        await self.step()

    async def step(self, count: int = 1) -> MarketUpdate:
        """Let the market move on."""
        item: object = None
        for _ in range(count):
            item = await self.broker.feed.next(self.symbol)
        assert isinstance(item, MarketUpdate), f"the venue's feed gave {item!r}"  # noqa: S101 - a test suite
        return item


def check(condition: object, rule: str) -> None:
    """Fail with the rule that is broken."""
    if not condition:
        raise AssertionError(rule)


async def _refused(broker: Broker, order: Any) -> bool:
    try:
        await broker.create_order(order)
    except Rejected:
        return True
    return False


class BrokerContract(ABC):
    """Checks that hold for every broker. Each ``test_`` method gets a fresh venue."""

    @abstractmethod
    async def venue(self) -> Venue:
        """A fresh venue, its pair not yet opened."""

    async def _ready(self) -> Venue:
        venue = await self.venue()
        await venue.start()
        return venue

    async def test_opening_a_pair_twice_changes_nothing(self) -> None:
        """``open_pair`` is idempotent: same rules, no second credit."""
        venue = await self._ready()
        account = await venue.broker.fetch_account(venue.symbol)
        first = await venue.broker.open_pair(venue.pair, venue.inventory)
        second = await venue.broker.open_pair(venue.pair, venue.inventory)
        check(first == second, "the trading rules stay the same")
        check(await venue.broker.fetch_account(venue.symbol) is account, "nothing is credited twice")

    async def test_a_pair_that_is_not_open_is_refused_by_name(self) -> None:
        """Reads of an unknown pair raise one of our errors and name it."""
        venue = await self.venue()
        try:
            await venue.broker.open_orders("DOGE/USDT:USDT")
        except AlphaPulseError as error:
            check("DOGE/USDT:USDT" in str(error), "the error names the pair")
        else:
            raise AssertionError("an unknown pair must be refused")

    async def test_reads_return_the_same_object_until_something_changed(self) -> None:
        """Callers compare by identity: quiet ticks must cost nothing."""
        venue = await self._ready()
        broker, symbol = venue.broker, venue.symbol
        orders, account = await broker.open_orders(symbol), await broker.fetch_account(symbol)
        await venue.step()
        check(await broker.open_orders(symbol) is orders, "open_orders is the same tuple after a quiet update")
        check(await broker.fetch_account(symbol) is account, "fetch_account is the same object after a quiet update")
        await broker.create_order(approved(venue.ours(limit("c1", "sell", "100500"))))
        check(await broker.open_orders(symbol) is not orders, "a new order makes a new tuple")
        check(await broker.fetch_account(symbol) is account, "an order alone books nothing")

    async def test_an_accepted_order_is_open_and_can_be_found(self) -> None:
        """Create, list, find."""
        venue = await self._ready()
        request = venue.ours(limit("c1", "sell", "100500", node=3))
        order = await venue.broker.create_order(approved(request))
        check(order.request == request, "the order carries its request, node and purpose included")
        check(order.status is OrderStatus.OPEN and order.filled == 0, "it is open and unfilled")
        check([o.client_order_id for o in await venue.broker.open_orders(venue.symbol)] == [request.client_order_id], "it is listed")
        check(await venue.broker.find_order(venue.symbol, request.client_order_id) == order, "it is found by our id")

    async def test_an_order_never_seen_is_not_found(self) -> None:
        """None means: the venue never saw it."""
        venue = await self._ready()
        check(await venue.broker.find_order(venue.symbol, "nobody") is None, "find_order of an unseen id is None")

    async def test_nothing_is_sent_without_the_stamp_of_the_risk_manager(self) -> None:
        """A bare request is a programming error, not an order."""
        venue = await self._ready()
        try:
            await venue.broker.create_order(cast("Any", limit("c1", "sell", "100500")))
        except TypeError:
            check(await venue.broker.find_order(venue.symbol, "c1") is None, "and it never arrived")
        else:
            raise AssertionError("a bare OrderRequest must be refused with TypeError")

    async def test_a_client_order_id_is_used_once(self) -> None:
        """A second order with the same id is rejected, also after the first is gone."""
        venue = await self._ready()
        order = approved(venue.ours(limit("c1", "sell", "100500")))
        await venue.broker.create_order(order)
        check(await _refused(venue.broker, order), "a live duplicate is rejected")
        await venue.broker.cancel_order(venue.symbol, order.request.client_order_id)
        check(await _refused(venue.broker, order), "a duplicate of a closed order is rejected")

    async def test_a_cancelled_order_is_gone_and_still_found(self) -> None:
        """Cancelling twice, or what never was, is no error."""
        venue = await self._ready()
        request = venue.ours(limit("c1", "sell", "100500"))
        await venue.broker.create_order(approved(request))
        for _ in range(2):
            await venue.broker.cancel_order(venue.symbol, request.client_order_id)
        await venue.broker.cancel_order(venue.symbol, "nobody")
        check(await venue.broker.open_orders(venue.symbol) == (), "nothing is open")
        found = await venue.broker.find_order(venue.symbol, request.client_order_id)
        check(found is not None and found.status is OrderStatus.CANCELLED, "it is found as cancelled")

    async def test_malformed_orders_are_rejected_and_leave_no_trace(self) -> None:
        """Quantities and prices off the grid, under the minimum, or that would take when they must not."""
        venue = await self._ready()
        bad = [
            limit("b1", "sell", "100500.05"),
            limit("b2", "sell", "100500", "0.0000001"),
            limit("b3", "sell", "99000"),
            limit("b4", "buy", "101000"),
            stop("b5", "sell", "100500"),
        ]
        for request in map(venue.ours, bad):
            check(await _refused(venue.broker, approved(request)), f"{request.client_order_id} must be rejected")
            check(await venue.broker.find_order(venue.symbol, request.client_order_id) is None, "and it is unknown afterwards")
        check(await venue.broker.open_orders(venue.symbol) == (), "nothing is open")

    async def test_closing_twice_leaves_orders_alone(self) -> None:
        """``close`` releases connections and nothing else."""
        venue = await self._ready()
        await venue.broker.create_order(approved(venue.ours(limit("c1", "sell", "100500"))))
        await venue.broker.close()
        await venue.broker.close()
        check(len(await venue.broker.open_orders(venue.symbol)) == 1, "the order is still there")


class ExecutingBrokerContract(BrokerContract):
    """What a broker promises that fills orders by itself."""

    async def test_the_wallet_starts_with_what_was_deposited(self) -> None:
        """Money never comes from nowhere."""
        venue = await self._ready()
        account = await venue.broker.fetch_account(venue.symbol)
        check(account.wallet == account.deposits > 0, "the wallet is what was deposited")
        check(account.position.quantity == 0, "and there is no position")

    async def test_a_resting_order_fills_at_its_price_when_the_market_trades_through_it(self) -> None:
        """The maker side, and how it is booked."""
        venue = await self._ready()
        before = await venue.broker.fetch_account(venue.symbol)
        request = venue.ours(limit("c1", "sell", "100500", node=2))
        await venue.broker.create_order(approved(request))
        await venue.step(8)
        [fill] = await venue.broker.fills(venue.symbol)
        name = request.client_order_id
        check((fill.client_order_id, fill.price, fill.quantity) == (name, Decimal(100_500), Decimal("0.1")), "our price, all of it")
        check((fill.liquidity, fill.node, fill.reference_price) == (Liquidity.MAKER, 2, Decimal(100_500)), "as maker, as that node")
        account = await venue.broker.fetch_account(venue.symbol)
        check(account is not before, "a booking makes a new account")
        check(account.position.quantity == Decimal("-0.1"), "a sell makes a short")
        check(account.wallet == before.wallet - fill.fee, "opening costs the fee alone")
        order = await venue.broker.find_order(venue.symbol, name)
        check(order is not None and order.status is OrderStatus.FILLED and order.remaining == 0, "and the order is filled")

    async def test_a_market_order_takes_on_the_next_update(self) -> None:
        """The taker side."""
        venue = await self._ready()
        await venue.broker.create_order(approved(venue.ours(market("c1", "sell"))))
        check(len(await venue.broker.fills(venue.symbol)) <= 1, "at most its own fill")
        await venue.step()
        [fill] = await venue.broker.fills(venue.symbol)
        check(fill.liquidity is Liquidity.TAKER, "it takes")
        check(fill.price < fill.reference_price, "a sale pays the spread")

    async def test_fills_are_handed_out_after_those_that_are_known(self) -> None:
        """``already`` skips, so that each fill is booked once."""
        venue = await self._ready()
        requests = [venue.ours(market(name, "sell")) for name in ("c1", "c2")]
        for request in requests:
            await venue.broker.create_order(approved(request))
        await venue.step()
        everything = list(await venue.broker.fills(venue.symbol))
        check([fill.client_order_id for fill in everything] == [r.client_order_id for r in requests], "oldest first")
        check(list(await venue.broker.fills(venue.symbol, 1)) == everything[1:], "without the first")
        check(list(await venue.broker.fills(venue.symbol, 2)) == [], "and nothing after the last")
        check(list(await venue.broker.funding(venue.symbol)) == [], "no funding has settled")

    async def test_a_stop_rests_until_mark_comes_to_it(self) -> None:
        """And is gone once it fired."""
        venue = await self._ready()
        await venue.broker.create_order(approved(venue.ours(stop("s1", "sell", "99500", "1"))))
        await venue.step()
        check(len(await venue.broker.open_orders(venue.symbol)) == 1, "it rests")
        await venue.step(7)
        [fill] = await venue.broker.fills(venue.symbol)
        check(fill.price <= Decimal(99_500), "it sells at the trigger or worse")
        await venue.step()
        check(len(await venue.broker.fills(venue.symbol)) == 1, "a fired stop does not fire again")
        check(await venue.broker.open_orders(venue.symbol) == (), "and is gone")

    async def test_more_than_the_margin_carries_is_rejected(self) -> None:
        """Initial margin."""
        venue = await self._ready()
        order = approved(venue.ours(limit("c1", "sell", "100500", "1000")))
        check(await _refused(venue.broker, order), "an order beyond the wallet is rejected")
