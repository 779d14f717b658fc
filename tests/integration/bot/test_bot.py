"""The bot around the pure core: starting, stepping, trouble, people, stopping. On the paper broker, with made-up prices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Order, OrderRequest, Purpose
from alpha_pulse.errors import AmbiguousOutcome, ConfigError, Fatal, Transient
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.hedging.common.approved import ApprovedOrder
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.common.types import GridLevel, RiskState
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.testing import SYMBOL, FakeClock, FakeFeed, FakeIds, updates_from_prices

STILL: dict[str, Any] = {
    "grid": {"volatility_multiple": 0},
    "risk": {"var_limit_pct": None, "stop_volatility_multiple": 0},
    "hedge": {"funding_tilt": 0},
}


def prices(*path: float, **changes: Any) -> list[MarketUpdate]:
    return updates_from_prices(path, **changes)


def make_broker(updates: Iterable[Any], cls: Any = PaperBroker, **parts: Any) -> PaperBroker:
    clock = FakeClock()
    broker: PaperBroker = cls(PaperSettings(), FakeFeed(updates, clock=clock), clock, FakeIds(), **parts)
    return broker


def make_bot(updates: Iterable[Any], *, config: dict[str, Any] | None = None, live: bool = False, **parts: Any) -> GridHedgeBot:
    broker = parts.pop("broker", None) or make_broker(updates)
    store = parts.pop("store", None) or MemoryStore(records_every_tick=live)
    return GridHedgeBot(broker=broker, symbol="BTCUSDT", config=STILL if config is None else config, store=store, **parts)


async def stepped(bot: GridHedgeBot) -> GridHedgeBot:
    await bot.start()
    while await bot.step():
        pass
    return bot


async def told(bot: GridHedgeBot) -> list[Event]:
    return [stored.event for stored in await bot.store.events(limit=100_000)]


async def kinds(bot: GridHedgeBot) -> list[EventKind]:
    return [event.kind for event in await told(bot)]


async def position(bot: GridHedgeBot) -> Decimal:
    return (await bot.broker.fetch_account(SYMBOL)).position.quantity


async def test_a_holder_is_hedged_to_the_ratio_within_minutes():
    bot = await stepped(make_bot(prices(100_000, 100_000, 100_010, 100_020, 100_010)))
    assert await position(bot) == Decimal("-0.500")


async def test_the_hedge_grows_as_price_rises_and_the_floor_of_the_policy_holds_as_it_falls():
    up = [100_000 + 50 * i for i in range(120)]
    bot = await stepped(make_bot(prices(*up)))
    assert Decimal("-0.65") <= await position(bot) <= Decimal("-0.60")
    bot = await stepped(make_bot(prices(*[200_000 - p for p in up])))
    assert await position(bot) == Decimal("-0.500")


async def test_a_crash_fires_the_stop_once_and_leaves_the_holder_fully_hedged():
    path = [100_000, 100_000, 100_000, 95_000, 90_000, 84_000, 80_000, 84_900, 85_100] * 1 + [84_900, 85_100] * 50
    bot = await stepped(make_bot(prices(*path)))
    assert await position(bot) == Decimal("-1.000")
    events = await told(bot)
    assert [e.kind for e in events].count(EventKind.STOP_LATCHED) == 1
    stops = [e for e in events if e.kind is EventKind.FILL and e.payload["fill"]["purpose"] == "stop"]
    assert len(stops) == 1
    assert bot.state.risk.state is RiskState.DELTA_REDUCE


async def test_after_the_stop_the_grid_goes_on_when_price_is_back():
    path = [100_000, 100_000, 100_000, 84_000, 90_000, 100_001, 100_001, 100_010, 100_020, 100_000, 99_990]
    bot = await stepped(make_bot(prices(*path)))
    assert await position(bot) == Decimal("-0.500")
    assert (await kinds(bot)).count(EventKind.STOP_RELEASED) == 1
    assert any(o.request.purpose is Purpose.STOP for o in await bot.broker.open_orders(SYMBOL))


async def test_a_gap_right_through_the_stop_ends_fully_hedged_too():
    gap = [(60_000.0, 60_000.0, 59_000.0, 59_500.0), 60_000.0, 98_000.0, 98_000.0]
    bot = await stepped(make_bot(updates_from_prices([100_000, 100_000, 100_000, *gap])))
    assert await position(bot) == Decimal("-1.000")


async def test_funding_is_booked_once_on_the_position_before_the_bar():
    updates = prices(100_000, 100_000, 100_000, 100_000, 100_000)
    updates[4] = updates[4]._replace(settled_rate=0.0005)
    bot = await stepped(make_bot(updates))
    payments = [e.payload["payment"] for e in await told(bot) if e.kind is EventKind.FUNDING]
    held = (await bot.broker.funding(SYMBOL))[0].position
    assert [Decimal(p["amount"]) for p in payments] == [-held * 100_000 * Decimal("0.0005")]


async def test_a_broken_market_skips_the_tick_withdraws_what_unwinds_and_says_so_once():
    config = STILL | {"hedge": {"min_ratio": 0, "amplitude_adverse": 0.25, "funding_tilt": 0}}
    good = prices(*[100_000] * 6)
    broken = [FeedProblem(good[-1].close_ms + 60_000 * i, "the bid is nan") for i in (1, 2, 3)]
    bot = await stepped(make_bot([*good, *broken], config=config))
    skipped = [e for e in await told(bot) if e.kind is EventKind.TICK_SKIPPED]
    assert [e.payload["reason"] for e in skipped] == ["the bid is nan"]
    left = await bot.broker.open_orders(SYMBOL)
    assert {o.request.side.value for o in left} == {"sell"}
    assert Purpose.STOP in {o.request.purpose for o in left}


async def test_a_silence_that_grows_is_said_once_and_another_trouble_again():
    good = prices(*[100_000] * 3)
    reasons = ["no quotes for 3 s", "no quotes for 4.5 s", "no quotes for 1,200 s", "no mark price for 5 s"]
    silent = [FeedProblem(good[-1].close_ms + 1000 * i, reason) for i, reason in enumerate(reasons, 1)]
    bot = await stepped(make_bot([*good, *silent]))
    skipped = [e.payload["reason"] for e in await told(bot) if e.kind is EventKind.TICK_SKIPPED]
    assert skipped == [reasons[0], reasons[3]]


class Vault:
    """Coins that can be read as long as somebody lets us."""

    def __init__(self) -> None:
        self.open = True

    async def fetch_inventory(self, symbol: str) -> Decimal:
        if not self.open:
            raise Transient(f"the coins of {symbol} were last read 301 s ago")
        return Decimal(1)


async def test_what_unwinds_is_withdrawn_on_a_broken_market_also_where_the_coins_cannot_be_read():
    config = STILL | {"hedge": {"min_ratio": 0, "amplitude_adverse": 0.25, "funding_tilt": 0}}
    good, vault = prices(*[100_000] * 6), Vault()
    bot = make_bot([*good, FeedProblem(good[-1].close_ms + 60_000, "the bid is nan")], config=config, position_fetcher=vault)
    await bot.start()
    for _ in good:
        await bot.step()
    assert {o.request.side.value for o in await bot.broker.open_orders(SYMBOL)} == {"buy", "sell"}
    vault.open = False
    await bot.step()
    assert {o.request.side.value for o in await bot.broker.open_orders(SYMBOL)} == {"sell"}


async def test_a_broken_market_before_the_first_good_one_is_waited_out():
    bot = await stepped(make_bot([FeedProblem(1, "no price yet"), *prices(100_000, 100_000, 100_000)]))
    assert await position(bot) == Decimal("-0.500")


async def test_a_spot_outage_does_not_stop_the_hedge():
    updates = prices(*[100_000] * 3) + [u._replace(spot=None) for u in prices(*[100_000 + 60 * i for i in range(60)], first=3)]
    bot = await stepped(make_bot(updates))
    assert await position(bot) < Decimal("-0.5")


async def test_ticks_keep_to_the_interval_unless_something_happens():
    config = STILL | {"execution": {"rebalance_interval": 600}}
    bot = make_bot(prices(*[100_000] * 40), config=config, live=True)
    await stepped(bot)
    assert 4 <= (await kinds(bot)).count(EventKind.TICK) <= 8


async def test_execute_runs_one_tick_at_the_price_that_is_given():
    bot = await GridHedgeBot.create(broker=make_broker(prices(100_000, 100_000)), symbol="BTC/USDT", config=STILL)
    price = await bot.data_provider.get_current_price("BTCUSDT")
    decision = await bot.execute(price)
    assert decision.curve.anchor == pytest.approx(100_000)
    moved = await bot.execute("103000")
    assert moved.target_position < decision.target_position
    for wrong in ("NaN", "0", "-5", "much", float("inf")):
        with pytest.raises(ConfigError, match="is no price"):
            await bot.execute(wrong)


async def test_execute_fetches_a_price_itself_when_there_is_none():
    bot = make_bot(prices(100_000, 100_000))
    assert (await bot.execute()).target_position == pytest.approx(-0.5)


async def test_execute_refuses_a_stale_market():
    bot = await stepped(make_bot(prices(100_000, 100_000)))
    await bot.broker.clock.sleep(3600)
    with pytest.raises(Transient, match="old"):
        await bot.execute()


async def test_a_step_too_small_for_the_venue_is_refused_with_the_fix():
    bot = make_bot(prices(100_000), config={"grid": {"num_levels": 200}, "hedge": {"amplitude": 0.1}})
    with pytest.raises(ConfigError, match="num_levels"):
        await stepped(bot)


class Cautious:
    """A calculator of the user's own."""

    def calculate_grid_levels(self, market: Any, position: Any) -> Sequence[GridLevel]:
        return []


