"""The columns of a market from its bars: the extremes of whole blocks of bars, by which quiet ones are passed."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.backtest.compiled.values import BLOCK, BLOCK_OF_BARS, WIDE, WIDEST_BLOCK, Columns, Floats, Records, records

_BOTH_ENDS: Final = {
    "bid": "bid",
    "ask": "ask",
    "sigma": "volatility",
    "volume": "volume_ratio",
    "annual": "funding_annual",
    "ema": "anchor_ema",
    "reference": "reference",
}
"""Names in ``BLOCK_OF_BARS`` before ``_low`` and ``_high``, with the column that they are the extremes of."""


def columns_of(bars: Records, level_sets: Records) -> Columns:
    """Everything that a run reads, from bars of ``BAR`` and sets of ``LEVEL_SET``."""
    blocks, wide, widest = (_blocks(bars, size) for size in (BLOCK, WIDE, WIDEST_BLOCK))
    return Columns(
        bars,
        blocks,
        wide,
        widest,
        level_sets,
        np.flatnonzero(~np.isnan(bars["settled"])),
        bars["mark_close"].copy(),
        bars["reference"].copy(),
    )


def _blocks(bars: Records, size: int) -> Records:
    """The extremes of every whole block of bars; bars of a last part of one are looked at singly."""
    whole = len(bars) // size

    def cut(column: NDArray[Any]) -> NDArray[Any]:
        return column[: whole * size].reshape(whole, size)

    blocks = records(BLOCK_OF_BARS, whole)
    for name in ("low", "mark_low"):
        blocks[name] = _rounded(cut(bars[name]).min(axis=1), -math.inf)
    for name in ("high", "mark_high"):
        blocks[name] = _rounded(cut(bars[name]).max(axis=1), math.inf)
    for name, column in _BOTH_ENDS.items():
        _put_both_ends(blocks, name, cut(bars[column]))
    _put_both_ends(blocks, "strain", cut(bars["volatility"] * bars["reference"]))
    for name in ("bid_depth", "ask_depth"):  # an unknown depth, 0, is no thin one
        blocks[f"{name}_low"] = _rounded(cut(np.where(bars[name] > 0.0, bars[name], math.inf)).min(axis=1), -math.inf)
    blocks["last_ms"] = _rounded(cut(bars["close_ms"])[:, -1].astype(np.float64), math.inf)
    return blocks


def with_sizer(columns: Columns, sized: Floats, tilted: Floats) -> Columns:
    """The same market with what a sizer says at each bar, before and after the funding tilt."""
    sizes = {"blocks": BLOCK, "wide": WIDE, "widest": WIDEST_BLOCK}
    copies = {name: getattr(columns, name).copy() for name in sizes}
    for name, size in sizes.items():
        _put_both_ends(copies[name], "tilted", tilted[: len(copies[name]) * size].reshape(-1, size))
    return columns._replace(sized=sized, tilted=tilted, **copies)


def _put_both_ends(blocks: Records, name: str, column: NDArray[np.float64]) -> None:
    blocks[f"{name}_low"] = _rounded(column.min(axis=1), -math.inf)
    blocks[f"{name}_high"] = _rounded(column.max(axis=1), math.inf)


def _rounded(values: NDArray[np.float64], towards: float) -> NDArray[np.float32]:
    """In half the memory, rounded so that a block never looks quieter than it is: single bars, which are exact, decide where it matters."""
    short = values.astype(np.float32)
    inside = short.astype(np.float64) < values if towards > 0.0 else short.astype(np.float64) > values
    result: NDArray[np.float32] = np.where(inside, np.nextafter(short, np.float32(towards)), short)
    return result
