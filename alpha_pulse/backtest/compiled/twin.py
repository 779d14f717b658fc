"""Running the kernels: one set of settings with everything that happened, or for its figures alone, in buffers that are used again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.backtest.compiled.build import Kernels, compiled
from alpha_pulse.backtest.compiled.market import Market
from alpha_pulse.backtest.compiled.support import params_of
from alpha_pulse.backtest.compiled.values import (
    FILL,
    FUNDING,
    STRETCH,
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
    params = params_of(settings, market)
    code = kernels if kernels is not None else compiled()
    record, books = params_record(params), new_run()
    notes = Notes(records(FILL, _ROOM), records(FUNDING, _ROOM), records(STRETCH, _ROOM), np.empty(market.bars))
    row = 0
    while row < market.bars:
        last = min(row + _BARS_A_CALL, market.bars)
        reached = code.advance(record, market.columns, books, notes, row, last, skips)
        if reached < last:
            notes = _grown(notes)
        row = reached
        if progress is not None:
            progress(row / market.bars)
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
        self._code = compiled()
        self._books = new_run()
        nothing = (records(FILL, 0), records(FUNDING, 0), records(STRETCH, 0))
        self._notes = Notes(*nothing, np.empty(market.bars))

    def run(self, params: Params) -> tuple[Records, Floats]:
        """(books and counters at the end, net worth after each bar): both hold until the next call."""
        self._books[:] = 0
        self._code.advance(params_record(params), self.market.columns, self._books, self._notes, 0, self.market.bars, True)
        return self._books[0].state[0], self._notes.path
