"""Markets that no one wishes for, with a real-mode bot in them: gaps, broken prices, dear funding, a rally, a symbol that stops."""

import asyncio
from decimal import Decimal

import pytest

from alpha_pulse.bootstrap import build_bots
from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from alpha_pulse.fake_exchange.rehearsal import ENVIRON
from alpha_pulse.settings import each_pair
from tests.integration.live.sudden import hedged, kill, lively

UNWINDING = {"hedge": {"ratio": 0.5, "min_ratio": 0.2, "amplitude_adverse": 0.25}, "grid": {"num_levels": 5, "volatility_multiple": 0}}


def the_stop(rehearsal):
    [stop] = [stop for stop in rehearsal.our_stops() if stop.is_open]
    return stop


def stop_fills(rehearsal):
    return [trade for stop in rehearsal.our_stops() if stop.actual is not None for trade in stop.actual.trades]


async def latches(rehearsal):
    """How often the record says that the stop has fired."""
    return sum(1 for e in await rehearsal.events() if e.event.kind is EventKind.STOP_LATCHED)


async def seen(rehearsal, mark, within_s=30.0):
    """The bot has decided on this mark price."""
    await rehearsal.until(lambda: rehearsal.live.last[0].market.raw.mark.close == pytest.approx(float(mark)), within_s)
    await rehearsal.quiet()