class Careless:
    """A calculator with a bug."""

    def calculate_grid_levels(self, market: Any, position: Any) -> Sequence[GridLevel]:
        raise ZeroDivisionError("a bug of the user's")


async def test_a_calculator_can_be_given_as_an_object_or_by_name():
    bot = await stepped(make_bot(prices(*[100_000] * 4), grid_calculator=Cautious()))
    assert {o.request.purpose for o in await bot.broker.open_orders(SYMBOL)} == {Purpose.STOP}
    named = {"grid": {"calculator": "alpha_pulse.hedging.grid.calculator:DefaultGridCalculator"}} | {
        k: v for k, v in STILL.items() if k != "grid"
    }
    assert await position(await stepped(make_bot(prices(*[100_000] * 4), config=named))) == Decimal("-0.500")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nonsense", "package.module:Class of your own"),
        ("no.such:Thing", "cannot be loaded"),
        ("decimal:Decimal", "has no method calculate_grid_levels"),
    ],
)
async def test_a_calculator_that_cannot_be_used_is_refused_by_name(name, why):
    with pytest.raises(ConfigError, match=why):
        make_bot([], config={"grid": {"calculator": name}})


async def test_a_sizer_of_the_users_own_is_loaded_by_name():
    config = STILL | {"hedge": {"sizer": "tests.integration.bot.sizers:Half", "funding_tilt": 0}}
    assert await position(await stepped(make_bot(prices(*[100_000] * 4), config=config))) == Decimal("-0.250")


