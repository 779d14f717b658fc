"""Two pairs on one account: one connection, one set of streams, one budget; and one's trouble is not the other's."""

import asyncio
import contextlib
from collections import Counter
from decimal import Decimal

from sqlalchemy import select

from alpha_pulse.bootstrap import build_bots
from alpha_pulse.domain.events import EventKind
from alpha_pulse.execution.live.account import LiveAccount
from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, QUICK, Rehearsal
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.hedging.state import models
from alpha_pulse.hedging.state.ledger import event_from
from alpha_pulse.runtime.database import open_database
from alpha_pulse.settings import Settings, each_pair
from tests.integration.live.staged import BY_PRICE_ALONE, PATIENCE_S

BTC, ETH = "BTCUSDT", "ETHUSDT"
RICH = FakeConfig(accounts=(AccountConfig(usdt=Decimal(1_000_000)),))
FRUGAL = {**QUICK, "reconcile_s": 1.0, "dead_man_switch_s": 30.0}  # two pairs spend the budget of one account
HALVES = {BTC: Decimal("-0.5"), ETH: Decimal(-5)}
STARTS = {BTC: 95_000, ETH: 3_400}


class Pair(Rehearsal):
    """One of the bots; its invariants are those of its own symbol."""

    async def events(self, *kinds):
        """The record of this pair alone."""
        async with self.engine.connect() as connection:
            mine = select(models.events).where(models.events.c.symbol == self.live.symbol).order_by(models.events.c.sequence)
            found = [event_from(row) for row in (await connection.execute(mine)).mappings()]
        return [stored for stored in found if not kinds or stored.event.kind in kinds]

    def begin(self, bot):
        """Take over a bot that somebody else made."""
        self.bot = bot
        self._run = asyncio.create_task(bot.run(), name=f"{self.name} bot")

    async def hedge(self):
        """Wait until half of the coins are hedged."""
        start = STARTS[self.name]
        for step in (0, 0.001) * 10:
            self.move(round(start * (1 + step), 1))
            await self.quiet(PATIENCE_S)
            if self.position == HALVES[self.name]:
                break
        self.move(start)
        await self.quiet(PATIENCE_S)
        assert self.position == HALVES[self.name]

    async def funding(self):
        """What was booked, as soon as there is any."""
        for _ in range(int(PATIENCE_S / 0.1)):
            if booked := await self.events(EventKind.FUNDING):
                return booked
            await asyncio.sleep(0.1)
        raise AssertionError("no funding was booked")

    async def trade(self, count=1):
        """Let ``count`` more orders fill, up and down the grid."""
        goal = len(self.fake.venue.fills(None, self.name)) + count
        for step in (0.012, -0.012, 0.022, -0.012) * 5:
            self.move(round(STARTS[self.name] * (1 + step), 1))
            await self.quiet(PATIENCE_S)
            if len(self.fake.venue.fills(None, self.name)) >= goal:
                return
        raise AssertionError(f"nothing fills in {self.name}")


