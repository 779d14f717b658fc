"""One pair against one bar after another: every rule of the venue by an example worked out by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.orders import Liquidity, OrderStatus, Purpose, TimeInForce
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.matching import MatchingEngine, MatchingRules, Wallet
from alpha_pulse.execution.matching.book import KEPT_CLOSED, Book, Kind
from alpha_pulse.testing import bar, instrument, limit, market, stop, update

D = Decimal


def an_engine(cash="100000", *, price=100_000, **rules):
    """An engine that has seen one quiet update. No slippage unless asked for."""
    made = MatchingEngine(instrument(), Wallet(D(cash), D(cash)), MatchingRules(**({"slippage_bps": 0.0} | rules)))
    made.match(update(0, bar(price)))
    return made


def with_position(quantity, cash="100000", **rules):
    engine = an_engine(cash, **rules)
    side = "buy" if D(quantity) > 0 else "sell"
    engine.place(market("open", side, str(abs(D(quantity)))), 0)
    engine.match(update(1, bar(100_000), bid=100_000, ask=100_000))
    engine.fills.clear()
    return engine


def names(engine):
    return [(fill.client_order_id, fill.price) for fill in engine.fills]


# --- limit orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "low", "fills"), [("touch", 99_900, 1), ("through", 99_900, 0), ("through", 99_899.9, 1)])
def test_a_buy_fills_when_the_rule_says_so(rule, low, fills):
    engine = an_engine(fill_rule=rule)
    engine.place(limit("b", "buy", "99900"), 0)
    engine.match(update(1, bar(100_000, 100_000, low, 100_000)))
    assert len(engine.fills) == fills


@pytest.mark.parametrize(("rule", "high", "fills"), [("touch", 100_100, 1), ("through", 100_100, 0), ("through", 100_100.1, 1)])
def test_a_sell_fills_when_the_rule_says_so(rule, high, fills):
    engine = an_engine(fill_rule=rule)
    engine.place(limit("s", "sell", "100100"), 0)
    engine.match(update(1, bar(100_000, high, 100_000, 100_000)))
    assert len(engine.fills) == fills


def test_a_maker_fill_is_at_the_limit_price_with_the_maker_fee_at_the_close_of_the_bar():
    engine = an_engine()
    engine.place(limit("s", "sell", "100100", "0.25", node=3), 0)
    bar_one = update(1, bar(100_000, 100_500, 100_000, 100_400))
    assert engine.match(bar_one) is True
    [fill] = engine.fills
    assert (fill.price, fill.quantity, fill.reference_price) == (D(100_100), D("0.25"), D(100_100))
    assert (fill.liquidity, fill.node, fill.purpose, fill.ts_ms) == (Liquidity.MAKER, 3, Purpose.GRID, bar_one.close_ms)
    assert fill.fee == D(100_100) * D("0.25") * D("0.0002")
    assert fill.fee_currency == "USDT"


def test_a_bar_that_opens_beyond_a_limit_order_fills_it_at_its_own_price():
    engine = an_engine()
    engine.place(limit("s", "sell", "100100"), 0)
    engine.match(update(1, bar(101_000, 101_500, 100_900, 101_200)))
    assert names(engine) == [("s", D(100_100))]


def test_an_order_does_not_act_on_the_bar_that_was_already_known_when_it_was_placed():
    engine = an_engine()
    engine.match(update(1, bar(100_000, 101_000, 99_000, 100_000)))
    engine.place(limit("s", "sell", "100500"), 0)
    assert engine.fills == []
    assert engine.match(update(2, bar(100_000))) is False
    assert engine.fills == []


def test_the_low_is_visited_first_when_it_is_nearer_to_the_open():
    engine = an_engine()
    engine.place(limit("s", "sell", "100500"), 0)
    engine.place(limit("b", "buy", "99600"), 0)
    engine.match(update(1, bar(100_000, 101_000, 99_500, 100_000)))
    assert [name for name, _ in names(engine)] == ["b", "s"]


def test_the_high_is_visited_first_when_it_is_nearer_to_the_open():
    engine = an_engine()
    engine.place(limit("b", "buy", "99600"), 0)
    engine.place(limit("s", "sell", "100400"), 0)
    engine.match(update(1, bar(100_000, 100_500, 99_000, 100_000)))
    assert [name for name, _ in names(engine)] == ["s", "b"]


def test_orders_on_one_side_fill_nearest_first_and_at_one_price_oldest_first():
    engine = an_engine()
    for name, price in (("far", "100300"), ("old", "100200"), ("new", "100200"), ("near", "100100")):
        engine.place(limit(name, "sell", price), 0)
    engine.match(update(1, bar(100_000, 100_500, 100_000, 100_000)))
    assert [name for name, _ in names(engine)] == ["near", "old", "new", "far"]


def test_an_open_beyond_several_orders_fills_the_best_price_first():
    engine = an_engine()
    for name, price in (("far", "99700"), ("near", "99900")):
        engine.place(limit(name, "buy", price), 0)
    engine.match(update(1, bar(99_000)))
    assert [name for name, _ in names(engine)] == ["near", "far"]


def test_the_queue_rule_fills_no_more_than_its_share_of_the_volume():
    engine = an_engine(fill_rule="queue", queue_share=0.1)
    engine.place(limit("first", "sell", "100100", "0.3"), 0)
    engine.place(limit("second", "sell", "100200", "0.3"), 0)
    engine.match(update(1, bar(100_000, 100_500, 100_000, 100_500, volume=4.0)))
    assert [(f.client_order_id, f.quantity) for f in engine.fills] == [("first", D("0.3")), ("second", D("0.1"))]
    assert engine.orders()[0].remaining == D("0.2")


def test_what_the_queue_left_fills_on_the_next_bar():
    engine = an_engine(fill_rule="queue", queue_share=0.1)
    engine.place(limit("s", "sell", "100100", "0.3"), 0)
    engine.match(update(1, bar(100_000, 100_500, 100_000, 100_500, volume=1.0)))
    assert engine.match(update(2, bar(100_500, volume=0.0))) is False
    engine.match(update(3, bar(100_500, volume=50.0)))
    assert [f.quantity for f in engine.fills] == [D("0.1"), D("0.2")]
    assert engine.orders() == ()
    assert engine.find("s").status is OrderStatus.FILLED


def test_a_post_only_order_that_would_take_is_rejected():
    engine = an_engine()
    with pytest.raises(Rejected, match="post-only"):
        engine.place(limit("s", "sell", "99999.9"), 0)
    with pytest.raises(Rejected, match="post-only"):
        engine.place(limit("b", "buy", "100000.1"), 0)
    engine.place(limit("ok", "buy", "100000"), 0)
    assert len(engine.orders()) == 1


# --- takers -------------------------------------------------------------------------------------------------------


def test_a_market_order_takes_at_the_next_open_with_half_the_spread_rounded_against_it():
    engine = an_engine()
    engine.place(market("m", "sell"), 0)
    engine.match(update(1, bar(100_010.04, 100_020, 100_000, 100_005), bid=100_004, ask=100_006))
    [fill] = engine.fills
    assert (fill.price, fill.liquidity) == (D("100009.0"), Liquidity.TAKER)
    assert fill.reference_price == D("100010.04")
    assert fill.fee == fill.price * fill.quantity * D("0.0005")


def test_slippage_grows_with_size_over_depth():
    engine = an_engine()
    engine.place(market("m", "buy", "1"), 0)
    engine.match(update(1, bar(100_000), bid=100_000, ask=100_000, ask_depth=1_000_000, bid_depth=1.0))
    assert engine.fills[0].price == D("100100.0")  # a tenth of the depth within 1 %: 0.1 %


def test_slippage_without_depth_is_the_setting():
    engine = an_engine(slippage_bps=2.0)
    engine.place(market("m", "buy", "1"), 0)
    engine.match(update(1, bar(100_000), bid=100_000, ask=100_000))
    assert engine.fills[0].price == D("100020.0")


def test_takers_of_one_bar_fill_in_the_order_in_which_they_came():
    engine = an_engine()
    engine.place(market("one", "buy"), 0)
    engine.place(market("two", "sell"), 0)
    engine.match(update(1, bar(100_000)))
    assert [name for name, _ in names(engine)] == ["one", "two"]


def test_an_ioc_limit_takes_what_its_limit_allows_and_cancels_the_rest():
    engine = an_engine()
    engine.place(limit("i", "buy", "100100", "1", time_in_force=TimeInForce.IOC), 0)
    engine.match(update(1, bar(100_000), bid=100_000, ask=100_000, ask_depth=200_000))
    [fill] = engine.fills
    assert fill.quantity == D("0.2")  # 0.1 % of room in a book that moves 1 % for 200,000
    assert fill.price <= D(100_100)
    order = engine.find("i")
    assert (order.status, order.filled) == (OrderStatus.CANCELLED, D("0.2"))
    assert engine.orders() == ()


def test_an_ioc_limit_out_of_reach_is_cancelled_without_a_fill():
    engine = an_engine()
    engine.place(limit("i", "buy", "99000", time_in_force=TimeInForce.IOC), 0)
    assert engine.match(update(1, bar(100_000))) is True
    assert engine.fills == []
    assert engine.find("i").status is OrderStatus.CANCELLED


def test_a_plain_limit_that_crosses_takes_first_and_rests_with_what_is_left():
    engine = an_engine()
    engine.place(limit("g", "buy", "100100", "1", time_in_force=TimeInForce.GTC), 0)
    quiet = {"bid": 100_000, "ask": 100_000, "ask_depth": 200_000}
    engine.match(update(1, bar(100_200, 100_200, 100_050, 100_100), **quiet))
    assert [f.liquidity for f in engine.fills] == [Liquidity.MAKER]  # out of reach at the open, then the market came to it
    engine.place(limit("h", "buy", "100200", "0.2", time_in_force=TimeInForce.GTC), 0)
    engine.match(update(2, bar(100_150, 100_150, 100_150, 100_150), **quiet))
    assert [(f.liquidity, f.quantity) for f in engine.fills[1:]] == [(Liquidity.TAKER, D("0.099")), (Liquidity.MAKER, D("0.101"))]


def test_a_plain_limit_that_does_not_cross_rests():
    engine = an_engine()
    engine.place(limit("g", "buy", "99900", time_in_force=TimeInForce.GTC), 0)
    engine.match(update(1, bar(100_000)))
    assert engine.fills == []
    assert len(engine.orders()) == 1


# --- stops --------------------------------------------------------------------------------------------------------


def test_a_stop_triggers_on_mark_and_never_on_the_last_price():
    engine = an_engine()
    engine.place(stop("s", "sell", "99000"), 0)
    assert engine.match(update(1, bar(100_000, 100_000, 98_000, 100_000), mark=bar(100_000))) is False
    assert engine.fills == []
    engine.match(update(2, bar(100_000), mark=bar(100_000, 100_000, 98_900, 100_000)))
    assert names(engine) == [("s", D("99999.9"))]


def test_a_stop_fills_at_the_last_price_of_the_moment_at_which_mark_got_there():
    engine = an_engine()
    engine.place(stop("s", "sell", "99500"), 0)
    # low first; mark is at 99,500 half-way to its low, where the last price is half-way from 100,200 to 99,200
    engine.match(update(1, bar(100_200, 101_500, 99_200, 100_000), mark=bar(100_000, 101_000, 99_000, 100_000), bid=100_000, ask=100_000))
    [fill] = engine.fills
    assert (fill.price, fill.reference_price) == (D("99700.0"), D("99700.0"))


def test_a_stop_beyond_which_mark_opens_fills_at_the_open():
    engine = an_engine()
    engine.place(stop("s", "sell", "99500"), 0)
    engine.match(update(1, bar(98_000, 99_900, 97_500, 98_500), bid=98_500, ask=98_500))
    assert names(engine) == [("s", D("98000.0"))]


def test_a_buy_stop_waits_above():
    engine = with_position("-0.1")
    engine.place(stop("s", "buy", "100500"), 0)
    engine.match(update(2, bar(100_000, 101_000, 99_900, 100_900), bid=100_900, ask=100_900))
    assert names(engine) == [("s", D("100500.0"))]


def test_a_stop_that_would_fire_at_once_is_rejected():
    engine = an_engine()
    with pytest.raises(Rejected, match="immediately trigger"):
        engine.place(stop("s", "sell", "100000"), 0)
    with pytest.raises(Rejected, match="immediately trigger"):
        engine.place(stop("b", "buy", "99999"), 0)


def test_a_fired_stop_is_gone():
    engine = an_engine()
    engine.place(stop("s", "sell", "99500"), 0)
    for index in range(1, 5):
        engine.match(update(index, bar(100_000, 100_000, 99_000, 100_000)))
    assert len(engine.fills) == 1
    assert engine.find("s").status is OrderStatus.FILLED


def test_unwinding_buys_above_the_trigger_fill_before_the_stop_and_those_below_after_it():
    engine = with_position("-0.5")
    engine.place(limit("before", "buy", "99800"), 0)
    engine.place(stop("stop", "sell", "99500", "0.6"), 0)
    engine.place(limit("after", "buy", "99200"), 0)
    engine.match(update(2, bar(100_000, 100_000, 99_000, 99_100)))
    assert [name for name, _ in names(engine)] == ["before", "stop", "after"]


def test_in_a_bar_with_both_extremes_the_far_side_waits_for_its_segment():
    engine = an_engine()
    engine.place(stop("stop", "sell", "99500"), 0)
    engine.place(limit("sell", "sell", "100300"), 0)
    engine.match(update(1, bar(100_000, 100_400, 99_000, 99_900)))
    assert [name for name, _ in names(engine)] == ["sell", "stop"]


def test_where_a_stop_and_a_limit_lie_at_one_place_the_stop_goes_first():
    engine = an_engine()
    engine.place(limit("b", "buy", "99500"), 0)
    engine.place(stop("s", "sell", "99500"), 0)
    engine.match(update(1, bar(99_000)))
    assert [name for name, _ in names(engine)] == ["s", "b"]


def test_a_stop_needs_no_margin_until_it_triggers_and_then_expires_without():
    engine = an_engine("1000")
    engine.place(stop("s", "sell", "99500", "5"), 0)
    engine.match(update(1, bar(100_000, 100_000, 99_000, 99_000)))
    assert engine.fills == []
    assert engine.find("s").status is OrderStatus.CANCELLED
    assert any("insufficient margin" in notice for notice in engine.notices)


# --- reduce-only --------------------------------------------------------------------------------------------------


def test_a_reduce_only_order_with_nothing_to_reduce_is_rejected():
    engine = an_engine()
    with pytest.raises(Rejected, match="reduce-only"):
        engine.place(limit("r", "sell", "100500", reduce_only=True), 0)
    short = with_position("-0.1")
    with pytest.raises(Rejected, match="reduce-only"):
        short.place(market("r", "sell", reduce_only=True), 0)


def test_a_reduce_only_order_is_clipped_to_the_position():
    engine = with_position("-0.1")
    engine.place(market("r", "buy", "0.3", reduce_only=True), 0)
    engine.match(update(2, bar(100_000)))
    assert engine.fills[-1].quantity == D("0.1")
    assert engine.ledger.lots == 0
    assert engine.find("r").status is OrderStatus.CANCELLED


def test_a_reduce_only_stop_closes_what_there_is_and_is_gone():
    engine = with_position("-0.1")
    engine.place(stop("r", "buy", "100500", "0.3", reduce_only=True), 0)
    engine.match(update(2, bar(100_000, 101_000, 100_000, 101_000)))
    assert engine.ledger.lots == 0
    assert engine.orders() == ()


def test_reduce_only_orders_expire_when_the_position_is_gone():
    engine = with_position("-0.1")
    engine.place(limit("r", "buy", "99000", reduce_only=True), 0)
    engine.place(market("two", "buy", "0.1", reduce_only=True), 0)
    engine.place(market("three", "buy", "0.1", reduce_only=True), 0)
    engine.match(update(2, bar(100_000)))
    assert engine.orders() == ()
    assert [engine.find(name).status for name in ("r", "two", "three")] == [
        OrderStatus.CANCELLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
    ]


# --- funding ------------------------------------------------------------------------------------------------------


def test_funding_is_paid_on_the_position_held_before_the_bar():
    engine = with_position("-0.5")
    engine.place(limit("s", "sell", "100100", "0.5"), 0)
    before = engine.ledger.wallet.cash
    bar_two = update(2, bar(100_000, 100_500, 100_000, 100_000), mark=bar(100_020), settled_rate=0.0001)
    engine.match(bar_two)
    [payment] = engine.funding
    assert (payment.position, payment.mark_price, payment.rate) == (D("-0.5"), D(100_020), D("0.0001"))
    assert payment.amount == D("5.001")
    assert payment.ts_ms == bar_two.open_ms
    assert engine.ledger.wallet.cash == before + payment.amount - engine.fills[-1].fee


def test_a_negative_rate_is_paid_by_a_short():
    engine = with_position("-0.5")
    engine.match(update(2, bar(100_000), settled_rate=-0.0002))
    assert engine.funding[0].amount == D(-10)
    assert engine.account().funding_received == D(-10)


def test_without_a_position_no_funding_is_booked():
    engine = an_engine()
    assert engine.match(update(1, bar(100_000), settled_rate=0.0001)) is False
    assert engine.funding == []


# --- margin and liquidation ---------------------------------------------------------------------------------------


def test_resting_orders_of_a_side_count_together():
    engine = an_engine("100000")  # leverage 3: notional up to 300,000
    for index in range(2):
        engine.place(limit(f"s{index}", "sell", "100100", "1"), 0)
    with pytest.raises(Rejected, match="insufficient margin"):
        engine.place(limit("s3", "sell", "100100", "1"), 0)
    engine.place(limit("b", "buy", "99900", "2.9"), 0)  # the other side has its own room


def test_an_order_that_shrinks_the_position_always_passes():
    engine = with_position("-1", "40000")
    engine.match(update(2, bar(130_000)))
    engine.place(limit("b", "buy", "129000", "1"), 0)
    with pytest.raises(Rejected, match="insufficient margin"):
        engine.place(limit("s", "sell", "131000", "0.1"), 0)


def test_a_short_is_liquidated_where_its_equity_meets_the_maintenance_margin():
    engine = with_position("-1", "10050", leverage=D(50))  # 50 go in fees
    engine.place(limit("s", "sell", "109000", "0.01"), 0)
    engine.place(limit("b", "buy", "90000", "0.01"), 0)
    engine.match(update(2, bar(100_000, 105_000, 100_000, 105_000)))
    assert not engine.account().liquidated
    engine.match(update(3, bar(105_000, 120_000, 104_000, 110_000)))
    [first, fill] = engine.fills
    assert first.client_order_id == "s"
    assert fill.client_order_id.startswith("autoclose")
    # after the second sale: free = 10,000 − fee + 100,000 + 0.01·109,000
    expected = (10_000 - float(first.fee) + 100_000 + 1090 + 50) / (1.01 * 1.005)
    assert float(fill.price) == pytest.approx(expected, abs=0.2)
    assert fill.fee == fill.price * fill.quantity * (D("0.0005") + D("0.005"))
    account = engine.account()
    assert account.liquidated
    assert account.position.quantity == 0
    assert engine.orders() == ()
    assert any("LIQUIDATED" in notice for notice in engine.notices)


def test_a_liquidation_beyond_which_mark_opens_closes_at_the_open_and_nothing_else_acts():
    engine = with_position("-1", "10050", leverage=D(50))
    engine.place(market("m", "sell", "0.01"), 0)
    engine.place(limit("s", "sell", "105000", "0.01"), 0)
    engine.match(update(2, bar(130_000), mark=bar(125_000)))
    assert names(engine) == [("autoclose1", D("125000.0"))]
    assert engine.account().wallet < 0  # no insurance fund


def test_a_stop_on_the_way_saves_the_position_from_liquidation():
    engine = with_position("-1", "10050", leverage=D(50))
    engine.place(stop("s", "buy", "105000", "1", reduce_only=True), 0)
    engine.match(update(2, bar(100_000, 120_000, 99_999, 120_000)))
    assert [name for name, _ in names(engine)] == ["s"]
    assert not engine.account().liquidated


def test_a_long_is_liquidated_below():
    engine = with_position("1", "10050", leverage=D(50))
    engine.match(update(2, bar(100_000, 100_100, 80_000, 85_000)))
    assert float(engine.fills[-1].price) == pytest.approx((90_000 - 50) / 0.995, abs=0.2)
    assert engine.account().liquidated


def test_a_deposit_moves_liquidation_away():
    engine = with_position("-1", "10050", leverage=D(50))
    engine.ledger.wallet.transfer(D(50_000))
    engine.match(update(2, bar(100_000, 120_000, 99_999, 120_000)))
    assert not engine.account().liquidated


def test_pairs_of_one_wallet_carry_each_other_and_fall_together():
    wallet = Wallet(D(12_000), D(12_000))
    rules = MatchingRules(slippage_bps=0.0, leverage=D(20))
    one = MatchingEngine(instrument(), wallet, rules)
    other = MatchingEngine(instrument(symbol="ETH/USDT:USDT", base="ETH"), wallet, rules)
    for engine, symbol in ((one, one.instrument.symbol), (other, other.instrument.symbol)):
        engine.match(update(0, bar(100_000)))
        engine.place(market("m", "sell", "1", symbol=symbol), 0)
        engine.match(update(1, bar(100_000)))
    with pytest.raises(Rejected, match="insufficient margin"):
        one.place(market("x", "sell", "0.5"), 0)
    assert one.match(update(2, bar(104_000))) is False
    one.match(update(3, bar(104_000)))
    assert not one.account().liquidated
    other.match(update(2, bar(107_000), settled_rate=None))
    assert other.account().liquidated  # 12,000 carry a loss of 4,000 here and 7,000 there no longer
    assert not one.account().liquidated


# --- the venue's doors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (limit("x", "sell", "100500", symbol="ETH/USDT:USDT"), "unknown symbol"),
        (limit("x", "sell", "100500", "0.0005"), "lot size"),
        (limit("x", "sell", "100500", "0"), "lot size"),
        (limit("x", "sell", "100500", "-1"), "lot size"),
        (limit("x", "sell", "100500", "NaN"), "lot size"),
        (limit("x", "sell", "100500", "1e40"), "lot size"),
        (limit("x", "sell", "100500.05"), "tick size"),
        (replace(limit("x", "sell", "100500"), price=None), "tick size"),
        (stop("x", "sell", "99000.01"), "tick size"),
        (replace(stop("x", "sell", "99000"), trigger_price=None), "tick size"),
    ],
)
def test_malformed_orders_are_rejected_with_the_reason(request_, reason):
    engine = an_engine()
    with pytest.raises(Rejected, match=reason):
        engine.place(request_, 0)
    assert engine.orders() == ()


def test_small_orders_are_rejected_unless_they_only_reduce():
    rules = replace(instrument(), min_quantity=D("0.002"), min_notional=D(500))
    engine = MatchingEngine(rules, Wallet(D(100_000)), MatchingRules())
    engine.match(update(0, bar(100_000)))
    with pytest.raises(Rejected, match="is under the minimum"):
        engine.place(market("x", "sell", "0.001"), 0)
    with pytest.raises(Rejected, match="notional"):
        engine.place(market("y", "sell", "0.004"), 0)
    engine.place(market("z", "sell", "0.006"), 0)
    engine.match(update(1, bar(100_000)))
    engine.place(market("r", "buy", "0.004", reduce_only=True), 0)


def test_nothing_is_accepted_before_there_is_a_price():
    engine = MatchingEngine(instrument(), Wallet(D(1000)), MatchingRules())
    with pytest.raises(Rejected, match="no market price"):
        engine.place(limit("x", "sell", "100500"), 0)


def test_a_cancelled_order_does_not_fill():
    engine = an_engine()
    engine.place(limit("s", "sell", "100100"), 0)
    assert engine.cancel("s") is True
    assert engine.cancel("s") is False
    assert engine.match(update(1, bar(100_000, 101_000, 99_000, 100_000))) is False
    assert engine.fills == []


def test_closed_orders_are_forgotten_oldest_first():
    book = Book(instrument(), 1)
    for index in range(KEPT_CLOSED + 1):
        book.close(book.add(limit(f"c{index}", "sell", "100100"), Kind.REST, 0), OrderStatus.CANCELLED)
    assert book.find("c0") is None
    assert book.find("c1") is not None
    assert len(book.closed) == KEPT_CLOSED


def test_a_restored_engine_goes_on_exactly_where_the_other_was():
    engine = with_position("-0.5", fill_rule="queue", queue_share=0.1)
    engine.place(limit("part", "sell", "100100", "0.3"), 5)
    engine.place(stop("stop", "sell", "99000", "0.2"), 6)
    engine.match(update(2, bar(100_000, 100_500, 100_000, 100_000, volume=1.0)))
    engine.place(limit("gone", "sell", "100900"), 7)
    engine.cancel("gone")
    engine.place(market("taker", "buy", "0.05"), 8)
    wallet = engine.ledger.wallet
    other = MatchingEngine(instrument(), Wallet(wallet.cash, wallet.deposits), engine.rules)
    other.restore(engine.state())
    assert other.orders() == engine.orders()
    assert other.account() == engine.account()
    assert other.find("gone") == engine.find("gone")
    following = [update(3, bar(100_000, 100_600, 98_500, 99_000)), update(4, bar(99_000, 101_000, 99_000, 101_000), settled_rate=0.0001)]
    for item in following:
        engine.match(item)
        other.match(item)
    assert other.account() == engine.account()
    assert other.orders() == engine.orders()
    assert [f.client_order_id for f in other.fills] == [f.client_order_id for f in engine.fills][-len(other.fills) :]