async def test_an_unforeseen_error_withdraws_the_grid_keeps_the_stop_and_ends_with_an_exit_code():
    store = MemoryStore()
    bot = await stepped(make_bot(prices(*[100_000] * 4), store=store))
    bot._decider.calculator = Careless()
    bot.broker.feed._inner.updates.extend(prices(100_000, 100_500, first=4))
    lines: list[str] = []
    sink = logger.add(lines.append, level="ERROR", format="{message}")
    await bot.run()
    logger.remove(sink)
    assert bot.exit_code == 1
    assert any("the protective stop stays" in line for line in lines)
    assert {o.request.purpose for o in await bot.broker.open_orders(SYMBOL)} == {Purpose.STOP}
    again = make_bot([], store=store, broker=make_broker(prices(*[100_000] * 3)))
    await stepped(again)
    assert again.state.risk.state is RiskState.HALTED
    assert "ZeroDivisionError" in again.state.risk.halted


class Unread:
    """An inventory that cannot be read from some moment on."""

    def __init__(self) -> None:
        self.away = False

    async def fetch_inventory(self, symbol: str) -> Decimal:
        if self.away:
            raise Transient("the coins cannot be read")
        return Decimal(1)


class Breaking(PaperBroker):
    """Falls over what nobody foresaw when it is asked for orders, once it is told to."""

    broken = False

    async def open_orders(self, symbol: str) -> Sequence[Order]:
        if self.broken:
            self.broken = False
            raise ZeroDivisionError
        return await super().open_orders(symbol)


