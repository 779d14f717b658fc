"""One decision as a kernel: assess, curve, gap, ladder, plan, check, stop, send. The order of ``grid.decide`` and ``order_manager``."""

from __future__ import annotations

from alpha_pulse.backtest.compiled.check import passes, stop_quantity
from alpha_pulse.backtest.compiled.ladder import find_gap, lay_ladder, step_curve
from alpha_pulse.backtest.compiled.rejections import expire_rejections, is_refused, note_outcome
from alpha_pulse.backtest.compiled.risk import assess
from alpha_pulse.backtest.compiled.values import (
    GRID,
    GTC,
    HALTED,
    POST_ONLY,
    STOP,
    Records,
)
from alpha_pulse.backtest.compiled.venue import place, quantity_of, remove
from alpha_pulse.domain.instrument import least_lots
from alpha_pulse.hedging.grid.curve import ticks_at_or_above, ticks_at_or_below
from alpha_pulse.hedging.grid.stops import next_reference
from alpha_pulse.hedging.risk.stop import stop_trigger


def tick(p: Records, b: Records, run: Records) -> bool:
    """Decide on a bar and send; whether anything moved in memory but the high-water mark and what was sent."""
    s, curve = run.state[0], run.curve[0]
    was_latched, version, posture, floor, since_ms = s.stop_latched != 0, s.curve_version, s.posture, s.soft_floor, s.floor_since_ms
    volatility, factor, reference, first = s.volatility_held, s.volume_factor, s.stop_reference, s.ticks == 0
    assess(p, b, run)
    s.stop_filled = 0
    step_curve(p, b, run, was_latched and s.stop_latched == 0)
    s.stop_reference = next_reference(s.stop_reference, curve, s.stop_latched != 0)
    s.trigger = stop_trigger(s.stop_reference, s.stop_distance, p.inventory > 0.0)
    find_gap(p, b, run)
    wished_anew = _wish(p, b, run, lay_ladder(p, b, run))
    s.ticks += 1
    if wished_anew or not _settled(s):
        _approve(p, b, run)
    return bool(
        first
        or was_latched != (s.stop_latched != 0)
        or version != s.curve_version
        or posture != s.posture
        or floor != s.soft_floor
        or since_ms != s.floor_since_ms
        or volatility != s.volatility_held
        or factor != s.volume_factor
        or reference != s.stop_reference
    )


def _settled(s: Records) -> bool:
    """Whether the last decision needed nothing on the same orders, account, curve and trigger."""
    return bool(
        s.settled != 0
        and s.settled_trigger == s.trigger
        and s.settled_book == s.book_version
        and s.settled_account == s.account_version
        and s.settled_curve == s.curve_version
        and s.rejections == 0
    )


# --- what should be live ----------------------------------------------------------------------------------------------
def _wish(p: Records, b: Records, run: Records, new_levels: bool) -> bool:
    """The gap's order, then the grid, nearest to the price first; built again only when something in it moved."""
    s = run.state[0]
    s.crowded = 1 if s.levels > p.max_active_orders else 0
    has_gap = 1 if s.gap_lots > 0 else 0
    stands = (
        not new_levels
        and has_gap == 0
        and s.wished_gap == 0
        and s.wished_posture == s.posture
        and s.rejections == 0
        and s.wished_rejections == 0
        and s.crowded == 0
    )
    if stands and s.ticks > 0:
        return False
    s.wished_gap, s.wished_posture, s.wished_rejections = has_gap, s.posture, s.rejections
    s.wishes = 0
    if s.posture == HALTED:
        return True
    if has_gap:
        _add_wish(run, b.close_ms, s.gap_purpose, s.gap_sign, s.gap_tif, 0, s.gap_ticks, s.gap_lots, 0.0)
    _sort_levels(run, 0.5 * (b.bid + b.ask))
    taken = 0
    for k in range(s.levels):
        level = run.levels[k]
        if level.ticks <= 0 or level.lots < least_lots(level.ticks * p.tick, p.min_quantity, p.min_notional, p.lot):
            continue
        if taken < p.max_active_orders:
            taken += 1
            _add_wish(run, b.close_ms, GRID, level.sign, POST_ONLY, level.node, level.ticks, level.lots, level.away)
    return True


