"""Files of others into the store: read, looked through, proposed, and stored once a person has confirmed what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import MINUTE_MS, Stamps, checked_stamps, iso, refuse_few, usual_step, whole_minutes
from alpha_pulse.market.store.candle_store import CandleStore, Written
from alpha_pulse.market.store.checking import JUMP, Examined, examine
from alpha_pulse.market.store.guessing import Guess, guess
from alpha_pulse.market.store.series import MAY_LACK, TIMEFRAMES, Kind, Market, Rows, Series, series_of
from alpha_pulse.market.tables import read_table


class Proposal(NamedTuple):
    """What would be stored. ``guessed`` are our names of the columns that nobody named."""

    path: Path
    series: Series
    columns: dict[str, str]
    guessed: tuple[str, ...]
    rows: Rows
    examined: Examined


def propose(
    path: Path,
    *,
    pair: str | None = None,
    market: Market | None = None,
    named: Mapping[str, str] | None = None,
    jump: float = JUMP,
) -> Proposal:
    """Read a file and say what it seems to be. Nothing is stored.

    Args:
        path: CSV, Parquet or Feather, with a header.
        pair: in any spelling; None = read from the file's name.
        market: None = read from the file's name and columns.
        named: by our name of a column, the file's own; the others are guessed.
        jump: moves beyond this are listed [fraction of price].

    Raises:
        ConfigError: the file is not there, or it does not say which pair or market it holds.
        DataError: a row cannot be true, or the columns are not those of anything known here.
    """
    guessed = guess(path, market=market, named=named)
    series = _series(path, guessed, pair)
    wanted = ("timestamp", *series.market.columns)
    absent = [name for name in wanted if name not in guessed.columns]
    table = refuse_few(path, read_table(path, wanted, optional=absent, named=guessed.columns))
    for name in MAY_LACK.intersection(absent):
        table[wanted.index(name)] = np.nan
    stamps = checked_stamps(path, table[0])
    if series.market.kind is Kind.FUNDING:
        stamps = whole_minutes(stamps)
    if series.market.kind is Kind.CANDLES:
        series = series_of(series.pair, series.market, _timeframe(path, np.unique(stamps)))
    examined = examine(str(path), series.market, series.step_ms, stamps.astype(np.float64), table[1:], jump=jump)
    _refuse_impossible(path, examined)
    unnamed = tuple(name for name in guessed.columns if name not in (named or {}))
    return Proposal(path, series, guessed.columns, unnamed, Rows(stamps, table[1:]), examined)


def store_proposal(store: CandleStore, proposal: Proposal, *, exchange: str = "") -> Written:
    """Store what was proposed; rows of a time that the store has already take their place and are counted.

    Raises:
        ConfigError: the store holds the series from another exchange, or pyarrow is missing.
        DataError: a file to merge with is corrupt.
    """
    return store.write(proposal.series, proposal.rows, exchange=exchange)


def _series(path: Path, guessed: Guess, pair: str | None) -> Series:
    """The series without its timeframe, which the rows tell."""
    name = hedge_pair(pair).name if pair is not None else guessed.pair
    if name is None:
        raise ConfigError("does not say which pair it holds.", field=str(path), fix="name it, e.g. --pair BTCUSDT")
    if guessed.market is None:
        raise ConfigError(
            "holds candles and does not say of which market.", field=str(path), fix="name it: --market spot, --market perp or --market mark"
        )
    return Series(name, guessed.market)


def _timeframe(path: Path, times: Stamps) -> str:
    distances = np.diff(times)
    step = usual_step(distances) if len(distances) else 0
    name = next((name for name, length in TIMEFRAMES.items() if length == step), None)
    if name is None:
        raise DataError(f"its rows are {step / MINUTE_MS:g} minutes apart.", path=str(path), fix=f"give bars of {', '.join(TIMEFRAMES)}")
    return name


def _refuse_impossible(path: Path, examined: Examined) -> None:
    """What storing does not mend must be mended in the file."""
    bad = [finding for finding in examined.findings if finding.problem.refused and not finding.problem.mendable]
    if bad:
        first = bad[0]
        kinds = ", ".join(f"{examined.count(problem):,} × {problem}" for problem in dict.fromkeys(finding.problem for finding in bad))
        raise DataError(
            f"holds rows that cannot be: {kinds}; the first at {iso(first.first_ms)}.",
            path=str(path),
            fix=f"`alpha-pulse data check {path}` lists them; mend or remove them in the file",
        )
