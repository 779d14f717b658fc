"""How fast the compiled twin is: ``python -m benchmarks.compiled``. Prints one line of JSON.

A year of simulated one-minute bars, 5 nodes a side, one core. Reading the market and its indicators is timed apart: it is done once for
any number of runs. A run includes fees, funding, the path of net worth and its drawdown; ``sweep`` adds reading each set of settings and
daily volatility, Sharpe and Sortino ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from alpha_pulse.backtest.compiled.market import Market, read_market
from alpha_pulse.backtest.compiled.sweep import sweep
from alpha_pulse.backtest.compiled.twin import Bench, prepare
from alpha_pulse.settings import Settings
from benchmarks.peers import peer_speeds
from benchmarks.replay import stay_on_one_core

SEED: Final = 7
OTHER_SEEDS: Final = (1, 2, 3, 5, 9)
"""Of years on which wallets run short, stops fire and rallies lift the margin's cap: what is decided there is decided more often."""
_OFF: Final = {"stop_loss_pct": None, "max_drawdown": None, "var_limit_pct": None}
_STILL: Final = {"num_levels": 5, "grid_spacing_pct": "0.01", "volatility_multiple": 0, "volume_adjust": 0, "snap": 0}
_BOTH_SIDES: Final = {"ratio": 0.5, "min_ratio": 0, "amplitude": 0.25, "amplitude_adverse": 0.25}

CASES: Final[dict[str, dict[str, Any]]] = {
    "fixed": {"grid": _STILL, "risk": _OFF, "inventory_risk": {"enabled": False}},
    "fixed_both_sides": {"hedge": _BOTH_SIDES, "grid": _STILL, "risk": _OFF, "inventory_risk": {"enabled": False}},
    "everything": {"grid": {"num_levels": 5}},
    "everything_both_sides": {"hedge": _BOTH_SIDES, "grid": {"num_levels": 5}, "risk": {"stop_loss_pct": "0.25", "max_drawdown": "0.5"}},
}
"""Fixed spacing without risk events; and everything: volatility-adaptive spacing, snapping, floors, stop, drawdown latch, margin."""


def settings_of(case: str, days: float, seed: int = SEED, **hedge: Any) -> Settings:
    """The settings of a case, with other values of ``hedge`` if given."""
    chosen = CASES[case]
    changed = {**chosen.get("hedge", {}), **hedge}
    return Settings.read({**chosen, "hedge": changed, "feed": {"source": "simulated", "seed": seed, "days": days}})


def bars_per_second(market: Market, case: str, days: float, repeats: int) -> tuple[float, dict[str, int]]:
    """(median speed of a run in bars/s, what happened in it)."""
    bench, ready = Bench(market), prepare(settings_of(case, days), market)
    bench.run(ready)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        state, _ = bench.run(ready)
        taken.append(time.perf_counter() - start)
    happened = {name: int(state[name]) for name in ("fills", "fundings", "recentres", "floors", "stops_fired", "ticks")}
    return market.bars / median(taken), happened


def slowest(cases: Sequence[str], days: float, repeats: int) -> dict[str, float]:
    """The slowest speed of each case on the years of other seeds, bars/s."""
    speeds: dict[str, list[float]] = {case: [] for case in cases}
    for seed in OTHER_SEEDS:
        market = asyncio.run(read_market(settings_of(cases[0], days, seed)))
        for case in cases:
            speeds[case].append(bars_per_second(market, case, days, repeats)[0])
    return {case: min(found) for case, found in speeds.items()}


def sets(count: int, days: float) -> Iterator[Settings]:
    """Sets of settings with fixed spacing that differ in ratio and amplitude."""
    for number in range(count):
        yield settings_of("fixed", days, ratio=0.3 + 0.4 * number / count, amplitude=0.1 + 0.2 * (number % 10) / 10)


def sweep_seconds(market: Market, count: int, workers: int, days: float) -> tuple[float, float]:
    """(wall time of a sweep, peak resident memory of this process after it [MB])."""
    chosen = list(sets(count, days))
    start = time.perf_counter()
    done = sum(1 for row in sweep(chosen, market, workers=workers) if not row.error)
    taken = time.perf_counter() - start
    if done != count:
        raise SystemExit(f"benchmarks: only {done} of {count} sets ran")
    return taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


_START: Final = """
import time
start = time.perf_counter()
from benchmarks.compiled import CASES, settings_of
from alpha_pulse.backtest.compiled.twin import Bench, prepare
from alpha_pulse.backtest.compiled.market import read_market
import asyncio
settings = settings_of("fixed", 0.05)
begun = time.perf_counter()
market = asyncio.run(read_market(settings))
Bench(market).run(prepare(settings, market))
print(time.perf_counter() - begun)
"""


def start_seconds(environment: dict[str, str]) -> float:
    """A new process: numba's import and the machine code, from the cache that ``environment`` names or made anew."""
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", _START]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    return float(done.stdout)


def starts(repeats: int, *, warm: bool) -> dict[str, float]:
    """Seconds that the first run in a process takes before it starts: with an empty cache, unless ``warm``, and with a full one."""
    if warm:
        return {"cached_start_s": median(start_seconds(dict(os.environ)) for _ in range(repeats))}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ALPHA_PULSE_CACHE": folder}
        compiling = start_seconds(environment)
        return {"compiling_s": compiling, "cached_start_s": median(start_seconds(environment) for _ in range(repeats))}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=365.0, help="length of the simulated market")
    parser.add_argument("--repeats", type=int, default=21, help="the median of so many is taken")
    parser.add_argument("--sets", type=int, default=1000, help="sets of the sweep")
    parser.add_argument("--workers", type=int, default=2, help="threads of the sweep")
    parser.add_argument("--warm", action="store_true", help="do not compile into an empty cache first")
    arguments = parser.parse_args()
    days: float = arguments.days
    measured: dict[str, Any] = starts(min(5, arguments.repeats), warm=arguments.warm)
    asyncio.run(read_market(settings_of("fixed", 1.0)))  # imports numba, and compiles what the cache does not hold
    start = time.perf_counter()
    market = asyncio.run(read_market(settings_of("fixed", days)))
    measured |= {"bars": market.bars, "reading_s": time.perf_counter() - start}
    _, measured["peak_mb_of_few_sets"] = sweep_seconds(market, 2 * arguments.workers, arguments.workers, days)
    measured["sweep_s"], measured["peak_mb_of_all_sets"] = sweep_seconds(market, arguments.sets, arguments.workers, days)
    stay_on_one_core()
    for case in CASES:
        speed, happened = bars_per_second(market, case, days, arguments.repeats)
        measured[case] = {"bars_per_s": speed, **happened}
    measured["slowest"] = slowest(("fixed", "everything"), days, min(5, arguments.repeats))
    measured["peers"] = peer_speeds(market.bars)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
