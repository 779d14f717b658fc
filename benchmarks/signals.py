"""How fast the signals of a backtest are: ``python -m benchmarks.signals``. Prints one line of JSON: million bars a second, by signal.

All bars of a random walk at once, arrays made, checks and clipping included.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from alpha_pulse.backtest.calibrate import DEFAULT_SIGNALS
from alpha_pulse.backtest.signals import Backtest, signal_path
from benchmarks.replay import stay_on_one_core

SEED = 7
DAY_MS = 86_400_000


def million_bars_per_second(run: Callable[[], object], bars: int, batches: int) -> float:
    """Median over the batches."""
    taken = []
    for _ in range(batches):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return bars / median(taken) / 1e6


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=1_000_000, help="length of the walk")
    parser.add_argument("--batches", type=int, default=20, help="the median of so many is taken")
    arguments = parser.parse_args()
    stay_on_one_core()
    bars: int = arguments.bars
    walk = 100.0 * np.exp(np.cumsum(np.random.default_rng(SEED).normal(0.0, 0.001, bars)))
    measured = {}
    for name, signal in DEFAULT_SIGNALS.items():
        signal_path(signal, walk)  # warm up: memory is there
        measured[name] = million_bars_per_second(lambda signal=signal: signal_path(signal, walk), bars, arguments.batches)  # type: ignore[misc]
    backtest = Backtest(walk, np.arange(bars) * DAY_MS + DAY_MS)
    for name, signal in DEFAULT_SIGNALS.items():
        backtest.add_signal(name, signal)
    whole = million_bars_per_second(backtest.run, bars, max(1, arguments.batches // 4))
    print(json.dumps({"signals": measured, "slowest": min(measured.values()), "backtest": whole}))


if __name__ == "__main__":
    main()