def _sort_levels(run: Records, mid: float) -> None:
    """Nearest to the price first, else as they were laid; an insertion sort, for both sides are nearly in order."""
    count = run.state[0].levels
    for k in range(count):
        run.levels[k].away = abs(run.levels[k].price - mid)
    for k in range(1, count):
        j = k
        while j > 0 and _comes_before(run.levels[j], run.levels[j - 1]):
            _swap(run.levels, j - 1, j)
            j -= 1


def _comes_before(a: Records, b: Records) -> bool:
    return bool(a.away < b.away or (a.away == b.away and a.laid < b.laid))


def _swap(rows: Records, a: int, b: int) -> None:
    """Exchange two levels."""
    first, second = rows[a], rows[b]
    first.sign, second.sign = second.sign, first.sign
    first.node, second.node = second.node, first.node
    first.ticks, second.ticks = second.ticks, first.ticks
    first.lots, second.lots = second.lots, first.lots
    first.laid, second.laid = second.laid, first.laid
    first.price, second.price = second.price, first.price
    first.away, second.away = second.away, first.away


def _add_wish(run: Records, now_ms: int, purpose: int, sign: int, tif: int, node: int, ticks: int, lots: int, away: float) -> None:
    """One wish more, unless the venue refused its like lately."""
    if is_refused(run, now_ms, purpose, sign, node):
        return
    s = run.state[0]
    wish = run.wishes[s.wishes]
    s.wishes += 1
    wish.purpose, wish.sign, wish.tif, wish.node, wish.ticks, wish.lots = purpose, sign, tif, node, ticks, lots
    wish.missing = 0
    wish.approved = 0
    wish.away = away


# --- plan and check ---------------------------------------------------------------------------------------------------
def _approve(p: Records, b: Records, run: Records) -> None:
    """Plan, check, lay the stop, send."""
    s = run.state[0]
    missing = _match_wishes(p, run)
    selling, buying = _live_lots(run, -1), _live_lots(run, 1)
    refused = 0
    for k in range(s.wishes):
        wish = run.wishes[k]
        wish.approved = 0
        if wish.missing == 0:
            continue
        if passes(p, b, run, wish, selling, buying):
            wish.approved = 1
            selling += wish.lots if wish.sign < 0 else 0
            buying += wish.lots if wish.sign > 0 else 0
        else:
            refused += 1
    stop_lots, stop_ticks, stop_stays, stop_refused = _plan_stop(p, b, run, selling, buying)
    s.lately_refused = refused + stop_refused
    s.refused += s.lately_refused
    cancels = _count_cancels(run, stop_stays)
    sent = cancels > 0 or missing > refused or stop_lots > 0
    if sent:
        _send(p, b, run, stop_lots, stop_ticks, stop_stays)
    s.settled = 1 if not sent and refused == 0 and stop_refused == 0 else 0
    s.settled_book, s.settled_account, s.settled_curve = s.book_version, s.account_version, s.curve_version
    s.settled_trigger = s.trigger


def _match_wishes(p: Records, run: Records) -> int:
    """Mark the orders that serve a wish, oldest first, and the wishes that none serves; how many those are."""
    s = run.state[0]
    missing = 0
    for k in range(s.orders):
        run.orders[k].keep = 0
    for k in range(s.wishes):
        wish = run.wishes[k]
        wish.missing = 1
        for j in range(s.orders):
            order = run.orders[j]
            if order.keep == 0 and _serves(p, order, wish):
                order.keep = 1
                wish.missing = 0
                break
        missing += wish.missing
    return missing


def _serves(p: Records, order: Records, wish: Records) -> bool:
    """Whether an open order does what is wanted, near enough to keep its place."""
    return bool(
        order.purpose == wish.purpose
        and order.sign == wish.sign
        and order.tif == wish.tif
        and order.node == wish.node
        and order.lots - order.filled == wish.lots
        and abs(order.ticks - wish.ticks) <= p.tolerance_ticks
    )


def _live_lots(run: Records, sign: int) -> int:
    """Lots of a side that stay live, the stop apart."""
    total = 0
    for k in range(run.state[0].orders):
        order = run.orders[k]
        if order.keep != 0 and order.sign == sign:
            total += order.lots - order.filled
    return total


