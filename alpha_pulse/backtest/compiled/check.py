"""The last gate as a kernel: whether an order of the plan may be sent, as ``risk.check``; exact, in whole lots and units."""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.values import DELTA_REDUCE, GRID, HALTED, NORMAL, Records
from alpha_pulse.backtest.compiled.venue import entry_price, price_of, quantity_of
from alpha_pulse.hedging.risk.stop import stop_numbers

_SLACK = 1e-3  # of a lot: what floats leave of an exact decimal, as ``check._slack``


def passes(p: Records, b: Records, run: Records, wish: Records, selling: int, buying: int) -> bool:
    """The risk check of one order beside what is live already, as ``check.check_plan``; exact, in whole lots and units."""
    s = run.state[0]
    after = s.lots + (buying + wish.lots if wish.sign > 0 else -selling - wish.lots)
    return (
        wish.ticks > 0
        and _fits_posture(p, s, wish, buying if wish.sign > 0 else selling)
        and _fits_caps(p, b, s, wish, after)
        and _fits_floor(p, s, wish, after)
        and _fits_touch(p, b, wish)
        and _spares_stop(p, s, wish, (selling if wish.sign < 0 else buying) + wish.lots)
    )


def _fits_posture(p: Records, s: Records, wish: Records, already: int) -> bool:
    if s.posture == NORMAL:
        return True
    if s.posture == HALTED:
        return False
    exposure = s.lots * p.lot_units + (p.inventory_units if s.posture == DELTA_REDUCE else 0)
    shrinks = (exposure > 0) == (wish.sign < 0) and exposure != 0
    return bool(shrinks and (already + wish.lots) * p.lot_units <= abs(exposure))


def _fits_caps(p: Records, b: Records, s: Records, wish: Records, after: int) -> bool:
    side = 1 if p.inventory > 0.0 else -1
    if after * side > 0 and abs(after) > (abs(s.lots) if s.lots * side > 0 else 0):
        return False  # on the inventory's own side: that is no hedge
    if (wish.sign < 0) == (after < 0) and abs(after) > abs(s.lots):
        price = max(b.mark_close, price_of(p, wish.ticks))
        if quantity_of(p, abs(after)) * price > p.leverage_limit * s.equity:
            return False
    if math.isinf(s.hard_cap):
        return True
    limit = s.hard_cap / p.lot + _SLACK
    return bool(after >= -limit if wish.sign < 0 else after <= limit)


def _fits_floor(p: Records, s: Records, wish: Records, after: int) -> bool:
    """Unwinding may not undercut the floor, except for margin."""
    unwinds = (wish.sign > 0) == (p.inventory > 0.0)
    if s.floor <= 0.0 or not unwinds or not math.isinf(s.reduce_to):
        return True
    least = min(s.floor * abs(p.inventory), s.hard_cap) / p.lot - _SLACK
    return bool((-after if p.inventory > 0.0 else after) >= least)


def _fits_touch(p: Records, b: Records, wish: Records) -> bool:
    if wish.purpose != GRID:
        return True
    price = price_of(p, wish.ticks)
    return bool(price > b.bid if wish.sign < 0 else price < b.ask)


def _spares_stop(p: Records, s: Records, wish: Records, beside: int) -> bool:
    """The stop's margin is reserved: no grid order on its side may make it smaller."""
    long = p.inventory > 0.0
    if wish.purpose != GRID or s.trigger <= 0.0 or (wish.sign < 0) != long:
        return True
    without = stop_quantity(p, s, 0.0, 0.0)
    kept = stop_quantity(p, s, 0.0, quantity_of(p, beside))
    return bool(kept >= without - p.lot * _SLACK)


def stop_quantity(p: Records, s: Records, unwinding: float, resting: float) -> float:
    """What the stop would carry, base units, beside so many ``resting`` of its own side."""
    position = quantity_of(p, s.lots)
    quantity, _, _ = stop_numbers(
        p.inventory, position, unwinding, s.trigger, s.cash, entry_price(p, s), p.leverage, p.most, resting, p.leverage_limit
    )
    return quantity
