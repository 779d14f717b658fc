"""Markets that might have been: the recorded one, cut into blocks and put together anew.

Blocks keep what neighbouring bars have to do with each other (calm and rough stretches, trends of a few bars); independent draws would
lose it. What takes longer than a block is lost all the same, and nothing happens that has not happened once: no path has a worse bar than
the worst on record.

- Politis, D. N. and Romano, J. P. (1992), "A circular block-resampling procedure for stationary data", in LePage and Billard (eds.),
  Exploring the Limits of Bootstrap, Wiley.
- Politis, D. N. and Romano, J. P. (1994), "The stationary bootstrap", Journal of the American Statistical Association 89(428), 1303-1313.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from alpha_pulse.backtest.bars import FloatArray, IntArray
from alpha_pulse.backtest.block_length import BlockLength, optimal_block_length
from alpha_pulse.errors import ConfigError

__all__ = [
    "BlockLength",
    "MarketPath",
    "Scheme",
    "bootstrap_market",
    "circular_rows",
    "optimal_block_length",
    "resample_rows",
    "stationary_rows",
]

Scheme = Literal["stationary", "circular"]

_OHLC: Final = 4
_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class MarketPath:
    """One resampled market of as many bars as were asked for.

    ``rows`` are the recorded bars that its bars were made of, to carry along what belongs to them: funding, volume, spreads.
    """

    bars: Mapping[str, FloatArray]
    """Open, high, low, close by name of the market, shape (length, 4)."""
    rows: IntArray


def stationary_rows(count: int, length: int, block: float, paths: int, random: np.random.Generator) -> IntArray:
    """Rows of a stationary bootstrap, shape (paths, length): blocks of random length, geometric with mean ``block``, wrapping round.

    Args:
        count: rows of the data.
        length: rows of a path.
        block: mean length of a block, 1 or more.
        paths: how many.
        random: numpy's generator; equal states give equal rows.

    Raises:
        ConfigError: a size below 1.
    """
    _check(count=count, length=length, block=block, paths=paths)
    begins = random.random((paths, length)) < 1.0 / block
    begins[:, 0] = True
    starts = random.integers(0, count, (paths, length))
    position = np.arange(length)
    latest = np.maximum.accumulate(np.where(begins, position, 0), axis=1)
    rows: IntArray = (np.take_along_axis(starts, latest, axis=1) + position - latest) % count
    return rows


def circular_rows(count: int, length: int, block: int, paths: int, random: np.random.Generator) -> IntArray:
    """Rows of a circular block bootstrap, shape (paths, length): blocks of fixed length that wrap round. Arguments as ``stationary_rows``.

    Raises:
        ConfigError: a size below 1.
    """
    _check(count=count, length=length, block=block, paths=paths)
    blocks = -(-length // block)
    starts = random.integers(0, count, (paths, blocks, 1))
    rows: IntArray = ((starts + np.arange(block)) % count).reshape(paths, -1)[:, :length]
    return rows


def resample_rows(scheme: Scheme, count: int, length: int, block: float, paths: int, random: np.random.Generator) -> IntArray:
    """Rows of either bootstrap, shape (paths, length); the circular one rounds ``block``.

    Raises:
        ConfigError: there is no such scheme, or a size below 1.
    """
    if scheme == "stationary":
        return stationary_rows(count, length, block, paths, random)
    if scheme == "circular":
        return circular_rows(count, length, max(1, round(block)), paths, random)
    raise ConfigError("There is no such scheme", field="scheme", value=scheme, fix='write "stationary" or "circular"')


def bootstrap_market(
    bars: npt.ArrayLike,
    *,
    paths: int = 100,
    length: int | None = None,
    block: float | None = None,
    scheme: Scheme = "stationary",
    seed: int = 42,
    beside: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[MarketPath, ...]:
    """Resampled markets: bars rebuilt from the returns of recorded bars.

    Each new bar has the shape of a recorded one, relative to the close before it: its open by the recorded overnight return, its high, low
    and close by theirs. So prices chain, and every bar stays a possible one. The first bar follows the first recorded open.

    Markets given ``beside`` (a perpetual, its mark price) keep their recorded distance from the first market's close in every bar: their
    basis is resampled with it, and cannot drift away.

    Args:
        bars: open, high, low, close of the first market, shape (bars, 4), above 0.
        paths: how many.
        length: bars of each; as many as are recorded by default.
        block: mean length of a block [bars]; by default what ``optimal_block_length`` finds for squared returns, so that calm and rough
            stretches are kept, but no less than for the returns.
        scheme: blocks of random (``stationary``) or of fixed (``circular``) length.
        seed: equal seeds give equal paths.
        beside: other markets of the same bars, by name.

    Returns:
        the paths; the first market is called ``market``.

    Raises:
        ConfigError: fewer than 10 bars, a price that is not a positive number, a bar that cannot be (a low above its open), markets of
            different lengths, a name taken twice, or a size below 1.
    """
    recorded = _ohlc("bars", bars)
    others = {name: _ohlc(f"beside[{name!r}]", given) for name, given in (beside or {}).items()}
    for name, other in others.items():
        if name == "market":
            raise ConfigError("The first market has this name", field="beside", value=name, fix="call it something else")
        if len(other) != len(recorded):
            raise ConfigError(f"It has {len(other)} bars, not {len(recorded)}", field=f"beside[{name!r}]", fix="give the same bars of both")
    before = np.concatenate((recorded[:1, 0], recorded[:-1, 3]))
    steps = np.log(recorded / before[:, None])  # of open, high, low and close, each from the close before
    if block is None:
        moves = steps[:, 3]
        block = max(optimal_block_length(series).of(scheme) for series in (moves, moves**2))
    random = np.random.default_rng(seed)
    rows = resample_rows(scheme, len(recorded), len(recorded) if length is None else length, block, paths, random)
    ratios = {name: other / recorded[:, 3:] for name, other in others.items()}
    return tuple(_path(own, steps, float(recorded[0, 0]), ratios) for own in rows)


def _path(rows: IntArray, steps: FloatArray, start: float, ratios: Mapping[str, FloatArray]) -> MarketPath:
    moves = steps[rows]
    closes = np.log(start) + np.cumsum(moves[:, 3])
    before = np.concatenate(([np.log(start)], closes[:-1]))
    market = np.exp(before[:, None] + moves)
    market[:, 1] = market.max(axis=1)  # rounding must not lift a close above its high
    market[:, 2] = market.min(axis=1)
    others = {name: ratio[rows] * market[:, 3:] for name, ratio in ratios.items()}
    return MarketPath(MappingProxyType({"market": market, **others}), rows)


def _ohlc(field: str, given: npt.ArrayLike) -> FloatArray:
    bars = np.array(given, dtype=np.float64)
    if bars.ndim != 2 or bars.shape[1] != _OHLC:  # noqa: PLR2004 - rows and columns
        raise ConfigError(f"They have the shape {bars.shape}", field=field, fix="give open, high, low and close for each bar")
    if len(bars) < _LEAST:
        raise ConfigError(f"{len(bars)} bars are too few", field=field, fix=f"give at least {_LEAST}")
    wrong = np.flatnonzero(~(np.isfinite(bars) & (bars > 0.0)).all(axis=1))
    if len(wrong):
        raise ConfigError("A price is not a positive number", field=f"{field}[{int(wrong[0])}]", fix="drop the bar or mend the file")
    torn = np.flatnonzero((bars[:, 1] < bars.max(axis=1)) | (bars[:, 2] > bars.min(axis=1)))
    if len(torn):
        where = f"{field}[{int(torn[0])}]"
        raise ConfigError("Its high or low does not hold its open and close", field=where, fix="drop the bar or mend the file")
    return bars


def _check(**sizes: float) -> None:
    for field, value in sizes.items():
        if not 1 <= value < float("inf"):
            raise ConfigError("It must be 1 at least", field=field, value=value, fix="give a number of rows or paths")
