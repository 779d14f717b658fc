"""Unmodified ccxt reads and sets up an account on the fake exchange: markets, settings, money, keys, limits, spot."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange, LimitsConfig, many_symbols
from alpha_pulse.market.ccxt_mapping import instrument_of

BTC = "BTC/USDT:USDT"


async def test_markets_carry_the_filters_of_the_catalogue(perp: Any) -> None:
    assert set(perp.markets) == {BTC, "ETH/USDT:USDT", "1000PEPE/USDT:USDT", "SOL/USDC:USDC"}
    rules = instrument_of(hedge_pair("BTCUSDT"), perp.markets[BTC], perp.precisionMode, 95_000)
    assert (rules.tick_size, rules.lot_size, rules.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(100))


async def test_public_data_is_read_by_ccxt(perp: Any) -> None:
    assert (await perp.fetch_ticker(BTC))["last"] == 95_000
    book = await perp.fetch_order_book(BTC)
    assert book["bids"][0][0] < 95_000 < book["asks"][0][0]
    rate = await perp.fetch_funding_rate(BTC)
    assert (rate["fundingRate"], rate["markPrice"]) == (0.0001, 95_000)
    assert (await perp.fetch_funding_intervals([BTC]))[BTC]["interval"] == "8h"
    candles = await perp.fetch_ohlcv(BTC, "1h", limit=500)
    assert len(candles) == 500
    assert all(low <= opened <= high for _, opened, high, low, *_ in candles)
    assert await perp.fetch_ohlcv(BTC, "1h", since=candles[10][0], limit=5) == candles[10:15]
    assert (await perp.fetch_bids_asks([BTC]))[BTC]["bid"] == 94_999.9


async def test_settings_are_read_back(perp: Any) -> None:
    await perp.set_leverage(3, BTC)
    assert (await perp.fetch_leverage(BTC))["longLeverage"] == 3
    with pytest.raises(ccxt.BaseError, match="-4028"):
        await perp.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})
    with pytest.raises(ccxt.BaseError, match="-4046"):
        await perp.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "CROSSED"})
    await perp.set_margin_mode("isolated", BTC)
    assert (await perp.fetch_margin_mode(BTC))["marginMode"] == "isolated"
    await perp.set_position_mode(True)
    assert (await perp.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.BaseError, match="-4059"):
        await perp.set_position_mode(True)
    assert (await perp.fetch_trading_fee(BTC))["taker"] == 0.0005
    assert (await perp.fapiPrivateGetMultiAssetsMargin())["multiAssetsMargin"] is False


async def test_leverage_bounds_what_may_be_opened(perp: Any) -> None:
    await perp.set_leverage(1, BTC)
    with pytest.raises(ccxt.InsufficientFunds):
        await perp.create_order(BTC, "market", "sell", 1.2)
    await perp.set_leverage(3, BTC)
    await perp.create_order(BTC, "market", "sell", 1.2)


async def test_position_mode_is_kept_while_something_is_open(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    with pytest.raises(ccxt.BaseError, match="-4067"):
        await perp.set_position_mode(True)
    await perp.cancel_order(order["id"], BTC)
    fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.1")
    with pytest.raises(ccxt.BaseError, match="-4068"):
        await perp.set_position_mode(True)
    fake.venue.set_position_mode_outside(None, dual=True)
    assert fake.venue.position(None, "BTCUSDT") == 0
    assert fake.venue.account().dual


async def test_income_explains_the_wallet_to_the_last_digit(fake: FakeExchange, perp: Any) -> None:
    venue = fake.venue
    await perp.create_order(BTC, "market", "sell", 0.5)
    venue.settle_funding("BTCUSDT", "0.02", times=2)
    venue.set_price("BTCUSDT", 94_000)
    await perp.create_order(BTC, "market", "buy", 0.3)
    venue.transfer(None, "USDT", 500)
    rows = await perp.fapiPrivateGetIncome({"startTime": 1})
    assert {row["incomeType"] for row in rows} == {"COMMISSION", "FUNDING_FEE", "REALIZED_PNL", "TRANSFER"}
    assert 100_000 + sum(Decimal(row["income"]) for row in rows) == venue.wallet(None, "USDT")
    assert [row["amount"] for row in await perp.fetch_funding_history(BTC)] == [950.0, 950.0]
    seen = await perp.fetch_balance()
    assert Decimal(seen["info"]["assets"][0]["walletBalance"]) == venue.wallet(None, "USDT")
    assert seen["USDT"]["total"] == pytest.approx(float(seen["info"]["assets"][0]["marginBalance"]))


async def test_a_funding_interval_changes_and_so_does_the_next_settlement(fake: FakeExchange, perp: Any) -> None:
    fake.venue.set_funding("BTCUSDT", rate="0.0003", interval_h=1)
    assert (await perp.fetch_funding_intervals([BTC]))[BTC]["interval"] == "1h"
    rate = await perp.fetch_funding_rate(BTC)
    assert rate["fundingRate"] == 0.0003
    assert rate["fundingTimestamp"] - fake.venue.now_ms() <= 3_600_000


async def test_a_liquidation_closes_at_mark_under_binances_client_id(fake: FakeExchange, perp: Any) -> None:
    await perp.create_order(BTC, "market", "sell", 10)
    await perp.create_order(BTC, "limit", "buy", 0.1, 90_000)
    fake.venue.set_price("BTCUSDT", 95_000, mark=120_000)
    assert fake.venue.position(None, "BTCUSDT") == 0
    assert fake.venue.open_orders() == []
    last = fake.venue.orders()[-1]
    assert last.client_id.startswith("autoclose-")
    moved = sum(row.amount for row in fake.venue.income())
    assert 100_000 + moved == fake.venue.wallet(None, "USDT")
    assert any(row.kind == "INSURANCE_CLEAR" for row in fake.venue.income())


async def test_an_auto_deleveraging_closes_without_an_order_of_ours(fake: FakeExchange, perp: Any) -> None:
    await perp.create_order(BTC, "market", "sell", 1)
    fake.venue.deleverage(None, "BTCUSDT", "0.4")
    assert fake.venue.position(None, "BTCUSDT") == Decimal("-0.6")
    assert [o.client_id for o in fake.venue.orders()][-1] == "adl_autoclose"
    assert {row["takerOrMaker"] for row in await perp.fetch_my_trades(BTC)} == {"taker"}


async def test_trades_are_paged_by_id_and_by_time(fake: FakeExchange, perp: Any) -> None:
    for _ in range(12):
        fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.01")
    ids = [trade.id for trade in fake.venue.fills()]
    first = await perp.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "startTime": 1, "limit": 5})
    assert [int(row["id"]) for row in first] == ids[:5]
    rest = await perp.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "fromId": ids[5], "limit": 1000})
    assert [int(row["id"]) for row in rest] == ids[5:]
    latest = await perp.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "limit": 3})
    assert [int(row["id"]) for row in latest] == ids[-3:]


async def test_changed_filters_hold_from_now_on(fake: FakeExchange, perp: Any) -> None:
    fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.123")
    await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    fake.venue.change_filters("BTCUSDT", tick_size="0.05", lot_size="0.0001", min_notional=10)
    await perp.load_markets(True)
    assert perp.markets[BTC]["precision"]["price"] == 0.05
    await perp.create_order(BTC, "limit", "sell", 0.0005, 96_000.05)
    fake.venue.set_price("BTCUSDT", 96_001)
    assert fake.venue.position(None, "BTCUSDT") == Decimal("-0.2235")
    assert [t.realized for t in fake.venue.fills()] == [0, 0, 0]


async def test_a_halted_symbol_takes_no_orders_and_the_others_go_on(fake: FakeExchange, perp: Any) -> None:
    fake.venue.halt("BTCUSDT")
    with pytest.raises(ccxt.BaseError, match="-4140"):
        await perp.create_order(BTC, "market", "sell", 0.1)
    await perp.create_order("ETH/USDT:USDT", "market", "sell", 1)
    await perp.load_markets(True)
    assert not perp.markets[BTC]["active"]


async def test_contracts_of_a_thousand_coins_and_usdc_are_booked_in_their_own_wallets(fake: FakeExchange, perp: Any) -> None:
    await perp.create_order("1000PEPE/USDT:USDT", "market", "sell", 10_000)
    await perp.create_order("SOL/USDC:USDC", "market", "sell", 1)
    assert fake.venue.fills()[0].commission_asset == "USDT"
    assert fake.venue.wallet(None, "USDC") == 100_000 - fake.venue.fills()[1].commission


async def test_the_signature_the_key_and_the_clock_are_checked(fake: FakeExchange, perp: Any) -> None:
    perp.secret = "wrong"  # noqa: S105 - it is the point
    with pytest.raises(ccxt.BaseError, match="-1022"):
        await perp.fetch_balance()
    perp.secret = "rehearsal-secret"  # noqa: S105 - of a fake
    fake.control.set_clock(60_000)
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        await perp.fetch_balance()
    await perp.load_time_difference()
    await perp.fapiPrivateGetPositionSideDual()
    fake.venue.revoke_key("rehearsal-key")
    with pytest.raises(ccxt.BaseError, match="-2015"):
        await perp.fapiPrivateGetPositionSideDual()
    assert [r.status for r in fake.venue.log][-2:] == [200, 401]


async def test_permissions_are_told_and_kept(fake: FakeExchange, perp: Any) -> None:
    assert (await perp.sapiGetAccountApiRestrictions())["enableWithdrawals"] is False
    fake.control.set_permissions(can_withdraw=True, can_trade=False)
    assert (await perp.sapiGetAccountApiRestrictions())["enableWithdrawals"] is True
    with pytest.raises(ccxt.BaseError, match="-2015"):
        await perp.create_order(BTC, "market", "sell", 0.1)


async def test_a_listen_key_is_the_same_until_it_ends(fake: FakeExchange, perp: Any) -> None:
    key = (await perp.fapiPrivatePostListenKey())["listenKey"]
    assert (await perp.fapiPrivatePostListenKey())["listenKey"] == key
    assert fake.venue.account_of_listen_key(key) == "rehearsal-key"
    fake.venue.offset_ms += 3_600_001
    assert fake.venue.account_of_listen_key(key) is None
    with pytest.raises(ccxt.BaseError, match="-1125"):
        await perp.fapiPrivatePutListenKey()
    assert (await perp.fapiPrivatePostListenKey())["listenKey"] != key


class TestFeesInBnb:
    @pytest.fixture
    def config(self) -> FakeConfig:
        return FakeConfig(accounts=(AccountConfig(bnb=Decimal(1), fee_asset="BNB"),))

    async def test_a_fee_leaves_the_bnb_wallet(self, fake: FakeExchange, perp: Any) -> None:
        await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
        fake.venue.set_price("BTCUSDT", 96_100)
        (trade,) = await perp.fetch_my_trades(BTC)
        assert trade["fee"] == {"currency": "BNB", "cost": 0.0032}
        assert fake.venue.wallet(None, "BNB") == Decimal("0.9968")
        assert fake.venue.wallet(None, "USDT") == 100_000


class TestLimits:
    @pytest.fixture
    def config(self) -> FakeConfig:
        return FakeConfig(limits=LimitsConfig(weight_per_minute=40, ban_after=2), symbols=many_symbols(3))

    async def test_too_much_is_refused_and_going_on_is_banned(self, fake: FakeExchange, perp: Any) -> None:
        seen = []
        for _ in range(50):
            try:
                await perp.fapiPublicGetTime()
            except ccxt.DDoSProtection as error:
                seen.append("418" if "418" in str(error) else "429")
        assert seen[:3] == ["429", "429", "429"]
        assert set(seen[3:]) == {"418"}
        assert int(perp.last_response_headers["Retry-After"]) > 60


async def test_spot_is_bought_sold_and_listed(fake: FakeExchange, spot: Any) -> None:
    before = await spot.fetch_balance()
    assert before["BTC"]["total"] == 1
    bought = await spot.create_order("BTC/USDT", "market", "buy", 0.05)
    assert bought["status"] == "closed"
    resting = await spot.create_order("BTC/USDT", "limit", "sell", 0.5, 96_000)
    assert (await spot.fetch_balance())["BTC"]["used"] == 0.5
    assert [o["id"] for o in await spot.fetch_open_orders("BTC/USDT")] == [resting["id"]]
    fake.venue.set_price("BTCUSDT", 96_100)
    assert (await spot.fetch_order(resting["id"], "BTC/USDT"))["status"] == "closed"
    trades = await spot.fetch_my_trades("BTC/USDT")
    assert [(t["side"], t["takerOrMaker"]) for t in trades] == [("buy", "taker"), ("sell", "maker")]
    balance = await spot.fetch_balance()
    assert balance["BTC"]["total"] == pytest.approx(1 + 0.05 * 0.999 - 0.5)
    assert balance["BTC"]["used"] == 0


async def test_spot_refuses_what_cannot_be_and_cancels(fake: FakeExchange, spot: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        await spot.create_order("BTC/USDT", "limit", "sell", 5, 96_000)
    with pytest.raises(ccxt.BaseError, match="-1013"):
        await spot.create_order("BTC/USDT", "limit", "sell", 0.00001, 96_000)
    order = await spot.create_order("BTC/USDT", "limit", "sell", 0.5, 96_000)
    assert (await spot.cancel_order(order["id"], "BTC/USDT"))["status"] == "canceled"
    fake.venue.halt_spot("BTCUSDT")
    with pytest.raises(ccxt.BaseError, match="closed"):
        await spot.create_order("BTC/USDT", "limit", "sell", 0.5, 96_000)
    assert (await spot.fetch_ticker("PEPE/USDT"))["last"] == pytest.approx(0.00002)
    assert len(await spot.fetch_ohlcv("BTC/USDT", "1h", limit=10)) == 10
