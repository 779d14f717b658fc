import asyncio
import itertools
import json
import math
from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.market.ccxt_feed import WARM_UP_HOURS, CcxtFeed, Pace
from alpha_pulse.market.provider import FeedDataProvider
from alpha_pulse.market.sanity import problem_with
from alpha_pulse.runtime.clock import SystemClock
from tests.integration.market.loopback_exchange import LoopbackExchange, eventually, now_ms

BTC = hedge_pair("BTCUSDT")
FAST = Pace(update=0.01, quotes=0.05, funding=0.05, spot=0.05, depth=60.0, silent=0.2, stale=0.6)


@pytest.fixture
async def exchange():
    async with LoopbackExchange().running() as running:
        yield running


@pytest.fixture
async def make_feed(exchange):
    feeds = []

    def make(pace=FAST, exchange_id="binanceusdm", warm_up_hours=48):
        urls = {"rest_url": exchange.rest_url, "ws_url": exchange.ws_url}
        feed = CcxtFeed(exchange_id, clock=SystemClock(), pace=pace, warm_up_hours=warm_up_hours, **urls)
        feeds.append(feed)
        return feed

    yield make
    for feed in feeds:
        await feed.close()


@pytest.fixture
async def feed(make_feed):
    made = make_feed()
    await made.open(BTC, builtin_instrument(BTC))
    return made


async def until(feed, wanted, seconds=5.0):
    """Take updates until one is ``wanted``."""
    clock = SystemClock()
    end = clock.now_ms() + seconds * 1000
    taken = []
    while clock.now_ms() < end:
        taken.append(await feed.next("BTCUSDT"))
        if wanted(taken[-1]):
            return taken[-1]
    pytest.fail(f"never came; last: {taken[-3:]}")


