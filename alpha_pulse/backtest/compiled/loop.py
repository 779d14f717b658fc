"""The loop over the bars: match, decide, value, and pass the quiet ones. It stops where a buffer is full and goes on from there."""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.quiet import close_drawdown, find_quiet, is_quiet, pass_quiet, said_at, value_bars
from alpha_pulse.backtest.compiled.tick import tick
from alpha_pulse.backtest.compiled.values import NORMAL, Columns, Notes, Records
from alpha_pulse.backtest.compiled.venue import entry_price, match, quantity_of, settle


def start(p: Records, b: Records, run: Records) -> None:
    """Credit the wallet at the first bar: with what is given, or with the inventory's value."""
    s = run.state[0]
    s.cash = abs(p.inventory) * b.reference if math.isnan(p.wallet) else p.wallet
    s.wallet_start = s.cash
    s.volume_factor = 1.0
    s.cap = math.inf
    s.stale = 1
    s.level_set = s.settled_row = -1
    s.nav_start = s.cash + p.inventory * b.reference
    s.peak = s.trough = s.nav_start


def advance(params: Records, m: Columns, books: Records, notes: Notes, first: int, last: int, skips: bool) -> int:
    """Run bars ``first`` to ``last`` − 1; the first bar not run. ``skips``: pass quiet bars without deciding on each."""
    p, run = params[0], books[0]
    s, q = run.state[0], run.quiet[0]
    if first == 0:
        start(p, m.bars[0], run)
    i = first
    while i < last:
        if q.on != 0:
            i = pass_quiet(p, m, i, last, run, notes.path)
            if i >= last:
                break
        if _is_full(s, run, notes):
            break
        b = m.bars[i]
        _look_up(m.level_sets, b.level_set, run)
        s.sized, s.tilted = said_at(m.sized, i), said_at(m.tilted, i)
        if _only_settles(p, b, run):
            reached = pass_quiet(p, m, i, last, run, notes.path)
            if reached > i:
                _note(p, b, run, notes)
                i = reached
                continue
        match(p, b, run)
        q.on = q.watches_nav = 0
        moved = tick(p, b, run)
        value_bars(p, m.mark, m.reference, i, i + 1, run, notes.path)
        if skips and not moved:
            find_quiet(p, b, run)
        _note(p, b, run, notes)
        i += 1
    close_drawdown(run)
    return i


def _look_up(level_sets: Records, level_set: int, run: Records) -> None:
    """The supports and resistances that a bar names."""
    s = run.state[0]
    if s.level_set != level_set:
        s.level_set = level_set
        run.levels_known[0] = level_sets[level_set]


def _only_settles(p: Records, b: Records, run: Records) -> bool:
    """Whether all that a bar brings is funding: booked, and the last decision stands with the new cash too. A stop is sized by cash."""
    s, q = run.state[0], run.quiet[0]
    if q.on == 0 or s.lots == 0 or math.isnan(b.settled) or s.settled_row == b.row or s.trigger > 0.0 or not is_quiet(b, s.tilted, q):
        return False
    settle(p, b, run)
    find_quiet(p, b, run)
    return bool(q.on != 0 and is_quiet(b, s.tilted, q))


def _is_full(s: Records, run: Records, notes: Notes) -> bool:
    """Whether what the next bar may note has no room; without buffers nothing is noted."""
    if len(notes.fills) == 0:
        return False
    return bool(
        s.fills + len(run.fills) > len(notes.fills) or s.stretches + 1 > len(notes.stretches) or s.fundings + 1 > len(notes.funding)
    )


def _note(p: Records, b: Records, run: Records, notes: Notes) -> None:
    """Write down what the bar brought."""
    s = run.state[0]
    if len(notes.fills) > 0:
        for k in range(s.bar_fills):
            notes.fills[s.fills - s.bar_fills + k] = run.fills[k]
        if s.bar_fundings != 0:
            notes.funding[s.fundings - 1] = run.funding[0]
        _note_stretch(p, b, run, notes.stretches)
    s.bar_fills = s.bar_fundings = 0


def _note_stretch(p: Records, b: Records, run: Records, stretches: Records) -> None:
    """What stands still from this bar on, if it moved."""
    s, curve = run.state[0], run.curve[0]
    position = quantity_of(p, s.lots)
    latched = 1 if s.stop_latched != 0 or s.drawdown_latched != 0 else 0
    if s.stretches > 0:
        last = stretches[s.stretches - 1]
        if (
            last.position == position
            and last.wallet == s.cash
            and last.ratio == curve.ratio
            and last.floor == curve.floor
            and last.anchor == curve.anchor
            and last.spacing == curve.spacing
            and last.cap == curve.max_abs_position
            and (last.posture == NORMAL) == (s.posture == NORMAL)
            and last.latched == latched
        ):
            return
    fresh = stretches[s.stretches]
    s.stretches += 1
    fresh.row = b.row
    fresh.position, fresh.entry, fresh.wallet = position, entry_price(p, s), s.cash
    fresh.ratio, fresh.floor = curve.ratio, curve.floor
    fresh.anchor, fresh.spacing, fresh.cap = curve.anchor, curve.spacing, curve.max_abs_position
    fresh.posture, fresh.latched = s.posture, latched
