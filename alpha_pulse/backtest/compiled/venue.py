"""The simulated venue as a kernel: one pair's orders against one bar, in the order of ``execution.matching.engine``.

Where something happens, what a taker pays, where liquidation waits and what margin carries are that package's own functions; here is
only the walk from one event to the next, on arrays in place of objects. Money is float: the replay's is Decimal.
"""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.values import (
    FLOOR,
    IOC,
    POST_ONLY,
    REST,
    STOP,
    STOPPED,
    TAKE,
    Records,
    Tiers,
)
from alpha_pulse.execution.matching.kernel import (
    NEVER,
    TICK_TOLERANCE,
    crosses,
    crossing,
    low_first,
    queue_lots,
    reach_price,
    takeable,
    taker_price,
    ticks_against,
)
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY, affordable, liquidation_bounds

_PENALTY = float(LIQUIDATION_PENALTY)
_UNLIMITED = 1 << 62
_LAST_LEG = 2


def quantity_of(p: Records, lots: int) -> float:
    """Lots as base units: the float nearest to the exact quantity."""
    return float(lots * p.lot_num / p.lot_den)


def price_of(p: Records, ticks: int) -> float:
    """Ticks as quote units: the float nearest to the exact price."""
    return float(ticks * p.tick_num / p.tick_den)


def entry_price(p: Records, s: Records) -> float:
    """Average entry price; 0 when flat."""
    return float(s.cost / quantity_of(p, s.lots)) if s.lots != 0 else 0.0


def tiers_of(p: Records) -> Tiers:
    """The maintenance tiers as the live path reads them."""
    return (
        _tier(p, 0), _tier(p, 1), _tier(p, 2), _tier(p, 3), _tier(p, 4), _tier(p, 5),
        _tier(p, 6), _tier(p, 7), _tier(p, 8), _tier(p, 9), _tier(p, 10), _tier(p, 11),
    )  # fmt: skip


def _tier(p: Records, k: int) -> tuple[float, float, float]:
    return p.tiers[k, 0], p.tiers[k, 1], p.tiers[k, 2]


def working_lots(run: Records, sign: int) -> int:
    """Lots of one side that would enlarge a position if they filled: no stops."""
    total = 0
    for k in range(run.state[0].orders):
        order = run.orders[k]
        if order.sign == sign and order.kind != STOPPED:
            total += order.lots - order.filled
    return total


def affords(p: Records, run: Records, sign: int, lots: int, price: float, mark: float) -> bool:
    """Whether margin carries ``lots`` more on a side, all working orders of that side included, at ``price``."""
    s = run.state[0]
    worst = s.lots + sign * (lots + working_lots(run, sign))
    equity = s.cash - s.cost + s.lots * p.lot * mark
    return affordable(worst * p.lot, s.lots * p.lot, price, equity, p.leverage_limit, 0.0)


# --- the doors --------------------------------------------------------------------------------------------------------
def place(
    p: Records, b: Records, run: Records, purpose: int, sign: int, tif: int, node: int, ticks: int, lots: int, trigger_ticks: int
) -> bool:
    """Take an order in, to act from the next bar on; False if the venue rejects it."""
    s = run.state[0]
    is_stop = purpose == STOP
    price = price_of(p, trigger_ticks if is_stop else ticks)
    mark = b.mark_close
    if price <= 0.0 or lots < p.min_quantity_lots or lots <= 0 or quantity_of(p, lots) * price < p.min_notional:
        return False
    kind = REST
    if is_stop:
        if sign * (mark - price) >= 0.0:
            return False
        kind = STOPPED
    else:
        takes = crosses(sign, price, b.ask if sign > 0 else b.bid, p.tick)
        if (takes and tif == POST_ONLY) or not affords(p, run, sign, lots, max(mark, price), mark):
            return False
        if takes or tif == IOC:
            kind = TAKE
    _add(p, run, kind, purpose, sign, tif, node, ticks, lots, trigger_ticks)
    s.book_version += 1
    s.stale = 1
    return True


def _add(
    p: Records, run: Records, kind: int, purpose: int, sign: int, tif: int, node: int, ticks: int, lots: int, trigger_ticks: int
) -> None:
    s = run.state[0]
    order = run.orders[s.orders]
    s.orders += 1
    s.sequence += 1
    order.sequence = s.sequence
    order.kind = kind
    order.sign = sign
    order.purpose = purpose
    order.tif = tif
    order.node = node
    order.ticks = ticks
    order.trigger_ticks = trigger_ticks
    order.lots = lots
    order.filled = 0
    order.keep = 0
    order.reach = reach_price(sign, ticks, p.tick, p.beyond)
    order.trigger = reach_price(-sign, trigger_ticks, p.tick, 0)


def remove(run: Records, k: int) -> None:
    """Take an order out; those behind it keep their sequence."""
    s = run.state[0]
    s.orders -= 1
    for j in range(k, s.orders):
        run.orders[j] = run.orders[j + 1]
    s.book_version += 1
    s.stale = 1