async def test_an_unforeseen_error_while_an_outage_is_ridden_out_keeps_the_stop_too():
    broker, positions = make_broker(prices(*[100_000] * 4), Breaking), Unread()
    bot = await stepped(make_bot([], broker=broker, position_fetcher=positions))
    broker.broken = positions.away = True
    bot.broker.feed._inner.updates.extend(prices(100_500, first=4))
    await bot.run()
    assert bot.exit_code == 1
    assert "ZeroDivisionError" in bot.state.risk.halted
    assert {o.request.purpose for o in await bot.broker.open_orders(SYMBOL)} == {Purpose.STOP}


async def test_people_are_heard_while_the_market_is_broken():
    store = MemoryStore(records_every_tick=True)
    bot = await stepped(make_bot(prices(*[100_000] * 4), store=store))
    problems = [FeedProblem(360_000 + 60_000 * number, "no quotes") for number in range(50)]
    bot.broker.feed._inner.updates.extend(problems)
    store.post_command(bot.broker.account, SYMBOL, "stop")
    await bot.run()
    assert bot.exit_code == 0
    assert len(bot.broker.feed._inner.updates) > 40


async def test_resuming_releases_halts_and_latches_and_the_grid_goes_on():
    store = MemoryStore(records_every_tick=True)
    bot = await stepped(make_bot(prices(100_000, 100_000, 100_000, 84_000, 83_000), store=store))
    assert bot.state.risk.stop_latched
    store.post_command(bot.broker.account, SYMBOL, "resume")
    bot.broker.feed._inner.updates.extend(prices(83_000, 83_010, 83_020, 83_000, first=5))
    await stepped(bot)
    assert not bot.state.risk.stop_latched
    assert bot.state.curve.anchor == pytest.approx(83_000)
    assert float(await position(bot)) == pytest.approx(-0.5, abs=0.005)
    assert EventKind.RESUMED in await kinds(bot)


async def test_run_ends_with_its_feed_and_leaves_no_order():
    bot = make_bot(prices(*[100_000] * 5))
    await bot.run()
    assert bot.exit_code == 0
    assert await bot.broker.open_orders(SYMBOL) == ()
    await bot.stop()  # once more is no error


async def test_the_protective_stop_can_be_left_at_the_venue():
    bot = make_bot(prices(*[100_000] * 5), config=STILL | {"execution": {"keep_stop_on_exit": True}})
    await bot.run()
    assert [o.request.purpose for o in await bot.broker.open_orders(SYMBOL)] == [Purpose.STOP]


class SilentFeed(FakeFeed):
    """Delivers what it has, then never answers again."""

    async def next(self, symbol: str) -> Any:
        item = await super().next(symbol)
        if item is None:
            await asyncio.sleep(3600)
        return item


async def test_a_silent_market_is_noticed_and_a_stop_is_obeyed_meanwhile():
    clock = FakeClock()
    broker = PaperBroker(PaperSettings(), SilentFeed(prices(*[100_000] * 4), clock=clock), clock, FakeIds())
    store = MemoryStore(records_every_tick=True)
    bot = GridHedgeBot(broker=broker, config=STILL, store=store)
    running = asyncio.ensure_future(bot.run())
    await asyncio.sleep(0.2)
    await clock.sleep(3600)
    await asyncio.sleep(1.2)
    store.post_command(broker.account, SYMBOL, "stop")
    await asyncio.wait_for(running, 5)
    await store.open(broker.account, SYMBOL, "look", 0)
    seen = [stored.event for stored in await store.events(limit=1000)]
    assert any(e.kind is EventKind.TICK_SKIPPED and "old" in e.payload["reason"] for e in seen)
    assert seen[-1].kind is EventKind.STOPPED
    assert seen[-1].payload["left"] == 0


async def test_a_request_to_stop_ends_the_run_after_the_tick_under_way():
    bot = make_bot(prices(*[100_000] * 500))
    await bot.start()
    bot.request_stop("enough")
    await bot.run()
    assert bot.last is None