# --- the stop ---------------------------------------------------------------------------------------------------------
def _plan_stop(p: Records, b: Records, run: Records, selling: int, buying: int) -> tuple[int, int, bool, int]:
    """(lots to place, their trigger, whether resting stops stay, refusals): the stop is planned last, for it covers what will rest."""
    s = run.state[0]
    long = p.inventory > 0.0
    lots, ticks = _desired_stop(p, b, s, buying if long else selling, selling if long else buying)
    if lots == 0:
        return 0, 0, False, 0
    sign = -1 if long else 1
    if is_refused(run, b.close_ms, STOP, sign, 0):
        return 0, 0, True, 0
    for k in range(s.orders):
        order = run.orders[k]
        if order.purpose == STOP and order.lots - order.filled == lots and abs(order.trigger_ticks - ticks) <= p.tolerance_ticks:
            order.keep = 2
            return 0, 0, False, 0
    room = abs(p.inventory_units + s.lots * p.lot_units) + (buying if long else selling) * p.lot_units
    if lots * p.lot_units > room:
        return 0, 0, True, 1
    return lots, ticks, False, 0


def _desired_stop(p: Records, b: Records, s: Records, unwinding: int, beside: int) -> tuple[int, int]:
    """Lots and trigger of the stop that should rest, as ``stops.desired_stop``; 0 lots: none."""
    long, mark = p.inventory > 0.0, b.mark_close
    if s.trigger <= 0.0 or (mark <= s.trigger if long else mark >= s.trigger):
        return 0, 0
    lots = int(stop_quantity(p, s, quantity_of(p, unwinding), quantity_of(p, beside)) / p.lot + 1e-7)
    if lots < least_lots(s.trigger, p.min_quantity, p.min_notional, p.lot):
        return 0, 0
    return lots, (ticks_at_or_above(s.trigger, p.tick) if long else ticks_at_or_below(s.trigger, p.tick))


# --- sending ----------------------------------------------------------------------------------------------------------
def _count_cancels(run: Records, stop_stays: bool) -> int:
    count = 0
    for k in range(run.state[0].orders):
        order = run.orders[k]
        count += 1 if order.keep == 0 and not (stop_stays and order.purpose == STOP) else 0
    return count


def _send(p: Records, b: Records, run: Records, stop_lots: int, stop_ticks: int, stop_stays: bool) -> None:
    """Cancel, then place: what closes a gap, the stop, the grid. A stop that is moved goes only when its successor is there."""
    s, now_ms = run.state[0], b.close_ms
    moves = stop_lots > 0
    _cancel(run, False)
    if not moves and not stop_stays:
        _cancel(run, True)
    expire_rejections(run, now_ms)
    for k in range(s.wishes):
        wish = run.wishes[k]
        if wish.approved != 0 and wish.purpose != GRID:
            _place_wish(p, b, run, wish)
    if moves:
        sign = -1 if p.inventory > 0.0 else 1
        accepted = place(p, b, run, STOP, sign, GTC, 0, 0, stop_lots, stop_ticks)
        s.sent_orders[STOP] += 1
        s.sent_lots[STOP] += stop_lots
        if accepted:
            run.orders[s.orders - 1].keep = 2
            _cancel(run, True)
        note_outcome(run, now_ms, STOP, sign, 0, accepted)
    for k in range(s.wishes):
        wish = run.wishes[k]
        if wish.approved != 0 and wish.purpose == GRID:
            _place_wish(p, b, run, wish)


def _place_wish(p: Records, b: Records, run: Records, wish: Records) -> None:
    s = run.state[0]
    accepted = place(p, b, run, wish.purpose, wish.sign, wish.tif, wish.node, wish.ticks, wish.lots, 0)
    s.sent_orders[wish.purpose] += 1
    s.sent_lots[wish.purpose] += wish.lots
    if accepted:
        run.orders[s.orders - 1].keep = 1
    note_outcome(run, b.close_ms, wish.purpose, wish.sign, wish.node, accepted)


def _cancel(run: Records, stops: bool) -> None:
    """Take out what the plan does not keep: the stops, or all else."""
    k = 0
    while k < run.state[0].orders:
        order = run.orders[k]
        if order.keep == 0 and (order.purpose == STOP) == stops:
            remove(run, k)
        else:
            k += 1