# --- gaps -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coins", ["1", "-1"])
async def test_a_gap_of_a_fifth_through_the_whole_grid_never_passes_a_limit(tmp_path, coins):
    sign = int(coins)
    fake = FakeConfig(accounts=(AccountConfig(usdt=Decimal(300_000)),))
    async with lively(tmp_path, {**UNWINDING, "inventory": {"quantity": coins}}, fake=fake) as rehearsal:
        await hedged(rehearsal)
        assert rehearsal.worst_exposure() <= 1
        price = 95_000 * (1 + 0.2 * sign)
        rehearsal.move(price)
        assert rehearsal.position * sign >= -1
        await seen(rehearsal, price)
        assert rehearsal.worst_exposure() <= 1
        assert await rehearsal.broken() == []
        rehearsal.move(95_000 * (1 - 0.22 * sign))  # and back through all of it, and the stop
        await rehearsal.until(lambda: rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        assert rehearsal.position == -sign
        assert await rehearsal.broken() == []


async def test_a_flash_crash_completes_the_hedge_once_and_stays_completed(tmp_path):
    fake = FakeConfig(accounts=(AccountConfig(usdt=Decimal(300_000)),))  # what was sold at the bottom must not eat the margin
    async with lively(tmp_path, UNWINDING, fake=fake) as rehearsal:
        await hedged(rehearsal)
        rehearsal.move(57_000)
        rehearsal.move(93_100)  # over before the bot has seen it
        await rehearsal.until(lambda: rehearsal.live.state.risk.stop_latched)
        await rehearsal.until(lambda: rehearsal.position == -1)
        await rehearsal.quiet()
        assert len({trade.order_id for trade in stop_fills(rehearsal)}) == 1
        assert rehearsal.laid_out() == []
        assert await latches(rehearsal) == 1
        assert await rehearsal.broken() == []


async def test_fifty_swings_around_the_stop_are_one_fill_one_latch_and_one_new_anchor(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        trigger = float(the_stop(rehearsal).trigger_price)
        for count in range(50):
            rehearsal.move(trigger - 50)
            await asyncio.sleep(0.02 if count % 10 else 0.3)  # now and then the bot sees a side of it
            rehearsal.move(trigger + 50)
            await asyncio.sleep(0.02)
        await rehearsal.until(lambda: rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        assert len(stop_fills(rehearsal)) == 1
        assert rehearsal.position == -1
        assert await latches(rehearsal) == 1
        placed, before = len(rehearsal.our_stops()), len(await rehearsal.events(EventKind.ANCHOR_MOVED))
        rehearsal.move(95_500)
        await rehearsal.until(lambda: not rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        assert len(await rehearsal.events(EventKind.ANCHOR_MOVED)) == before + 1
        assert len(await rehearsal.events(EventKind.STOP_RELEASED)) == 1
        assert len(rehearsal.our_stops()) - placed <= 1
        assert await rehearsal.broken() == []


# --- mark and last --------------------------------------------------------------------------------------------------------
async def test_a_last_price_far_below_mark_fires_nothing(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        stop = the_stop(rehearsal)
        rehearsal.move(float(stop.trigger_price) - 3000, mark=95_000, index=95_000)
        await rehearsal.until(lambda: rehearsal.live.broker.feed.latest(rehearsal.live.symbol).perp.close < 80_000)
        await rehearsal.quiet()
        assert not rehearsal.live.state.risk.stop_latched
        assert stop_fills(rehearsal) == []
        assert rehearsal.worst_exposure() <= 1
        assert await rehearsal.broken() == []


async def test_a_mark_price_below_the_trigger_fires_the_stop_where_last_trades(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        stop = the_stop(rehearsal)
        rehearsal.move(94_900, mark=float(stop.trigger_price) - 100)
        await rehearsal.until(lambda: rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        [fill] = stop_fills(rehearsal)
        assert fill.price > 94_000
        assert rehearsal.position == -1
        assert await rehearsal.broken() == []


# --- prices that are none -------------------------------------------------------------------------------------------------
async def test_a_crossed_book_is_skipped_with_nothing_quoted_on_it(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        market = rehearsal.fake.venue.market("BTCUSDT")
        market._bid, market._ask = Decimal(96_000), Decimal(94_000)
        since = len(rehearsal.fake.venue.log)
        rehearsal.move(95_500, bid=96_000, ask=94_000)
        async with asyncio.timeout(10):
            while not await rehearsal.events(EventKind.TICK_SKIPPED):
                rehearsal.move(95_500, bid=96_000, ask=94_000)
                await asyncio.sleep(0.05)
        assert [r for r in rehearsal.asked("POST /fapi/v1/*rder*", since=since) if "countdown" not in r.path] == []
        assert the_stop(rehearsal).is_open
        rehearsal.move(96_500)
        await rehearsal.until(lambda: rehearsal.live.last[0].market.raw.perp.close > 96_000)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


@pytest.mark.parametrize("mark", ["0", "NaN", "", "1e309", "-5"])
async def test_a_mark_price_that_is_none_fires_nothing_and_is_never_traded_on(tmp_path, mark):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        before = rehearsal.laid_out()
        frame = f'{{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"{mark}","i":"{mark}","P":"{mark}","r":"0.0001","T":1}}'
        for _ in range(5):
            rehearsal.fake.hub.fault("malformed", pattern="btcusdt@markPrice*", text=frame)
            await asyncio.sleep(0.05)
        rehearsal.move(95_010)
        await rehearsal.quiet()
        assert rehearsal.laid_out() == before
        assert not rehearsal.live.state.risk.stop_latched
        rehearsal.move(96_500)
        await seen(rehearsal, 96_500, 30)
        assert rehearsal.position < Decimal("-0.5")
        assert await rehearsal.broken() == []


@pytest.mark.parametrize("quote", ["0", "NaN", "", "1e309", "-5"])
async def test_a_quote_that_is_no_price_is_never_traded_on(tmp_path, quote):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        before = rehearsal.laid_out()
        frame = f'{{"e":"bookTicker","u":9,"E":1,"T":1,"s":"BTCUSDT","b":"{quote}","B":"1","a":"{quote}","A":"1"}}'
        for _ in range(5):
            rehearsal.fake.hub.fault("malformed", pattern="btcusdt@bookTicker", text=frame)
            await asyncio.sleep(0.05)
        rehearsal.move(95_010)
        await rehearsal.quiet()
        assert rehearsal.laid_out() == before
        assert all(order.price > 90_000 for order in rehearsal.ours() if order.type == "LIMIT")
        rehearsal.move(96_500)
        await rehearsal.until(lambda: rehearsal.live.last[0].market.raw.perp.close > 96_000, 30)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


async def test_with_the_spot_market_out_the_inventory_counts_at_index_and_the_protection_goes_on(tmp_path):
    async with lively(tmp_path, start=False) as rehearsal:
        rehearsal.fake.faults.add("GET /api/v3/ticker*", "status", times=None, status=500)
        await rehearsal.start()
        await hedged(rehearsal)
        snapshot = rehearsal.live.last[0]
        assert snapshot.market.raw.spot is None
        assert snapshot.market.reference == pytest.approx(95_000, rel=0.01)
        rehearsal.move(float(the_stop(rehearsal).trigger_price) - 10)
        await rehearsal.until(lambda: rehearsal.live.state.risk.stop_latched)
        await rehearsal.quiet()
        assert rehearsal.position == -1
        assert await rehearsal.broken() == []


# --- funding --------------------------------------------------------------------------------------------------------------
async def test_funding_of_two_percent_settled_twice_is_booked_as_the_venue_paid_it(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        before = rehearsal.fake.venue.wallet(None, "USDT")
        rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("0.02"), times=2)
        earned = rehearsal.fake.venue.wallet(None, "USDT") - before
        assert earned > 1800
        await rehearsal.until(lambda: rehearsal.live.state.funding_booked == 2, 20)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
        await kill(rehearsal)
        rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("-0.02"))  # while nobody is at home
        await rehearsal.start()
        await rehearsal.until(lambda: rehearsal.live.state.funding_booked == 3, 20)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []
        assert rehearsal.live.state.risk.deposits == Decimal(100_000)  # income, and no deposit


async def test_a_new_funding_interval_is_counted_by_from_the_next_start(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        assert rehearsal.live.last[0].market.raw.funding_interval_h == 8
        await kill(rehearsal)
        rehearsal.fake.venue.set_funding("BTCUSDT", interval_h=4)
        for _ in range(2):
            rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("0.0001"))
        await rehearsal.start()
        await rehearsal.until(lambda: rehearsal.live.state.funding_booked == 2 and rehearsal.live.last is not None, 20)
        assert rehearsal.live.last[0].market.raw.funding_interval_h == 4
        assert rehearsal.live.last[0].market.indicators.funding_annual == pytest.approx(0.0001 * 6 * 365, rel=1e-6)
        await rehearsal.quiet()
        assert await rehearsal.broken() == []


@pytest.mark.soak
@pytest.mark.parametrize("hours", [4, 1])
async def test_a_new_funding_interval_is_noticed_while_it_runs(tmp_path, hours):
    """Up to half a minute: funding is read that often where mark prices are streamed."""
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        rehearsal.fake.venue.set_funding("BTCUSDT", interval_h=hours)
        feed = rehearsal.live.broker.feed
        market = rehearsal.fake.venue.market("BTCUSDT")
        await rehearsal.until(lambda: feed.latest(rehearsal.live.symbol).next_funding_ms == market.next_funding_ms, 45)
        rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("0.0001"))
        await rehearsal.until(lambda: feed.latest(rehearsal.live.symbol).next_funding_ms == market.next_funding_ms, 45)
        rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("0.0001"))
        await rehearsal.until(lambda: feed.latest(rehearsal.live.symbol).funding_interval_h == hours, 45)
        await rehearsal.until(lambda: rehearsal.live.state.funding_booked == 2, 20)
        assert await rehearsal.broken() == []


# --- a rally ----------------------------------------------------------------------------------------------------------------
async def test_a_rally_of_eighty_percent_is_told_of_and_cut_and_never_liquidates_before(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        largest = Decimal(0)
        for rise in (0.2, 0.4, 0.6, 0.79):
            rehearsal.move(95_000 * (1 + rise), gap=False)
            await seen(rehearsal, 95_000 * (1 + rise), 20)
            assert not [t for t in rehearsal.fake.venue.fills() if t.client_id.startswith("autoclose")]
            equity = rehearsal.live.last[1].assessment
            largest = max(largest, abs(rehearsal.position))
            assert rehearsal.worst_exposure() <= 1
            assert equity.liquidation_distance > 0
        alerts = await rehearsal.alerts()
        assert any(a.startswith("liquidation") and "Top up the perpetual wallet by" in a for a in alerts)
        assert await rehearsal.broken() == []
        rehearsal.move(95_000)
        await seen(rehearsal, 95_000, 20)
        assert await rehearsal.broken() == []


# --- a floor ----------------------------------------------------------------------------------------------------------------
async def test_when_a_floor_rises_what_unwinds_goes_first_and_the_gap_is_closed_in_the_same_tick(tmp_path):
    settings = {**UNWINDING, "risk": {"max_drawdown": "0.01"}, "execution": {"rebalance_interval": 0.3}}
    async with lively(tmp_path, settings) as rehearsal:
        await hedged(rehearsal)
        buys = [order for order in rehearsal.ours() if order.is_open and order.side == "BUY"]
        assert len(buys) > 2
        since = len(rehearsal.fake.venue.log)
        rehearsal.move(95_000, mark=88_000, index=88_000, spot=88_000)  # drawdown over the limit, short of the stop; nothing fills
        await rehearsal.until(lambda: rehearsal.live.state.risk.drawdown_latched)
        await rehearsal.until(lambda: rehearsal.position == -1)
        await rehearsal.quiet()
        sent = [r for r in rehearsal.fake.venue.log[since:] if r.path in {"/fapi/v1/order", "/fapi/v1/batchOrders", "/fapi/v1/algoOrder"}]
        writes = [r for r in sent if r.method != "GET"]
        first_order = next(i for i, r in enumerate(writes) if r.method == "POST")
        assert all(r.method == "DELETE" for r in writes[:first_order])
        assert not any(order.is_open for order in buys)
        assert not [r for r in writes if r.method == "POST" and r.params.get("side") == "BUY"]
        assert await rehearsal.broken() == []


# --- filters and halts --------------------------------------------------------------------------------------------------------
async def test_filters_that_change_while_it_runs_are_read_again_and_the_grid_follows(tmp_path):
    async with lively(tmp_path, {"inventory": {"quantity": "0.2"}}) as rehearsal:
        await hedged(rehearsal)
        assert rehearsal.live.last[0].instrument.tick_size == Decimal("0.1")
        rehearsal.fake.venue.change_filters("BTCUSDT", tick_size="10", lot_size="0.01", min_notional="500")
        rehearsal.move(97_000)  # what fills wants counter-orders, and those of the old tick are refused
        await rehearsal.until(lambda: rehearsal.live.last[0].instrument.tick_size == 10, 15.0)
        rehearsal.move(96_500)
        await rehearsal.quiet()
        assert rehearsal.live.last[0].instrument.lot_size == Decimal("0.01")
        since = len(rehearsal.fake.venue.log)
        rehearsal.move(98_000)
        await rehearsal.quiet()
        assert not [request for request in rehearsal.asked("POST *", since=since) if request.status >= 400]
        for order in rehearsal.open_orders():
            assert order.price is None or order.price % 10 == 0
        assert any("tick 0.1 → 10" in text for text in await rehearsal.alerts())
        assert await rehearsal.broken() == []
        assert await rehearsal.stop() == 0
        assert rehearsal.left_behind() == []


async def test_filters_that_change_while_it_runs_cost_rejections_and_not_a_hot_loop(tmp_path):
    async with lively(tmp_path, {"inventory": {"quantity": "0.2"}}) as rehearsal:
        await hedged(rehearsal)
        rehearsal.fake.venue.change_filters("BTCUSDT", tick_size="10", lot_size="0.01", min_notional="500")
        since = len(rehearsal.fake.venue.log)
        for price in (96_000, 97_000, 96_500, 96_000, 97_500):
            rehearsal.move(price)
            await asyncio.sleep(0.3)
        await rehearsal.quiet()
        assert len(rehearsal.asked("POST /fapi/v1/order", since=since)) < 60
        assert await rehearsal.broken() == []
        await rehearsal.stop()
        assert rehearsal.left_behind() == []
        await rehearsal.start()  # a start reads them anew
        await rehearsal.quiet()
        assert rehearsal.live.last[0].instrument.tick_size == 10
        assert rehearsal.live.last[0].instrument.lot_size == Decimal("0.01")
        for order in rehearsal.open_orders():
            assert order.quantity % Decimal("0.01") == 0
        assert await rehearsal.broken() == []


async def test_a_symbol_that_is_halted_costs_its_own_pair_and_no_other(tmp_path, monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    async with lively(tmp_path, start=False) as rehearsal:
        tree = rehearsal.settings.model_dump(exclude_unset=True)
        tree["pairs"] = [{"symbol": "BTCUSDT"}, {"symbol": "ETHUSDT", "inventory": {"quantity": "10"}}]
        settings = type(rehearsal.settings).read(tree)
        btc, eth = bots = await build_bots(each_pair(settings), rehearsal.engine)
        for bot in bots:
            await bot.start()
        runs = [asyncio.create_task(bot.run()) for bot in bots]
        venue = rehearsal.fake.venue
        try:
            await rehearsal.until(lambda: len(venue.open_orders(None, "BTCUSDT")) > 1 and len(venue.open_orders(None, "ETHUSDT")) > 1, 20)
            venue.halt("ETHUSDT")
            since = len(venue.log)
            for step in range(1, 9):
                venue.set_price("BTCUSDT", 95_000 * (1 + 0.005 * step))
                venue.set_price("ETHUSDT", 3_400 * (1 + 0.005 * step))
                await asyncio.sleep(0.25)
            while len(venue.fills(None, "BTCUSDT")) < 2 and step < 60:  # where the machine is slow a move may find no order yet
                step += 1
                venue.set_price("BTCUSDT", 95_000 * (1 + 0.005 * step))
                await asyncio.sleep(0.25)
            await rehearsal.until(lambda: btc.state.fills_booked == len(venue.fills(None, "BTCUSDT")) > 1)
            assert venue.position(None, "BTCUSDT") < 0
            refused = [r for r in rehearsal.asked("POST /fapi/v1/*rder*", since=since) if r.params.get("symbol") == "ETHUSDT"]
            assert len(refused) < 40
            assert not runs[0].done()
            assert eth.symbol.startswith("ETH")
        finally:
            for bot in bots:
                bot.request_stop("over")
            await asyncio.gather(*runs, return_exceptions=True)
        assert venue.open_orders(None, "BTCUSDT") == []


async def test_a_contract_that_is_delisted_in_a_quiet_market_is_noticed_and_its_pair_halted(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        rehearsal.fake.venue.halt("BTCUSDT")
        await rehearsal.until(lambda: rehearsal.ended, 30.0)  # nothing has to be sent for it
        assert await rehearsal.stop() == 1
        assert any("not trading (halted or delisted)" in text for text in await rehearsal.alerts())
        assert rehearsal.live.state.risk.halted


async def test_a_symbol_that_is_halted_ends_its_pair_and_says_so(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        rehearsal.fake.venue.halt("BTCUSDT")
        for step in range(1, 9):
            rehearsal.move(95_000 * (1 + 0.006 * step))
            await asyncio.sleep(0.3)
        assert rehearsal.ended
        assert await rehearsal.alerts()


async def test_a_stop_whose_successor_the_venue_refuses_goes_on_protecting(tmp_path):
    async with lively(tmp_path) as rehearsal:
        await hedged(rehearsal)
        assert the_stop(rehearsal).is_open
        refusal = '{"code": -4045, "msg": "Reach max stop order limit."}'
        rehearsal.fake.faults.add("POST /fapi/v1/algoOrder", "status", times=None, status=400, body=refusal)
        rehearsal.move(96_100)  # a fill: the stop has to carry less
        await rehearsal.until(lambda: any(kind == "status" for _, kind in rehearsal.fake.faults.hits), 30)
        await rehearsal.quiet(30)
        assert [stop for stop in rehearsal.our_stops() if stop.is_open]