async def test_a_stopped_bot_does_not_tick():
    bot = await stepped(make_bot(prices(*[100_000] * 3)))
    market, account = bot.last[0].market, bot.last[0].account
    await bot.stop()
    with pytest.raises(Fatal, match="make a new one"):
        await bot._tick(market, account)


class Doubtful(PaperBroker):
    """Loses the answer to the first create: before the venue saw it, or after."""

    arrives = True
    lost: OrderRequest | None = None

    async def create_order(self, order: ApprovedOrder) -> Order:
        if self.lost is None:
            self.lost = order.request
            if self.arrives:
                await super().create_order(order)
            raise AmbiguousOutcome("time-out", client_order_id=order.request.client_order_id)
        return await super().create_order(order)


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_order_whose_answer_got_lost_is_asked_for_and_never_doubled(arrives):
    broker = make_broker(prices(*[100_000] * 6), Doubtful)
    broker.arrives = arrives
    bot = make_bot([], broker=broker)
    await stepped(bot)
    seen = await kinds(bot)
    assert EventKind.ORDER_UNKNOWN in seen
    assert (EventKind.ORDER_ADOPTED in seen) is arrives
    assert bot.state.unknown == ()
    assert await position(bot) == Decimal("-0.500")


class Refusing(PaperBroker):
    """Its cancels get lost the first time."""

    failed = False

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        if not self.failed:
            self.failed = True
            raise AmbiguousOutcome("time-out", client_order_id=client_order_id)
        await super().cancel_order(symbol, client_order_id)


async def test_a_lost_cancel_is_tried_again_by_the_next_plan():
    broker = make_broker(prices(100_000, 100_000, *[100_000 + 700 * i for i in range(30)]), Refusing)
    bot = await stepped(make_bot([], broker=broker))
    assert broker.failed
    nodes = [(o.request.side, o.request.node) for o in await broker.open_orders(SYMBOL)]
    assert len(nodes) == len(set(nodes))
    await bot.stop()
    assert await broker.open_orders(SYMBOL) == ()


async def test_changed_settings_take_effect_at_once_and_latches_stay():
    store = MemoryStore()
    bot = await stepped(make_bot(prices(100_000, 100_000, 100_000), store=store))
    await bot.stop(cancel=False)
    changed = STILL | {"hedge": {"ratio": 0.7, "funding_tilt": 0}}
    again = make_bot([], config=changed, store=store, broker=make_broker(prices(*[100_000] * 5)))
    await stepped(again)
    assert again.state.target.ratio == 0.7
    assert await position(again) == Decimal("-0.700")


async def test_the_entry_price_of_the_coins_is_the_one_given_or_the_first_seen():
    assert (await stepped(make_bot(prices(100_000)))).state.inventory_entry_price == Decimal("100000.0")
    given = STILL | {"inventory": {"entry_price": 42_000}}
    assert (await stepped(make_bot(prices(100_000), config=given))).state.inventory_entry_price == 42_000


async def test_recommendation_mode_sends_nothing_and_a_reported_fill_moves_the_position():
    broker = make_broker(prices(*[100_000] * 4), RecommendationBroker)
    store = MemoryStore(records_every_tick=True)
    bot = await stepped(make_bot([], broker=broker, store=store))
    assert await position(bot) == 0
    assert EventKind.TICKET in await kinds(bot)
    ticket = next(t for t in broker.tickets() if t.purpose is Purpose.REBALANCE and t.status == "open")
    store.post_command(broker.account, SYMBOL, "done", f"{ticket.id} 100000.1 {ticket.quantity}")
    store.post_command(broker.account, SYMBOL, "done", "nosuchticket 1 1")
    store.post_command(broker.account, SYMBOL, "dance")
    broker.feed._inner.updates.extend(prices(100_000, 100_000, 100_000, first=4))
    await stepped(bot)
    assert await position(bot) == -ticket.quantity
    assert EventKind.TICKET_UPDATED in await kinds(bot)


async def test_a_paper_bot_does_not_understand_verdicts_on_tickets():
    store = MemoryStore(records_every_tick=True)
    bot = make_bot(prices(*[100_000] * 3), store=store)
    await bot.start()
    store.post_command(bot.broker.account, SYMBOL, "accept", "x")
    await stepped(bot)
    assert await position(bot) == Decimal("-0.500")