def quote_frame(bid, ask):
    frame = {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": str(bid), "B": "1", "a": str(ask), "A": "1", "T": now_ms(), "E": now_ms()}
    return json.dumps(frame)


def sound(update):
    return isinstance(update, MarketUpdate)


def problem(words):
    return lambda update: isinstance(update, FeedProblem) and words in update.reason


async def test_the_first_update_holds_everything_that_the_exchange_says(feed, exchange):
    update = await until(feed, lambda update: sound(update) and update.spot is not None and update.bid_depth > 0.0)
    assert problem_with(update) == ""
    assert (update.bid, update.ask) == (50_000.0, 50_000.1)
    assert update.perp[:4] == (50_000.1,) * 4
    assert update.mark[:4] == (49_999.5,) * 4
    assert update.spot[:4] == (49_990.0,) * 4
    assert (update.index_price, update.funding_rate, update.funding_interval_h) == (49_991.0, 0.0001, 4.0)
    assert update.next_funding_ms == exchange.next_funding_ms
    assert update.settled_rate is None
    assert update.bid_depth == pytest.approx(50_000.0 * (1 + 0.994))
    assert update.ask_depth == pytest.approx(2 * 50_000.1 * (1 + 1.006))
    assert feed.latest("BTC/USDT") == update


async def test_no_call_leaves_the_given_host(feed, exchange):
    await until(feed, sound)
    assert {"/fapi/v1/exchangeInfo", "/api/v3/exchangeInfo", "/fapi/v1/depth", "/fapi/v1/premiumIndex"} <= set(exchange.calls)
    assert not [path for path in exchange.calls if "sapi" in path or "dapi" in path]


async def test_the_trading_rules_come_from_the_exchange(feed):
    rules = await feed.instrument(BTC)
    assert (rules.tick_size, rules.lot_size, rules.min_quantity, rules.min_notional) == (
        Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(100),
    )  # fmt: skip
    assert len(rules.margin_tiers) > 3


async def test_trading_rules_can_be_asked_for_before_the_pair_is_opened(make_feed):
    feed = make_feed()
    rules = await feed.instrument(BTC)
    assert rules is not None
    assert await feed.connect(BTC) == rules


async def test_history_is_four_months_of_closed_candles_in_order(make_feed, exchange):
    """125 days of hours, which no exchange gives at once, and the minutes since the last full hour, each once."""
    feed = make_feed(warm_up_hours=WARM_UP_HOURS)
    await feed.open(BTC, builtin_instrument(BTC))
    past = list(feed.history("BTCUSDT"))
    closes = [update.close_ms for update in past]
    assert closes == sorted(set(closes))
    assert closes[-1] <= now_ms()
    assert past[0].close_ms - past[0].open_ms == 3_600_000
    hours = [update for update in past if update.close_ms - update.open_ms == 3_600_000]
    assert 2_999 <= len(hours) <= 3_001
    assert {later.open_ms - update.close_ms for update, later in itertools.pairwise(past)} == {0}
    assert list(exchange.calls).count("/fapi/v1/klines") >= 3
    assert {(update.funding_rate, update.funding_interval_h) for update in past} == {(0.0001, 4.0)}
    provider = FeedDataProvider(feed, SystemClock())
    async with asyncio.timeout(5.0):  # to read four months takes longer than this feed's quotes stay fresh
        while not isinstance(state := await provider.advance("BTCUSDT"), MarketState):
            assert isinstance(state, FeedProblem)
    assert state.indicators.ready
    assert state.indicators.atr > 0.0
    assert state.indicators.funding_annual == pytest.approx(0.0001 * 6 * 365)


async def test_streamed_quotes_and_trades_make_updates(feed, exchange):
    await eventually(lambda: exchange.subscribed("bookTicker") and exchange.subscribed("rade"))
    await until(feed, sound)
    for _ in range(20):  # the client may read later what the exchange confirmed: what came before is lost
        await exchange.trade(50_010.0, 0.25)
        await exchange.trade(50_020.0, 0.5)
        await exchange.quote(50_019.9, 50_020.0)
        update = await until(feed, lambda update: sound(update) and update.bid == 50_019.9)
        if update.perp.close == 50_020.0:
            break
    assert update.perp.close == 50_020.0
    assert update.close_ms > update.open_ms
    assert update.ask == 50_020.0


async def test_volume_since_the_last_update_is_counted_once(make_feed, exchange):
    feed = make_feed(Pace(update=0.01, silent=5.0, stale=5.0))
    await feed.open(BTC)
    await eventually(lambda: exchange.subscribed("bookTicker") and exchange.subscribed("rade"))
    await until(feed, sound)
    await exchange.trade(50_010.0, 0.25)
    await exchange.trade(50_010.0, 0.5)
    total = 0.0
    while total < 0.75:
        update = await until(feed, sound)
        total += update.perp.volume
    await exchange.quote()
    assert total == 0.75
    assert (await until(feed, sound)).perp.volume == 0.0


@pytest.mark.parametrize(
    ("bid", "ask", "words"), [(0.0, 50_000.1, "bid is"), (50_001.0, 50_000.0, "crossed"), ("", 50_000.1, "bid is nan")]
)
async def test_garbage_quotes_are_problems_and_pass(make_feed, exchange, bid, ask, words):
    feed = make_feed(Pace(update=0.01, silent=10.0, stale=10.0))
    await feed.open(BTC)
    await eventually(lambda: exchange.subscribed("bookTicker"))
    await until(feed, sound)
    await exchange.send(quote_frame(bid, ask), "bookTicker")
    await until(feed, problem(words))
    await exchange.quote()
    await until(feed, sound)


@pytest.mark.parametrize("frame", ["{not json", "[]", '{"e":"bookTicker"}', "null"])
async def test_a_frame_that_kills_the_receiver_does_not_end_the_feed(feed, exchange, frame):
    await eventually(lambda: exchange.subscribed("bookTicker") and exchange.subscribed("rade"))
    await exchange.send(frame)
    exchange.bid, exchange.ask = 50_005.0, 50_005.1
    await until(feed, lambda update: sound(update) and update.bid == 50_005.0)


async def test_a_silent_socket_is_rebuilt_while_quotes_are_polled(feed, exchange):
    await eventually(lambda: exchange.subscribed("bookTicker") and exchange.subscribed("rade"))
    exchange.silent = True
    exchange.bid, exchange.ask = 50_007.0, 50_007.1
    await until(feed, lambda update: sound(update) and update.bid == 50_007.0)
    before = exchange.connections
    await eventually(lambda: exchange.connections > before)
    exchange.silent = False
    exchange.bid, exchange.ask = 50_009.0, 50_009.1
    await until(feed, lambda update: sound(update) and update.bid == 50_009.0)


async def test_a_rebuilt_stream_is_heard_by_those_too_who_still_waited_on_the_old_one(make_feed, exchange):
    feed = make_feed(replace(FAST, silent=1.0, stale=5.0))
    await feed.open(BTC)
    await eventually(lambda: exchange.subscribed("bookTicker") and exchange.subscribed("rade"))
    await asyncio.sleep(0.5)
    await exchange.trade(50_010.0, 0.5)  # whoever hears of trades begins to wait anew, and still does so when the quotes' patience ends
    old = set(exchange.sockets)
    await eventually(lambda: any("rade" in name for socket in set(exchange.sockets) - old for name in exchange.sockets[socket]))
    for _ in range(50):  # a trade that is sent before the client listens is lost
        await exchange.trade(50_030.0, 0.25)
        await exchange.quote()
        if (await until(feed, sound)).perp.close == 50_030.0:
            break
    else:
        pytest.fail("no trade was heard")


async def test_when_neither_socket_nor_polling_answers_the_feed_says_so(feed, exchange):
    await until(feed, sound)
    exchange.silent = True
    exchange.html("/fapi/v1/depth")
    update = await until(feed, lambda update: isinstance(update, FeedProblem))
    assert "no quotes" in update.reason or "bid is nan" in update.reason
    exchange.faults.clear()
    await until(feed, sound)


@pytest.mark.parametrize("body", ["<html>", '{"symbol":"BTCUSDT"', "{}"])
async def test_garbage_mark_prices_never_make_an_update(feed, exchange, body):
    await until(feed, sound)
    exchange.faults["/fapi/v1/premiumIndex"] = (200, body, "application/json")
    await until(feed, problem("no mark price"))
    exchange.faults.clear()
    await until(feed, sound)


async def test_a_spot_market_without_a_price_is_an_outage_and_no_problem(feed, exchange):
    for price in ("0", "NaN", None):
        await until(feed, lambda update: sound(update) and update.spot is not None)
        exchange.reply("/api/v3/ticker/24hr", {"symbol": "BTCUSDT", "lastPrice": price, "closeTime": now_ms()})
        update = await until(feed, lambda update: sound(update) and update.spot is None)
        assert update.index_price == 49_991.0
        exchange.faults.clear()


async def test_a_settlement_is_reported_once_with_the_rate_that_was_seen_last(feed, exchange):
    await until(feed, sound)
    exchange.rate, exchange.next_funding_ms = 0.0003, now_ms() + 300
    await until(feed, lambda update: sound(update) and update.funding_rate == 0.0003)
    await eventually(lambda: now_ms() > exchange.next_funding_ms)
    exchange.rate, exchange.next_funding_ms = -0.0001, exchange.next_funding_ms + 4 * 3_600_000
    update = await until(feed, lambda update: sound(update) and update.settled_rate is not None)
    assert update.settled_rate == 0.0003
    for _ in range(5):
        assert (await until(feed, sound)).settled_rate is None


async def test_rate_limits_are_waited_out(feed, exchange):
    await until(feed, sound)
    exchange.faults["/fapi/v1/premiumIndex"] = (429, '{"code":-1003,"msg":"Too many requests"}', "application/json")
    calls = len(exchange.calls)  # a refusal of one request silences all of them
    await until(feed, problem("no "))
    assert exchange.calls[calls:].count("/fapi/v1/premiumIndex") <= 6
    exchange.faults.clear()
    await until(feed, sound, seconds=20.0)


async def test_a_refusal_that_a_person_must_mend_is_fatal(feed, exchange):
    await until(feed, sound)
    exchange.faults["/fapi/v1/premiumIndex"] = (400, '{"code":-1121,"msg":"Invalid symbol."}', "application/json")
    with pytest.raises(Fatal, match="BadSymbol"):
        await until(feed, lambda update: False)


@pytest.mark.parametrize("path", ["/fapi/v1/exchangeInfo", "/fapi/v1/depth", "/fapi/v1/premiumIndex"])
async def test_an_exchange_that_answers_with_a_page_cannot_be_opened_yet(make_feed, exchange, path):
    exchange.html(path)
    feed = make_feed()
    with pytest.raises(Transient):
        await feed.open(BTC)
    exchange.faults.clear()
    await feed.open(BTC)
    await until(feed, sound)


async def test_an_unreachable_exchange_is_transient():
    feed = CcxtFeed("binanceusdm", clock=SystemClock(), rest_url="http://127.0.0.1:9", ws_url="ws://127.0.0.1:9")
    with pytest.raises(Transient):
        await feed.open(BTC)
    await feed.close()


async def test_a_pair_that_is_not_listed_and_an_exchange_that_is_not_known_are_named(make_feed):
    with pytest.raises(ConfigError, match=r"ETH/USDT:USDT.*the exchange lists no such perpetual"):
        await make_feed().open(hedge_pair("ETHUSDT"))
    with pytest.raises(ConfigError, match="did you mean binanceusdm"):
        await make_feed(exchange_id="binanceusdmm").open(BTC)


async def test_a_halted_contract_is_refused(make_feed, exchange):
    exchange.status = "SETTLING"
    with pytest.raises(ConfigError, match="halted"):
        await make_feed().open(BTC)


async def test_opening_again_and_closing_twice_are_harmless(feed):
    await feed.open(BTC)
    assert math.isfinite((await until(feed, sound)).bid)
    await feed.close()
    await feed.close()
    with pytest.raises(ConfigError):
        await feed.next("BTCUSDT")
