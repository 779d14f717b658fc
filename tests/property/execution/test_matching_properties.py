"""What must hold for any orders on any market."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.orders import Liquidity, OrderStatus, OrderType, TimeInForce
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.matching import MatchingEngine, MatchingRules, Wallet
from alpha_pulse.testing import bar, instrument, limit, market, stop, update

D = Decimal
TICK_ONE = instrument(tick_size=D(1))
EXAMPLES = settings(max_examples=120, deadline=None)


@st.composite
def bars(draw, low=9_900, high=10_100):
    prices = sorted(draw(st.lists(st.integers(low, high), min_size=4, max_size=4)))
    opened, closed = draw(st.permutations(prices[1:3]))
    if draw(st.booleans()):  # now and then open and close are the extremes
        opened, closed = draw(st.permutations([prices[0], prices[3]]))
    return (float(opened), float(prices[3]), float(prices[0]), float(closed))


@st.composite
def placements(draw):
    kind = draw(st.sampled_from(["limit", "gtc", "ioc", "market", "stop", "reduce", "cancel"]))
    side = draw(st.sampled_from(["buy", "sell"]))
    price = str(draw(st.integers(9_900, 10_100)))
    quantity = str(D(draw(st.integers(1, 400))) / 1000)
    return kind, side, price, quantity


STEPS = st.lists(
    st.tuples(bars(), bars(), st.lists(placements(), max_size=4), st.sampled_from([None, 0.0001, -0.000375, 0.00071234567])), max_size=12
)


def request(name, kind, side, price, quantity):
    if kind == "market":
        return market(name, side, quantity)
    if kind == "stop":
        return stop(name, side, price, quantity)
    if kind == "reduce":
        return limit(name, side, price, quantity, reduce_only=True, time_in_force=TimeInForce.GTC)
    force = {"limit": TimeInForce.POST_ONLY, "gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC}[kind]
    return limit(name, side, price, quantity, time_in_force=force)


def carry_out(engine, name, placement):
    kind, *rest = placement
    if kind == "cancel":
        for order in engine.orders()[:1]:
            engine.cancel(order.client_order_id)
        return
    try:
        engine.place(request(name, kind, *rest), 0)
    except Rejected:
        assert engine.find(name) is None


def an_engine(cash, rule, leverage=100):
    rules = MatchingRules(fill_rule=rule, queue_share=0.001, slippage_bps=3.0, leverage=D(leverage))
    engine = MatchingEngine(TICK_ONE, Wallet(D(cash), D(cash)), rules)
    engine.match(update(0, bar(10_000)))
    return engine


def play(engine, steps, watch=None):
    for index, (perp, mark, orders, rate) in enumerate(steps, start=1):
        for number, placement in enumerate(orders):
            carry_out(engine, f"o{index}n{number}", placement)
        item = update(index, bar(*perp), mark=bar(*mark), settled_rate=rate, bid=perp[3] - 1.0, ask=perp[3] + 1.0)
        known = len(engine.fills)
        engine.match(item)
        if watch is not None:
            watch(item, engine.fills[known:])


RULES = st.sampled_from(["touch", "through", "queue"])


@EXAMPLES
@given(cash=st.integers(5, 500), rule=RULES, steps=STEPS)
def test_money_is_conserved_to_the_last_digit(cash, rule, steps):
    engine = an_engine(cash, rule)
    play(engine, steps)
    traded = sum((-f.side.sign * f.quantity * f.price for f in engine.fills), D(0))
    position = sum((f.side.sign * f.quantity for f in engine.fills), D(0))
    fees = sum((f.fee for f in engine.fills), D(0))
    funding = sum((p.amount for p in engine.funding), D(0))
    account = engine.account()
    assert account.position.quantity == position
    assert (account.fees_paid, account.funding_received) == (fees, funding)
    assert account.wallet == account.deposits + account.realized_pnl + funding - fees
    assert account.wallet - engine.ledger.cost == cash + traded + funding - fees  # equity at any price, less F·P


@EXAMPLES
@given(rule=RULES, steps=STEPS)
def test_every_maker_fill_was_possible_on_its_bar_and_no_taker_did_better_than_the_bar(rule, steps):
    beyond = 0 if rule == "touch" else 1

    def watch(item, fills):
        for fill in fills:
            sign = fill.side.sign
            if fill.liquidity is Liquidity.MAKER:
                reached = item.perp.low if sign > 0 else item.perp.high
                assert sign * (float(fill.price) - reached) >= beyond
            elif not fill.client_order_id.startswith("autoclose"):
                assert item.perp.low <= float(fill.reference_price) <= item.perp.high
                assert sign * (fill.price - fill.reference_price) >= 0

    play(an_engine(200, rule), steps, watch)


@EXAMPLES
@given(rule=RULES, steps=STEPS)
def test_no_order_fills_twice_over_and_a_fired_stop_never_again(rule, steps):
    engine = an_engine(200, rule)
    play(engine, steps)
    filled = {}
    for fill in engine.fills:
        filled[fill.client_order_id] = filled.get(fill.client_order_id, D(0)) + fill.quantity
        assert fill.quantity > 0
    for name, quantity in filled.items():
        order = engine.find(name)
        if order is None:
            assert name.startswith("autoclose")
            continue
        assert order.filled == quantity <= order.request.quantity
        if order.request.type is OrderType.STOP_MARKET:
            assert order.status is not OrderStatus.OPEN
            assert sum(f.client_order_id == name for f in engine.fills) == 1


@EXAMPLES
@given(rule=RULES, steps=STEPS)
def test_the_queue_never_gives_more_than_its_share_and_reduce_only_never_turns_a_position(rule, steps):
    engine = an_engine(200, rule)
    position = D(0)

    def watch(item, fills):
        nonlocal position
        made = sum((f.quantity for f in fills if f.liquidity is Liquidity.MAKER), D(0))
        if rule == "queue":
            assert made <= D(str(item.perp.volume)) * D("0.001")
        for fill in fills:
            order = engine.find(fill.client_order_id)
            after = position + fill.side.sign * fill.quantity
            if order is not None and order.request.reduce_only:
                assert abs(after) < abs(position)
                assert after * position >= 0
            position = after

    play(engine, steps, watch)


@EXAMPLES
@given(cash=st.integers(5, 500), rule=RULES, steps=STEPS, cut=st.integers(0, 12))
def test_a_restart_anywhere_changes_nothing(cash, rule, steps, cut):
    straight, first = an_engine(cash, rule), an_engine(cash, rule)
    play(straight, steps)
    play(first, steps[:cut])
    wallet = first.ledger.wallet
    second = MatchingEngine(TICK_ONE, Wallet(wallet.cash, wallet.deposits), first.rules)
    second.restore(first.state())
    second.fills.extend(first.fills)
    for index, (perp, mark, orders, rate) in enumerate(steps[cut:], start=cut + 1):
        for number, placement in enumerate(orders):
            carry_out(second, f"o{index}n{number}", placement)
        second.match(update(index, bar(*perp), mark=bar(*mark), settled_rate=rate, bid=perp[3] - 1.0, ask=perp[3] + 1.0))
    assert second.fills == straight.fills
    assert second.account() == straight.account()
    assert second.orders() == straight.orders()


def naive_fills(orders, bar_, fill_beyond):
    """A second opinion: walk the bar tick by tick. No margin, no spread, last = mark."""
    opened, high, low, close = (int(v) for v in bar_)
    turns = [low, high] if opened - low <= high - opened else [high, low]
    visited, at = [opened], opened
    for target in [*turns, close]:
        step = 1 if target > at else -1
        visited += list(range(at + step, target + step, step))
        at = target
    result = []
    for price in visited:
        stops = [o for o in orders if o[0] == "stop" and (price >= o[2] if o[1] == "buy" else price <= o[2])]
        sign = {"buy": 1, "sell": -1}
        for order in sorted(stops, key=lambda o: (sign[o[1]] * o[2], o[3])):
            result.append((order[3], price))
            orders.remove(order)
        limits = [o for o in orders if o[0] == "limit" and (price <= o[2] - fill_beyond if o[1] == "buy" else price >= o[2] + fill_beyond)]
        for order in sorted(limits, key=lambda o: (-sign[o[1]] * o[2], o[3])):
            result.append((order[3], order[2]))
            orders.remove(order)
    return result


@EXAMPLES
@given(
    rule=st.sampled_from(["touch", "through"]),
    orders=st.lists(
        st.tuples(st.sampled_from(["limit", "stop"]), st.sampled_from(["buy", "sell"]), st.integers(9_900, 10_100)), max_size=8
    ),
    walked=st.lists(bars(), min_size=1, max_size=4),
)
def test_the_engine_fills_what_walking_every_tick_fills(rule, orders, walked):
    engine = MatchingEngine(TICK_ONE, Wallet(D(10**9)), MatchingRules(fill_rule=rule, slippage_bps=0.0))
    engine.match(update(0, bar(10_000), bid=9_999, ask=10_001))
    accepted = []
    for number, (kind, side, price) in enumerate(orders):
        make = limit if kind == "limit" else stop
        try:
            engine.place(make(str(number), side, str(price)), 0)
        except Rejected:
            continue
        accepted.append((kind, side, price, number))
    expected = []
    for index, prices in enumerate(walked, start=1):
        expected += naive_fills(accepted, prices, 0 if rule == "touch" else 1)
        engine.match(update(index, bar(*prices), bid=prices[3], ask=prices[3]))
    assert [(int(f.client_order_id), int(f.price)) for f in engine.fills] == expected


def test_a_grid_of_hundreds_of_bars_ends_where_its_fills_say():
    engine = an_engine(5_000, "through")
    for index in range(1, 400):
        swing = 60 if index % 2 else -60
        carry_out(engine, f"s{index}", ("limit", "sell", str(10_030 + index % 7), "0.013"))
        carry_out(engine, f"b{index}", ("limit", "buy", str(9_970 - index % 5), "0.013"))
        low, high = min(10_000, 10_000 + swing), max(10_000, 10_000 + swing)
        rate = 0.0001 if index % 8 == 0 else None
        engine.match(update(index, bar(10_000, high, low, 10_000), settled_rate=rate))
    account = engine.account()
    assert len(engine.fills) > 300
    assert account.wallet == 5_000 + account.realized_pnl + account.funding_received - account.fees_paid
    assert account.fees_paid == sum(f.fee for f in engine.fills)
