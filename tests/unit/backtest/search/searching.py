"""A short recorded market, and searches on it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

from alpha_pulse.backtest.search.folds import Division
from alpha_pulse.backtest.search.objectives import parse_objectives
from alpha_pulse.backtest.search.result import SearchOptions
from alpha_pulse.backtest.search.space import parse_space
from alpha_pulse.backtest.search.study import Plan
from alpha_pulse.settings import Settings

START_MS = 1_735_689_600_000  # 2025-01-01 00:00 UTC
HOUR_MS = 3_600_000
VARIED = ("hedge.amplitude=0,0.25,0.5", "hedge.ratio=0.2..0.9", "hedge.max_ratio=0.6,1")
TWO = ("effectiveness", "cost")


def market_file(folder: Path, days: int = 50, seed: int = 1) -> Path:
    """Hourly candles of a random walk, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - prices of a test
    lines, price = ["timestamp,open,high,low,close,volume"], 100_000.0
    for hour in range(days * 24):
        close = price * math.exp(dice.gauss(0.0, 0.006))
        high, low = max(price, close) * 1.002, min(price, close) * 0.998
        lines.append(f"{START_MS + hour * HOUR_MS},{price:.1f},{high:.1f},{low:.1f},{close:.1f},100")
        price = round(close, 1)
    file = folder / "market.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def settings_on(file: Path) -> Settings:
    return Settings.read({"feed": {"source": "recorded", "spot": str(file), "perp": str(file)}, "inventory": {"quantity": 2}})


def plan(vary: Sequence[str] = VARIED, objectives: Sequence[str] = TWO, **changes: object) -> Plan:
    given = {"trials": 12, "seed": 7, **changes}
    return Plan(parse_space(vary), parse_objectives(objectives), **given)  # type: ignore[arg-type] - any of its fields


def options(settings: Settings, out: Path, chosen: Plan, **changes: object) -> SearchOptions:
    given = {"engine": "replay", "division": Division(test=0.4, embargo_days=1.0), **changes}
    return SearchOptions(settings, chosen, out, **given)  # type: ignore[arg-type] - any of its fields
