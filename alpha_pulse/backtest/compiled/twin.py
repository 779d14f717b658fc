"""Running the kernels: one set of settings with everything that happened, or for its figures alone, in buffers that are used again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from alpha_pulse.backtest.compiled.blocks import with_sizer
from alpha_pulse.backtest.compiled.build import Kernels, compiled, compiled_with
from alpha_pulse.backtest.compiled.market import Market
from alpha_pulse.backtest.compiled.sizing import sized_by
from alpha_pulse.backtest.compiled.support import ladder_of, params_of
from alpha_pulse.backtest.compiled.values import (
    FILL,
    FUNDING,
    STRETCH,
    Columns,
    Floats,
    Notes,
    Params,
    Records,
    new_run,
    params_record,
    records,
)
from alpha_pulse.settings import Settings

_BARS_A_CALL: Final = 131_072
"""Between two calls of ``progress``."""
_ROOM: Final = 4096
_SIZING: Final = 0.9  # the share of a run that asking a sizer takes


@dataclass(frozen=True, slots=True)
class TwinResult:
    """What a run did. ``fills``, ``funding`` and ``stretches`` are arrays of records (see ``values``), ``path`` is the net worth after each
    bar (cash, unrealised PnL and coins), quote units; ``state`` holds the books at the end and the counters.
    """

    params: Params
    fills: Records
    funding: Records
    stretches: Records
    path: Floats
    state: Records


class Prepared(NamedTuple):
    """Settings that are ready to run: as numbers, with the machine code for them, and a market on which their sizer has spoken."""

    params: Params
    record: Records  # the same numbers as the kernels read them
    kernels: Kernels
    columns: Columns


def prepare(
    settings: Settings, market: Market, kernels: Kernels | None = None, progress: Callable[[float], None] | None = None
) -> Prepared:
    """Make settings ready to run on a market.

    Args:
        settings: what to run.
        market: what to run it on.
        kernels: ``INTERPRETED`` to have Python run them.
        progress: called with the share of the sizer's answers that are there.

    Raises:
        ConfigError: numba is not installed, a setting is not supported or does not fit the market, or the user's ladder cannot be compiled.
    """
    params = params_of(settings, market)
    if kernels is None:
        ladder = ladder_of(settings)
        kernels = compiled() if ladder is None else compiled_with(ladder)
    record, columns = params_record(params), market.columns
    sized = sized_by(settings, market, progress)
    return Prepared(params, record, kernels, columns if sized is None else _tilted(record, columns, sized, kernels))


def _tilted(record: Records, columns: Columns, sized: Floats, kernels: Kernels) -> Columns:
    """The market with what its sizer says."""
    tilted = np.empty_like(sized)
    kernels.tilt(record, columns.bars, sized, tilted)
    return with_sizer(columns, sized, tilted)


def run_twin(
    settings: Settings,
    market: Market,
    *,
    kernels: Kernels | None = None,
    skips: bool = True,
    progress: Callable[[float], None] | None = None,
) -> TwinResult:
    """Run the settings over a market, and keep everything that happened.

    Args:
        settings: what to run.
        market: what to run it on, from ``read_market``.
        kernels: ``INTERPRETED`` to have Python run them; compiled if not given.
        skips: pass quiet bars without deciding on each; False gives the same result, slowly.
        progress: called with the share done, 0 … 1.

    Raises:
        ConfigError: a setting is not supported, or does not fit the market.
    """
    params, record, code, columns = prepare(settings, market, kernels, None if progress is None else lambda done: progress(_SIZING * done))
    begun = 0.0 if columns is market.columns else _SIZING
    books = new_run()
    notes = Notes(records(FILL, _ROOM), records(FUNDING, _ROOM), records(STRETCH, _ROOM), np.empty(market.bars))
    row = 0
    while row < market.bars:
        last = min(row + _BARS_A_CALL, market.bars)
        reached = code.advance(record, columns, books, notes, row, last, skips and not params.own_ladder)
        if reached < last:
            notes = _grown(notes)
        row = reached
        if progress is not None:
            progress(begun + (1.0 - begun) * row / market.bars)
    s = books[0].state[0]
    return TwinResult(params, notes.fills[: s.fills], notes.funding[: s.fundings], notes.stretches[: s.stretches], notes.path, s)


def _grown(notes: Notes) -> Notes:
    """The same notes with twice the room."""
    return notes._replace(fills=_doubled(notes.fills), funding=_doubled(notes.funding), stretches=_doubled(notes.stretches))


def _doubled(rows: Records) -> Records:
    return np.concatenate([rows, np.zeros(len(rows), rows.dtype)]).view(np.recarray)


def targets_of(result: TwinResult, market: Market, kernels: Kernels | None = None) -> Floats:
    """T at the close of every bar, base units, signed."""
    targets = np.empty(market.bars)
    code = kernels if kernels is not None else compiled()
    code.write_targets(params_record(result.params), market.columns.bars, result.stretches, targets)
    return targets


class Bench:
    """One set of settings after another on one market, for the figures alone: the buffers are made once."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._books = new_run()
        self._bytes = self._books.view(np.uint8)  # clearing them field by field takes a third of a millisecond
        nothing = (records(FILL, 0), records(FUNDING, 0), records(STRETCH, 0))
        self._notes = Notes(*nothing, np.empty(market.bars))

    def run(self, ready: Prepared) -> tuple[Records, Floats]:
        """(books and counters at the end, net worth after each bar): both hold until the next call."""
        self._bytes[:] = 0
        skips = not ready.params.own_ladder
        ready.kernels.advance(ready.record, ready.columns, self._books, self._notes, 0, self.market.bars, skips)
        return self._books[0].state[0], self._notes.path
