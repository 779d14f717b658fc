"""How much faster a search is with more workers: ``python -m benchmarks.search``. Prints one line of JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Final

from alpha_pulse.backtest.search.objectives import parse_objectives
from alpha_pulse.backtest.search.result import SearchOptions
from alpha_pulse.backtest.search.run import run_search
from alpha_pulse.backtest.search.space import parse_space
from alpha_pulse.backtest.search.study import Plan
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from benchmarks.compiled import settings_of

_VARIED: Final = ("hedge.ratio=0.3..0.7", "hedge.amplitude=0.05..0.3")
_WARMING: Final = 2  # trials a worker that are not counted: each reads its market and loads machine code first


def trials_per_second(workers: int, trials: int, days: float) -> float:
    """Speed of a search from the moment when every worker is warm until its last trial."""
    ended: list[float] = []

    def told(_done: int, _planned: int, _last: str) -> None:
        ended.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(parse_space(_VARIED, None), parse_objectives(("effectiveness",)), trials, 42, "tpe", prune=False)
        run_search(SearchOptions(settings_of("fixed", days), plan, Path(folder), engine="compiled", workers=workers), told)
    counted = ended[_WARMING * workers - 1 :]
    return (len(counted) - 1) / (counted[-1] - counted[0])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=90.0, help="length of the simulated market")
    parser.add_argument("--trials", type=int, default=60, help="of each search")
    parser.add_argument("--workers", type=int, default=2, help="compared with one")
    arguments = parser.parse_args()
    configure_logging(LoggingSettings(file=None), console=False)
    compared = (1, arguments.workers)
    print(json.dumps({"per_s": {workers: trials_per_second(workers, arguments.trials, arguments.days) for workers in compared}}))


if __name__ == "__main__":
    main()
