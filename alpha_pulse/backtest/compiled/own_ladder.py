"""A grid calculator of the user's own, as a kernel: what a function of theirs writes down becomes the levels of the tick."""

from __future__ import annotations

import math
from typing import NamedTuple

from alpha_pulse.backtest.compiled.values import Records
from alpha_pulse.backtest.compiled.venue import entry_price, quantity_of
from alpha_pulse.hedging.common.order_ids import MOST_NODES
from alpha_pulse.hedging.grid.curve import ticks_at_or_above, ticks_at_or_below

_MOST_NODES = float(MOST_NODES)


class Stand(NamedTuple):
    """What a ladder may know of the position, under the names of ``PositionState``. Base units, quote units; signed quantities."""

    perpetual: float
    lowest: float  # sells count from here, buys from ``highest``: they differ while an order that closes a gap is under way
    highest: float
    inventory: float
    entry_price: float
    wallet: float
    stop_trigger: float  # 0 = no stop
    tick: float
    lot: float


def write_levels(market: Records, curve: Records, position: Stand, levels: Records) -> int:
    """The user's function stands here when the kernels are made: see ``build.kernels_for``."""
    raise NotImplementedError


def lay_own(p: Records, b: Records, run: Records) -> bool:
    """The levels that the user's function wants, rounded as ``plan.as_orders`` does; False while they are those of the tick before."""
    s = run.state[0]
    pending = s.gap_sign * s.gap_lots
    position = Stand(
        quantity_of(p, s.lots),
        quantity_of(p, s.lots + min(pending, 0)),
        quantity_of(p, s.lots + max(pending, 0)),
        p.inventory,
        entry_price(p, s),
        s.cash,
        s.trigger,
        p.tick,
        p.lot,
    )
    count = write_levels(b, run.curve[0], position, run.asked)
    if s.ticks > 0 and count == s.levels and _same(run, count):
        return False
    s.levels = count
    for k in range(count):
        _take(p, run, k)
    return True


def _same(run: Records, count: int) -> bool:
    """Whether every level is one that was asked for last."""
    for k in range(count):
        now, before = run.asked[k], run.asked_before[k]
        if now.sign != before.sign or now.price != before.price or now.quantity != before.quantity or now.node != before.node:
            return False
    return True


def _take(p: Records, run: Records, k: int) -> None:
    """One level in ticks and lots: sells rounded up, buys and quantities down; no ticks where it is none."""
    asked, before, level = run.asked[k], run.asked_before[k], run.levels[k]
    before.sign, before.price, before.quantity, before.node = asked.sign, asked.price, asked.quantity, asked.node
    level.sign = -1 if asked.sign < 0.0 else 1
    level.price, level.laid = asked.price, k
    level.ticks = level.lots = level.node = 0
    if not (0.0 < asked.price < math.inf and 0.0 <= asked.quantity < math.inf and abs(asked.node) <= _MOST_NODES):
        return
    level.node = int(asked.node)
    level.lots = int(asked.quantity / p.lot + 1e-7)
    level.ticks = ticks_at_or_above(asked.price, p.tick) if level.sign < 0 else ticks_at_or_below(asked.price, p.tick)
