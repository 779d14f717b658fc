"""Unmodified ccxt trades on the fake exchange: order types, life cycles, refusals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest

from alpha_pulse.fake_exchange import AccountConfig, FakeConfig, FakeExchange

BTC = "BTC/USDT:USDT"
STOP = {"stopLossPrice": 100_000, "workingType": "MARK_PRICE"}


async def test_a_limit_order_rests_fills_as_maker_and_is_found_by_both_ids(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000, {"clientOrderId": "g1", "postOnly": True})
    assert [o["clientOrderId"] for o in await perp.fetch_open_orders(BTC)] == ["g1"]
    fake.venue.set_price("BTCUSDT", 96_100)
    assert await perp.fetch_open_orders(BTC) == []
    by_number = await perp.fetch_order(order["id"], BTC)
    by_name = await perp.fetch_order(None, BTC, {"origClientOrderId": "g1"})
    assert by_number["status"] == by_name["status"] == "closed"
    (trade,) = await perp.fetch_my_trades(BTC)
    assert (trade["takerOrMaker"], trade["price"], trade["amount"], trade["fee"]["cost"]) == ("maker", 96_000, 0.1, 1.92)
    (position,) = await perp.fetch_positions([BTC])
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 0.1, 96_000)


async def test_a_market_order_fills_at_once_beyond_the_touch(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "market", "buy", 0.1)
    assert (order["status"], order["filled"]) == ("closed", 0.1)
    assert order["average"] > 95_000
    assert fake.venue.position(None, "BTCUSDT") == Decimal("0.1")


async def test_an_ioc_order_takes_or_expires(fake: FakeExchange, perp: Any) -> None:
    missed = await perp.create_order(BTC, "limit", "buy", 0.1, 94_000, {"timeInForce": "IOC"})
    taken = await perp.create_order(BTC, "limit", "buy", 0.1, 95_500, {"timeInForce": "IOC"})
    assert (missed["status"], taken["status"]) == ("expired", "closed")


async def test_a_crossing_limit_order_takes(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "buy", 0.1, 95_500)
    assert order["status"] == "closed"
    assert not fake.venue.fills()[0].maker


async def test_cancel_takes_an_order_out_and_a_second_cancel_finds_nothing(perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    assert (await perp.cancel_order(order["id"], BTC))["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await perp.cancel_order(order["id"], BTC)
    with pytest.raises(ccxt.OrderNotFound):
        await perp.fetch_order("1", BTC)


async def test_an_edit_changes_price_and_quantity_and_keeps_the_id(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    changed = await perp.edit_order(order["id"], BTC, "limit", "sell", 0.2, 97_000)
    assert (changed["id"], changed["price"], changed["amount"]) == (order["id"], 97_000, 0.2)
    fake.venue.set_price("BTCUSDT", 96_500)
    assert fake.venue.fills() == []
    fake.venue.set_price("BTCUSDT", 97_100)
    assert fake.venue.position(None, "BTCUSDT") == Decimal("-0.2")


async def test_an_edit_that_is_refused_leaves_the_order_as_it_was(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    with pytest.raises(ccxt.InsufficientFunds):
        await perp.edit_order(order["id"], BTC, "limit", "sell", 1_000, 97_000)
    (resting,) = await perp.fetch_open_orders(BTC)
    assert (resting["price"], resting["amount"]) == (96_000, 0.1)
    fake.venue.set_price("BTCUSDT", 96_100)
    assert fake.venue.position(None, "BTCUSDT") == Decimal("-0.1")


async def test_a_partial_fill_counts_up(fake: FakeExchange, perp: Any) -> None:
    order = await perp.create_order(BTC, "limit", "sell", 0.1, 96_000, {"clientOrderId": "part"})
    fake.venue.fill_part(None, "BTCUSDT", "part", "0.03")
    seen = await perp.fetch_order(order["id"], BTC)
    assert (seen["status"], seen["filled"], seen["remaining"]) == ("open", 0.03, 0.07)
    fake.venue.set_price("BTCUSDT", 96_100)
    assert (await perp.fetch_order(order["id"], BTC))["filled"] == 0.1
    assert len(fake.venue.fills()) == 2


async def test_batches_place_and_cancel_and_report_each_row(perp: Any) -> None:
    rows = [
        {"symbol": BTC, "type": "limit", "side": "sell", "amount": 0.1, "price": 96_000 + n, "params": {"clientOrderId": f"b{n}"}}
        for n in range(3)
    ]
    rows[1]["params"]["clientOrderId"] = "b0"
    orders = await perp.create_orders(rows)
    assert [order["status"] for order in orders] == ["rejected", "open", "open"]  # ccxt sorts by time, and a refusal has none
    cancelled = await perp.cancel_orders([order["id"] for order in orders[1:]], BTC)
    assert [order["status"] for order in cancelled] == ["canceled", "canceled"]


async def test_cancel_all_spares_conditional_orders_and_has_a_call_of_its_own_for_them(perp: Any) -> None:
    await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    await perp.create_order(BTC, "market", "buy", 0.1, None, STOP)
    await perp.cancel_all_orders(BTC)
    assert await perp.fetch_open_orders(BTC) == []
    assert len(await perp.fetch_open_orders(BTC, params={"trigger": True})) == 1
    await perp.cancel_all_orders(BTC, {"trigger": True})
    assert await perp.fetch_open_orders(BTC, params={"trigger": True}) == []


async def test_the_dead_mans_switch_cancels_resting_orders_and_spares_the_stop(fake: FakeExchange, perp: Any, eventually: Any) -> None:
    await perp.create_order(BTC, "limit", "sell", 0.1, 96_000)
    await perp.create_order(BTC, "market", "buy", 0.1, None, STOP)
    await perp.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 60})
    assert len(fake.venue.open_orders()) == 1
    await eventually(lambda: not fake.venue.open_orders())
    assert [algo.status for algo in fake.venue.algo_orders()] == ["NEW"]


async def test_a_stop_fires_on_mark_alone_and_becomes_an_order_with_its_client_id(fake: FakeExchange, perp: Any) -> None:
    stop = await perp.create_order(BTC, "market", "buy", 0.2, None, STOP | {"clientAlgoId": "s1"})
    fake.venue.set_price("BTCUSDT", 101_000, mark=99_000)
    assert fake.venue.position(None, "BTCUSDT") == 0
    fake.venue.set_price("BTCUSDT", 99_000, mark=100_500)
    assert fake.venue.position(None, "BTCUSDT") == Decimal("0.2")
    assert (await perp.fetch_order(stop["id"], BTC, {"trigger": True}))["status"] == "closed"
    (fired,) = fake.venue.orders()
    assert (fired.client_id, fired.type, fired.orig_type, fired.status) == ("s1", "MARKET", "STOP_MARKET", "FILLED")


async def test_a_stop_on_the_last_price_ignores_mark(fake: FakeExchange, perp: Any) -> None:
    await perp.create_order(BTC, "market", "buy", 0.2, None, STOP | {"workingType": "CONTRACT_PRICE"})
    fake.venue.set_price("BTCUSDT", 99_000, mark=100_500)
    assert fake.venue.position(None, "BTCUSDT") == 0
    fake.venue.set_price("BTCUSDT", 100_500, mark=99_000)
    assert fake.venue.position(None, "BTCUSDT") == Decimal("0.2")


async def test_a_close_position_stop_closes_whatever_is_held_by_then(fake: FakeExchange, perp: Any) -> None:
    with pytest.raises(ccxt.BaseError, match="-4509"):
        await perp.create_order(BTC, "market", "buy", None, None, STOP | {"closePosition": True})
    fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.1")
    await perp.create_order(BTC, "market", "buy", None, None, STOP | {"closePosition": True})
    fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.15")
    fake.venue.set_price("BTCUSDT", 100_100)
    assert fake.venue.position(None, "BTCUSDT") == 0
    assert fake.venue.algo_orders()[0].status == "FINISHED"


async def test_a_take_profit_waits_on_the_other_side(fake: FakeExchange, perp: Any) -> None:
    fake.venue.trade_outside(None, "BTCUSDT", "SELL", "0.1")
    await perp.create_order(BTC, "market", "buy", 0.1, None, {"takeProfitPrice": 90_000, "workingType": "MARK_PRICE", "reduceOnly": True})
    fake.venue.set_price("BTCUSDT", 89_900)
    assert fake.venue.position(None, "BTCUSDT") == 0


async def test_a_stop_that_margin_does_not_carry_ends_without_a_fill(fake: FakeExchange, perp: Any) -> None:
    stop = await perp.create_order(BTC, "market", "buy", 900, None, STOP)
    fake.venue.set_price("BTCUSDT", 100_100)
    assert fake.venue.position(None, "BTCUSDT") == 0
    assert (await perp.fetch_order(stop["id"], BTC, {"trigger": True}))["status"] == "expired"


@pytest.mark.parametrize(
    ("order", "error", "code"),
    [
        (("limit", "buy", 0.1, 96_000, {"postOnly": True}), ccxt.BaseError, -5022),
        (("market", "buy", 0.1, None, {"reduceOnly": True}), ccxt.InvalidOrder, -2022),
        (("market", "buy", 900, None, {}), ccxt.InsufficientFunds, -2019),
        (("limit", "sell", 0.1, 96_000, {"newClientOrderId": "no spaces"}), ccxt.BaseError, -4015),
        (("limit", "sell", 0.1, 96_000, {"positionSide": "SHORT"}), ccxt.BaseError, -4061),
        (("limit", "sell", 0.001, 96_000, {}), ccxt.BaseError, -4164),
        (("market", "buy", 0.1, None, {"stopLossPrice": 94_000, "workingType": "MARK_PRICE"}), ccxt.OrderImmediatelyFillable, -2021),
    ],
)
async def test_what_binance_refuses_is_refused_with_its_code(perp: Any, order: tuple[Any, ...], error: type[Exception], code: int) -> None:
    with pytest.raises(error, match=str(code)):
        await perp.create_order(BTC, *order)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": "0.0001"}, -4003),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.1001"}, -1111),
        ({"price": "96000.01"}, -1111),
        ({"price": "x"}, -1100),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"type": "STOP_MARKET", "stopPrice": "90000"}, -4120),
        ({"type": "ICEBERG"}, -1116),
        ({"side": "HOLD"}, -1117),
        ({"timeInForce": "DAY"}, -1115),
        ({"newClientOrderId": "twin"}, -4116),
    ],
)
async def test_raw_orders_are_checked_in_full(perp: Any, change: dict[str, str], code: int) -> None:
    raw = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "quantity": "0.1", "price": "96000", "timeInForce": "GTC"}
    await perp.fapiPrivatePostOrder(raw | {"newClientOrderId": "twin"})
    with pytest.raises(ccxt.BaseError, match=str(code)):
        await perp.fapiPrivatePostOrder(raw | change)


class TestHedgeMode:
    @pytest.fixture
    def config(self) -> FakeConfig:
        return FakeConfig(accounts=(AccountConfig(dual_side=True),))

    async def test_a_short_is_opened_and_reduced_on_its_own_side(self, fake: FakeExchange, perp: Any) -> None:
        await perp.create_order(BTC, "market", "sell", 0.3, None, {"positionSide": "SHORT"})
        await perp.create_order(BTC, "market", "buy", 0.1, None, {"positionSide": "LONG"})
        await perp.create_order(BTC, "market", "buy", 0.1, None, {"positionSide": "SHORT"})
        held = {row["info"]["positionSide"]: row["info"]["positionAmt"] for row in await perp.fetch_positions([BTC])}
        assert held == {"SHORT": "-0.200", "LONG": "0.100"}
        with pytest.raises(ccxt.BaseError, match="-4061"):
            await perp.create_order(BTC, "market", "buy", 0.1)

    async def test_closing_more_than_nothing_is_refused(self, perp: Any) -> None:
        with pytest.raises(ccxt.BaseError, match="-2022"):
            await perp.create_order(BTC, "market", "buy", 0.1, None, {"positionSide": "SHORT"})
