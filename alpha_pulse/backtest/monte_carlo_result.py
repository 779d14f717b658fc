"""What a run came to on resampled markets: the spread of each figure, beside what the recorded market gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class PathFigures:
    """One market. Money in quote units; drawdowns of net worth, > 0; ``price_change`` a fraction."""

    price_change: float
    hedge_pnl: float
    timing: float
    unhedged_change: float
    hedged_change: float
    static_change: float
    unhedged_drawdown: float
    hedged_drawdown: float
    static_drawdown: float


FIGURES: Final = tuple(field.name for field in fields(PathFigures))


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """The run on resampled markets."""

    paths: tuple[PathFigures, ...]
    recorded: PathFigures
    """What the market as it was gave."""
    block_bars: float
    """Mean length of a block [bars]."""
    block_days: float
    seed: int
    engine: str
    """Which engine ran them."""
    note: str
    """Why the replay ran them, where the compiled twin did not; otherwise empty."""
    hedges: bool
    """Whether there is inventory to protect."""

    def values(self, name: str) -> FloatArray:
        """One figure of every path, shape (paths,)."""
        return np.array([getattr(path, name) for path in self.paths])

    def spread(self, name: str) -> list[float]:
        """Its quantiles at ``QUANTILES``."""
        found: list[float] = np.quantile(self.values(name), QUANTILES).tolist()
        return found

    @property
    def lost(self) -> float:
        """Share of paths in which the hedge lost money."""
        return float(np.mean(self.values("hedge_pnl") < 0.0))

    @property
    def cost_more_than_it_saved(self) -> float:
        """Share of paths in which the hedge lost more than the drawdown that it spared the holder."""
        saved = self.values("unhedged_drawdown") - self.values("hedged_drawdown")
        pnl = self.values("hedge_pnl")
        return float(np.mean((pnl < 0.0) & (-pnl > saved)))

    @property
    def smaller_drawdown(self) -> float:
        """Share of paths with a smaller worst drawdown than without a hedge."""
        return float(np.mean(self.values("hedged_drawdown") < self.values("unhedged_drawdown")))

    @property
    def worse_than_static(self) -> float:
        """Share of paths in which a static hedge of the run's own average size ended with more."""
        return float(np.mean(self.values("hedged_change") < self.values("static_change")))

    @property
    def words(self) -> str:
        """What the paths say, and what they cannot, for a person."""
        said = f"In {len(self.paths):,} resampled markets the {'hedge' if self.hedges else 'grid'} lost money in {self.lost:.0%}"
        if self.hedges:
            said += (
                f", and in {self.cost_more_than_it_saved:.0%} it cost more than it saved: more than the drawdown that it spared. "
                f"The worst drawdown was smaller than without it in {self.smaller_drawdown:.0%}; a static hedge of the same average size "
                f"ended with more in {self.worse_than_static:.0%}"
            )
        made = (
            f"Blocks of {self.block_days:.3g} days on average, seed {self.seed}. The drift is that of the record, no path has a worse bar "
            "than the worst on it, and what takes longer than a block is cut."
        )
        return " ".join(part for part in (f"{said}.", made, self.note) if part)

    def to_json(self) -> Mapping[str, Any]:
        """The part of ``result.json``."""
        shares = ("lost", "cost_more_than_it_saved", "smaller_drawdown", "worse_than_static")
        return {
            "paths": len(self.paths),
            "seed": self.seed,
            "block_bars": self.block_bars,
            "engine": self.engine,
            "figures": {
                name: {
                    "recorded": getattr(self.recorded, name),
                    **{f"p{round(100 * at)}": value for at, value in zip(QUANTILES, self.spread(name), strict=True)},
                }
                for name in FIGURES
            },
            "shares": {name: getattr(self, name) for name in (shares if self.hedges else shares[:1])},
            "words": self.words,
        }