# --- the books --------------------------------------------------------------------------------------------------------
def trade(p: Records, s: Records, lots: int, price: float, fee: float) -> None:
    """Book a trade of signed ``lots``; average-entry accounting, as ``matching.ledger.Ledger.trade``."""
    held = s.lots
    s.lots = held + lots
    realized = 0.0
    if held == 0 or (held > 0) == (lots > 0):
        s.cost += quantity_of(p, lots) * price
    elif abs(lots) >= abs(held):
        realized = quantity_of(p, held) * price - s.cost
        s.cost = quantity_of(p, s.lots) * price
    else:
        released = s.cost * -lots / held
        realized = quantity_of(p, -lots) * price - released
        s.cost -= released
    s.realized += realized
    s.fees += fee
    s.cash += realized - fee
    s.account_version += 1
    s.stale = 1


def _note_fill(
    p: Records,
    b: Records,
    run: Records,
    sign: int,
    ticks: int,
    lots: int,
    fee: float,
    reference: float,
    taker: int,
    purpose: int,
    node: int,
) -> None:
    s = run.state[0]
    s.turnover += quantity_of(p, lots) * price_of(p, ticks)
    s.maker_fills += 1 - taker
    fill = run.fills[s.bar_fills]
    fill.row, fill.ts_ms = b.row, b.close_ms
    fill.sign, fill.ticks, fill.lots = sign, ticks, lots
    fill.purpose, fill.node, fill.taker, fill.liquidation = purpose, node, taker, 0
    fill.price, fill.quantity = price_of(p, ticks), quantity_of(p, lots)
    fill.fee, fill.reference = fee, reference
    s.bar_fills += 1
    s.fills += 1


def _fill(p: Records, b: Records, run: Records, k: int, lots: int, ticks: int, reference: float, taker: int) -> None:
    """Book a fill of an open order, and close the order when nothing is left of it."""
    s, order = run.state[0], run.orders[k]
    sign, purpose = order.sign, order.purpose
    fee = price_of(p, ticks) * quantity_of(p, lots) * (p.taker_fee if taker else p.maker_fee)
    _note_fill(p, b, run, sign, ticks, lots, fee, reference, taker, purpose, order.node)
    if purpose == STOP:
        s.stop_filled = 1
        s.stops_fired += 1
    order.filled += lots
    s.book_version += 1
    if order.filled == order.lots:
        remove(run, k)
    else:
        s.partial_fills += 1
    trade(p, s, sign * lots, price_of(p, ticks), fee)


def settle(p: Records, b: Records, run: Records) -> None:
    """Book the funding that settles at the bar's open, on the position held before it."""
    s = run.state[0]
    s.settled_row = b.row
    quantity = quantity_of(p, s.lots)
    amount = -quantity * b.mark_open * b.settled
    s.funding += amount
    s.cash += amount
    s.account_version += 1
    s.stale = 1
    payment = run.funding[0]
    payment.row, payment.ts_ms = b.row, b.open_ms
    payment.rate, payment.mark = b.settled, b.mark_open
    payment.quantity, payment.amount = quantity, amount
    s.bar_fundings = 1
    s.fundings += 1


# --- a bar ------------------------------------------------------------------------------------------------------------
def refresh(p: Records, run: Records) -> None:
    """Find the prices at which something happens, if anything changed since they were found."""
    s = run.state[0]
    if s.stale == 0:
        return
    s.buy_reach = s.stop_low = -math.inf
    s.sell_reach = s.stop_high = math.inf
    s.takers = 0
    for k in range(s.orders):
        order = run.orders[k]
        if order.kind == TAKE:
            s.takers += 1
        elif order.kind == REST:
            if order.sign > 0:
                s.buy_reach = max(s.buy_reach, order.reach)
            else:
                s.sell_reach = min(s.sell_reach, order.reach)
        elif order.sign > 0:
            s.stop_high = min(s.stop_high, order.trigger)
        else:
            s.stop_low = max(s.stop_low, order.trigger)
    low, high = liquidation_bounds(s.cash - s.cost, quantity_of(p, s.lots), tiers_of(p))
    s.liquidation_low, s.liquidation_high = low, high
    if s.takers:
        s.buy_reach = math.inf
    s.mark_low = max(low, s.stop_low)
    s.mark_high = min(high, s.stop_high)
    s.stale = 0


def match(p: Records, b: Records, run: Records) -> None:
    """Run one bar through the book."""
    s = run.state[0]
    refresh(p, run)
    if s.lots != 0 and not math.isnan(b.settled) and s.settled_row != b.row:
        settle(p, b, run)
    elif not _is_reached(s, b.low, b.high, b.mark_low, b.mark_high):
        return
    s.budget = queue_lots(b.volume, p.queue_share, p.lot) if p.queue_share > 0.0 else _UNLIMITED
    refresh(p, run)
    if not s.liquidation_low < b.mark_open < s.liquidation_high:
        _liquidate(p, b, run, b.mark_open)
    _take_all(p, b, run)
    _walk(p, b, run)


def _is_reached(s: Records, low: float, high: float, mark_low: float, mark_high: float) -> bool:
    """Whether prices between these touch an order, a trigger or liquidation; the bounds must be fresh."""
    return bool(low <= s.buy_reach or high >= s.sell_reach or mark_low <= s.mark_low or mark_high >= s.mark_high)