@contextlib.asynccontextmanager
async def two(folder, monkeypatch, *, hedged=True, fake=RICH):
    """A fake exchange, and a bot each for BTC and ETH, made as ``alpha-pulse run`` makes them. At the end whatever runs is stopped."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    async with FakeExchange.running(fake) as venue:
        tree = {
            "mode": "real",
            "exchange": {**FRUGAL, "rest_url": venue.rest_url, "ws_url": venue.ws_url},
            "feed": {"source": "ccxt", "update_interval_s": 0.05},
            "store": {"url": f"sqlite+aiosqlite:///{folder / 'bots.db'}"},
            "pairs": [
                {"symbol": BTC, "inventory": {"quantity": "1"}},
                {"symbol": ETH, "inventory": {"quantity": "10"}},
            ],
            **BY_PRICE_ALONE,
        }
        settings = each_pair(Settings.read(tree))
        engine = await open_database(settings[0].store.url)
        pairs = [Pair(venue, one, engine, ENVIRON) for one in settings]
        try:
            for pair, bot in zip(pairs, await build_bots(settings, engine), strict=True):
                pair.begin(bot)
            for pair in pairs:
                await pair.until(lambda bot=pair.bot: bot.last is not None, PATIENCE_S)
            if hedged:
                for pair in pairs:
                    await pair.hedge()
            yield pairs
        finally:
            for pair in pairs:
                await pair.stop()
            await engine.dispose()


async def end_well(*pairs):
    for pair in pairs:
        await pair.quiet(PATIENCE_S)
        assert await pair.broken() == []
    for pair in pairs:
        assert await pair.stop() == 0
        assert pair.left_behind() == []
        assert await pair.broken() == []


async def test_two_pairs_share_one_connection_and_one_set_of_streams(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        first, second = btc.live.broker.live, eth.live.broker.live
        assert isinstance(first, LiveAccount)
        assert first is second
        hub = btc.fake.hub
        assert sum(name.startswith("user/") for name in hub.subscriptions) == 1
        assert len({request.params.get("listenKey") for request in btc.asked("POST /fapi/v1/listenKey")}) == 1
        assert max(Counter(name for name in hub.subscriptions if "@" in name).values()) == 1
        asked = Counter(f"{request.method} {request.path}" for request in btc.fake.venue.log)
        assert asked["POST /fapi/v1/listenKey"] == 1
        assert asked["GET /sapi/v1/account/apiRestrictions"] == 1
        assert first.share == second.share == Decimal("0.5")
        await btc.trade(2)
        await eth.trade(2)
        wallets = [pair.live.last[0].account.wallet for pair in (btc, eth)]
        assert abs(sum(wallets) - btc.fake.venue.wallet(None, "USDT")) < 200  # not of the same moment, but no money counts twice
        await end_well(btc, eth)
        assert hub.open_sockets == 0


async def test_what_is_asked_on_schedule_about_the_whole_account_is_asked_once_for_both(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        for pair in (btc, eth):
            await pair.quiet(PATIENCE_S)
        before = Counter(f"{request.method} {request.path}" for request in btc.fake.venue.log)
        await asyncio.sleep(6.0)
        asked = Counter(f"{request.method} {request.path}" for request in btc.fake.venue.log)
        asked.subtract(before)
        orders = asked["GET /fapi/v1/openOrders"]
        assert orders >= 8, "each pair's orders, once a second"
        assert asked["GET /fapi/v3/positionRisk"] <= orders / 2 + 2
        assert asked["GET /fapi/v3/account"] <= orders / 2 + 2
        assert asked["GET /fapi/v1/userTrades"] <= orders / 2
        assert not any("symbol" in request.params for request in btc.fake.venue.log[-40:] if request.path == "/fapi/v3/positionRisk")
        await end_well(btc, eth)


async def test_funding_is_booked_to_the_cent_for_each_pair_from_one_question(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        for pair in (btc, eth):
            await pair.quiet(PATIENCE_S)
        asked = len(btc.asked("GET /fapi/v1/income"))
        for name in (BTC, ETH):
            btc.fake.venue.settle_funding(name, "0.001")
        for pair in (btc, eth):
            booked = await pair.funding()
            paid = [row.amount for row in pair.fake.venue.income() if row.kind == "FUNDING_FEE" and row.symbol == pair.name]
            assert [Decimal(stored.event.payload["payment"]["amount"]) for stored in booked] == paid
        assert sum("symbol" in request.params for request in btc.asked("GET /fapi/v1/income")[asked:]) <= 1
        await end_well(btc, eth)


async def test_the_end_of_one_pair_leaves_the_other_with_connection_and_streams(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        assert await btc.stop() == 0
        assert btc.left_behind() == []
        heard = sum(count for topic, count in eth.fake.hub.delivered.items() if "user" in topic)
        await eth.trade(2)
        assert sum(count for topic, count in eth.fake.hub.delivered.items() if "user" in topic) > heard
        assert await btc.broken() == []
        await end_well(eth)
        assert eth.fake.hub.open_sockets == 0


async def test_a_halt_of_one_pair_is_told_and_the_other_trades_on(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        btc.fake.venue.set_leverage_outside(None, BTC, 20)
        await btc.until(lambda: btc.ended, PATIENCE_S)
        assert await btc.stop() == 1
        assert any("leverage" in text for text in await btc.alerts())
        assert not await eth.alerts()
        await eth.trade(2)
        await end_well(eth)


async def test_streams_that_break_expire_or_fall_silent_are_made_good_for_both(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        for name, options in (
            ("disconnect", {"pattern": "user/*", "seconds": 1.0, "abort": True}),
            ("expire_listen_key", {}),
            ("malformed", {}),
            ("silent", {"pattern": "user/*", "seconds": 2.0}),
            ("disconnect", {"abort": True}),
        ):
            btc.fake.hub.fault(name, **options)
            btc.move(96_200)
            eth.move(3_440)
            await asyncio.gather(btc.trade(1), eth.trade(1))
        await btc.fake.hub.subscribed("user/*", PATIENCE_S)
        assert sum(name.startswith("user/") for name in btc.fake.hub.subscriptions) == 1
        await end_well(btc, eth)


async def test_an_outage_stops_both_and_both_come_back_by_themselves(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        btc.fake.control.unreachable(3.0)
        btc.fake.venue.trade_outside(None, ETH, "BUY", "1")
        btc.move(96_200)
        for pair in (btc, eth):
            await pair.quiet(60.0)
        assert any("somebody else" in text.lower() for text in await eth.alerts())
        assert not any("somebody else" in text.lower() for text in await btc.alerts())
        await btc.trade(1)
        await eth.trade(1)
        await end_well(btc, eth)


async def test_a_restart_takes_up_both_pairs_where_they_were(tmp_path, monkeypatch):
    async with two(tmp_path, monkeypatch) as (btc, eth):
        await btc.trade(1)
        await eth.trade(1)
        held = btc.position, eth.position
        for pair in (btc, eth):
            assert await pair.stop() == 0
        for pair, bot in zip((btc, eth), await build_bots((btc.settings, eth.settings), btc.engine), strict=True):
            pair.begin(bot)
        for pair in (btc, eth):
            await pair.until(lambda bot=pair.bot: bot.last is not None, PATIENCE_S)
            await pair.quiet(PATIENCE_S)
        assert (btc.position, eth.position) == held
        await btc.trade(1)
        await eth.trade(1)
        assert len(await btc.events(EventKind.STARTED)) == 2
        await end_well(btc, eth)