def _take_all(p: Records, b: Records, run: Records) -> None:
    """Takers placed before the bar, oldest first, at its open; what cannot be taken of them is cancelled."""
    s = run.state[0]
    k = 0
    while k < s.orders:
        order = run.orders[k]
        if order.kind != TAKE:
            k += 1
            continue
        sequence, before = order.sequence, s.orders
        lots = _takeable_lots(p, b, order)
        if lots > 0:
            ticks = _taker_ticks(p, b, order.sign, lots, b.open)
            ticks = order.sign * min(order.sign * ticks, order.sign * order.ticks)
            _fill(p, b, run, k, lots, ticks, b.open, 1)
        if s.orders == before and run.orders[k].sequence == sequence:
            remove(run, k)


def _takeable_lots(p: Records, b: Records, order: Records) -> int:
    depth = b.ask_depth if order.sign > 0 else b.bid_depth
    half_spread = 0.5 * (b.ask - b.bid)
    most = takeable(order.sign, b.open, half_spread, order.ticks * p.tick, depth, p.slippage_bps)
    left = int(order.lots - order.filled)
    return left if math.isinf(most) else min(left, int(most / p.lot + TICK_TOLERANCE))


def _taker_ticks(p: Records, b: Records, sign: int, lots: int, price: float) -> int:
    depth = b.ask_depth if sign > 0 else b.bid_depth
    half_spread = 0.5 * (b.ask - b.bid)
    return ticks_against(sign, taker_price(sign, price, half_spread, lots * p.lot, depth, p.slippage_bps), p.tick)


def _walk(p: Records, b: Records, run: Records) -> None:
    """Along the assumed path: open, nearer extreme, other extreme, close."""
    s = run.state[0]
    first = low_first(b.open, b.high, b.low)
    at, mark_at = b.open, b.mark_open
    for leg in range(3):
        if leg == _LAST_LEG:
            end, mark_end = b.close, b.mark_close
        elif first == (leg == 0):
            end, mark_end = b.low, b.mark_low
        else:
            end, mark_end = b.high, b.mark_high
        while True:
            refresh(p, run)
            if not _is_reached(s, min(at, end), max(at, end), min(mark_at, mark_end), max(mark_at, mark_end)):
                break
            where, k = _next_event(run, at, end, mark_at, mark_end)
            if where == NEVER:
                break
            at += where * (end - at)
            mark_at += where * (mark_end - mark_at)
            _happen(p, b, run, k, at, mark_at)
        at, mark_at = end, mark_end


def _next_event(run: Records, at: float, end: float, mark_at: float, mark_end: float) -> tuple[float, int]:
    """Where on the rest of a leg the next thing happens, and to which order (−1: liquidation).

    At one place: liquidation, then stops, then limit orders, the best price first, then the oldest.
    """
    s = run.state[0]
    where = min(crossing(mark_at, mark_end, s.liquidation_low, -1), crossing(mark_at, mark_end, s.liquidation_high, 1))
    rank, better, sequence, found = -1, 0.0, 0, -1
    for k in range(s.orders):
        order = run.orders[k]
        if order.kind == STOPPED:
            place_, rank_, better_ = crossing(mark_at, mark_end, order.trigger, order.sign), 0, order.sign * order.trigger
        elif order.kind == REST and s.budget > 0:
            place_, rank_, better_ = crossing(at, end, order.reach, -order.sign), 1, -float(order.sign * order.ticks)
        else:
            continue
        if place_ != NEVER and (place_, rank_, better_, order.sequence) < (where, rank, better, sequence):
            where, rank, better, sequence, found = place_, rank_, better_, order.sequence, k
    return where, found


def _happen(p: Records, b: Records, run: Records, k: int, at: float, mark_at: float) -> None:
    s = run.state[0]
    if k < 0:
        _liquidate(p, b, run, mark_at)
        return
    order = run.orders[k]
    left = order.lots - order.filled
    if order.kind == REST:
        lots = min(left, s.budget)
        s.budget -= lots
        _fill(p, b, run, k, lots, order.ticks, price_of(p, order.ticks), 0)
        return
    ticks = _taker_ticks(p, b, order.sign, left, at)
    if affords(p, run, order.sign, left, max(ticks * p.tick, mark_at), mark_at):
        _fill(p, b, run, k, left, ticks, at, 1)
    else:
        remove(run, k)


def _liquidate(p: Records, b: Records, run: Records, mark: float) -> None:
    """Close everything at ``mark``, cancel every order."""
    s = run.state[0]
    s.orders = 0
    s.book_version += 1
    held = s.lots
    sign = -1 if held > 0 else 1
    ticks = ticks_against(sign, mark, p.tick)
    s.liquidated = 1
    s.liquidations += 1
    fee = price_of(p, ticks) * quantity_of(p, abs(held)) * (p.taker_fee + _PENALTY)
    _note_fill(p, b, run, sign, ticks, abs(held), fee, mark, 1, FLOOR, 0)
    run.fills[s.bar_fills - 1].liquidation = 1
    trade(p, s, -held, price_of(p, ticks), fee)
