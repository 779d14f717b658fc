"""Runs every measurement in a fresh process of its own, and gathers the readings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import figures
from benchmarks.figures import Figure, Reading
from benchmarks.install import core_size

ROOT: Final = Path(__file__).resolve().parents[1]
DATA: Final = ROOT.parent / "shared" / "data"
_MEGABYTE: Final = 1e6
_MILLION: Final = 1e6
ONLY_WHOLE: Final = "only in a whole run: it would take too long"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run."""

    days: float  # of each simulated market that is replayed
    seeds: tuple[int, ...]
    year: float  # days of the "year" whose memory is measured
    demo: float  # days of the demo
    repeats: int
    fills: int  # that are answered on the wire


FULL: Final = Scale(
    days=30, seeds=(7, 1, 2, 3), year=365, demo=30, repeats=3, fills=300
)  # months, for a stop that fired lets a bot idle for weeks
QUICK: Final = Scale(days=2, seeds=(7,), year=1, demo=1, repeats=1, fills=20)

Measured = dict[Figure, tuple[float, ...] | str]
"""The repeats of each figure, or why there are none."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures that come from one kind of run. ``why_not`` says what is missing for it, if anything is."""

    figures: tuple[Figure, ...]
    run: Callable[[Scale], Measured]
    why_not: Callable[[], str] = lambda: ""

    def readings(self, scale: Scale) -> list[Reading]:
        """Measure, unless something is missing for it."""
        missing = self.why_not()
        measured = {} if missing else self.run(scale)
        return [_reading(figure, missing or measured.get(figure, ())) for figure in self.figures]


def _reading(figure: Figure, found: tuple[float, ...] | str) -> Reading:
    if isinstance(found, str):
        return Reading(figure, (), found)
    return Reading(figure, found, "" if found else "it did not happen in this run")


def measurements() -> Iterator[Measurement]:
    """Every measurement, in the order of the table."""
    yield Measurement((figures.REPLAY_MEMORY,), lambda scale: _speed(figures.REPLAY_MEMORY, scale, *_simulated(scale)))
    yield Measurement((figures.REPLAY_SQLITE,), lambda scale: _speed(figures.REPLAY_SQLITE, scale, *_simulated(scale), "--store", "sqlite"))
    yield Measurement((figures.REPLAY_RECORDED,), lambda scale: _speed(figures.REPLAY_RECORDED, scale, "--data", str(DATA)), _no_data)
    latency = (figures.ALL_UPDATES, figures.QUIET, figures.CROSSING, figures.AFTER_FILL)
    yield Measurement(tuple(figure for pair in latency for figure in pair), _latencies)
    yield Measurement(tuple(figure for pair in figures.WIRE for figure in pair), _wire)
    yield Measurement((figures.HEDGE_SCALAR, figures.SPLINE_ARRAY), _sizers)
    yield Measurement((figures.SIGNALS,), _signals)
    twins = (*figures.TWIN, *figures.TWIN_SLOWEST, *figures.PEERS.values(), *figures.AGAINST.values())
    yield Measurement((*twins, figures.SWEEP, figures.CACHED, figures.COMPILING, figures.READING), _twin)
    yield Measurement((figures.SEARCH,), _search)
    yield Measurement(figures.BACKTEST, _backtest)
    yield Measurement(figures.DECISION_LOG, _decision_log)
    yield Measurement(figures.SERVICE, _service)
    yield Measurement((figures.YEAR_MEMORY,), lambda scale: _memory(figures.YEAR_MEMORY, scale, "memory"))
    yield Measurement((figures.YEAR_SQLITE,), lambda scale: _memory(figures.YEAR_SQLITE, scale, "sqlite"))
    yield Measurement((figures.HELP,), _help)
    yield Measurement((figures.DEMO,), _demo)
    yield Measurement((figures.INSTALL,), lambda _: {figures.INSTALL: (core_size() / _MEGABYTE,)})


def _no_data() -> str:
    return "" if DATA.is_dir() else f"there is no {DATA}"


def _simulated(scale: Scale) -> tuple[str, ...]:
    return ("--days", str(scale.days), "--seeds", *map(str, scale.seeds))


def _speed(figure: Figure, scale: Scale, *arguments: str) -> Measured:
    runs = [_worker("replay", *arguments) for _ in range(scale.repeats)]
    return {figure: tuple(run["bars"] / run["seconds"] for run in runs)}


def _latencies(scale: Scale) -> Measured:
    runs = [_worker("latency", *_simulated(scale)) for _ in range(scale.repeats)]
    measured: Measured = {}
    for pair in (figures.ALL_UPDATES, figures.QUIET, figures.CROSSING, figures.AFTER_FILL):
        case = pair[0].name.removeprefix("decision: ").removesuffix(", median")
        for figure, statistic in zip(pair, ("median", "p99"), strict=True):
            measured[figure] = tuple(run[case][statistic] for run in runs if statistic in run[case])
    return measured


def _wire(scale: Scale) -> Measured:
    run = _worker("wire", "--fills", str(scale.fills))
    measured: Measured = {}
    for pair in figures.WIRE:
        case = pair[0].name.removeprefix("wire latency: ").removesuffix(", median")
        for figure, statistic in zip(pair, ("median", "p99"), strict=True):
            measured[figure] = (run[case][statistic],) if run[case]["count"] else ()
    return measured


def _sizers(scale: Scale) -> Measured:
    runs = [_worker("sizers") for _ in range(scale.repeats)]
    names = {figures.HEDGE_SCALAR: "scalar_us", figures.SPLINE_ARRAY: "evaluations_per_us"}
    return {figure: tuple(run[name] for run in runs) for figure, name in names.items()}


def _signals(scale: Scale) -> Measured:
    bars = 1_000_000 if scale is FULL else 20_000
    return {figures.SIGNALS: tuple(_worker("signals", "--bars", str(bars))["slowest"] for _ in range(scale.repeats))}


def _twin(scale: Scale) -> Measured:
    sizes = () if scale is FULL else ("--repeats", "1", "--sets", "4", "--warm")
    run = _worker("compiled", "--days", str(scale.year), *sizes)
    cases = ("fixed", "fixed_both_sides", "everything", "everything_both_sides")
    speeds: Measured = {figure: (run[case]["bars_per_s"] / _MILLION,) for figure, case in zip(figures.TWIN, cases, strict=True)}
    worst = zip(figures.TWIN_SLOWEST, ("fixed", "everything"), strict=True)
    speeds |= {figure: (run["slowest"][case] / _MILLION,) for figure, case in worst}
    times = {figures.SWEEP: "sweep_s", figures.CACHED: "cached_start_s", figures.COMPILING: "compiling_s", figures.READING: "reading_s"}
    taken: Measured = {figure: (run[name],) if name in run else ONLY_WHOLE for figure, name in times.items()}
    ours = {"fixed spacing": run["fixed"]["bars_per_s"], "fixed spacing, both sides": run["fixed_both_sides"]["bars_per_s"]}
    return speeds | taken | against(ours, run["peers"])


def against(ours: Mapping[str, float], peers: Mapping[str, float | str]) -> Measured:
    """How fast each peer is, and how many times as fast each case of ours is; of a peer that did not run, why. Speeds in bars/s."""
    measured: Measured = {}
    for name, found in peers.items():
        measured[figures.PEERS[name]] = found if isinstance(found, str) else (found / _MILLION,)
        for case, speed in ours.items():
            measured[figures.AGAINST[name, case]] = found if isinstance(found, str) else (speed / found,)
    return measured


def _search(scale: Scale) -> Measured:
    if scale is not FULL:
        return {figures.SEARCH: ONLY_WHOLE}
    run = _worker("search")
    return {figures.SEARCH: (run["per_s"]["2"] / run["per_s"]["1"],)}


def _backtest(scale: Scale) -> Measured:
    market = ("--set", "feed.source=simulated", "--set", f"feed.days={scale.year}", "--one-rule")
    return {figure: (_wall(*figure.name.split()[1:], *market),) for figure in figures.BACKTEST}


def _decision_log(scale: Scale) -> Measured:
    run = _worker("decision_log", *(() if scale is FULL else ("--records", "640")))
    values = run["64 callers"]["per_second"], run["500 a second"]["p99_ms"]
    return {figure: (value,) for figure, value in zip(figures.DECISION_LOG, values, strict=True)}


def _service(scale: Scale) -> Measured:
    run = _worker("service", *(() if scale is FULL else ("--seconds", "0.1", "--rounds", "1", "--batches", "1")))
    ratios = [100.0 * ratio for ratio in run["ratios"]]
    values = run["service"]["per_second"], ratios, run["service"]["p99_ms"], (run["computation_us"],)
    return {figure: tuple(each) for figure, each in zip(figures.SERVICE, values, strict=True)}


def _memory(figure: Figure, scale: Scale, store: str) -> Measured:
    return {figure: (_worker("replay", "--days", str(scale.year), "--seeds", "1", "--store", store)["peak_memory"] / _MEGABYTE,)}


def _help(scale: Scale) -> Measured:
    return {figures.HELP: tuple(_wall("--help") for _ in range(scale.repeats))}


def _demo(scale: Scale) -> Measured:
    return {figures.DEMO: tuple(_wall("demo", "--days", str(scale.demo), "--out", "out") for _ in range(scale.repeats))}


def _worker(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``benchmarks.MODULE`` and read the line of JSON that it prints."""
    answer = _run(ROOT, "-m", f"benchmarks.{module}", *arguments)
    result: dict[str, Any] = json.loads(answer)
    return result


def _wall(*arguments: str) -> float:
    """Seconds that an ``alpha-pulse`` command takes as a process, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        _run(Path(folder), "-m", "alpha_pulse", *arguments)
        return time.perf_counter() - start


def _run(folder: Path, *arguments: str) -> str:
    """Standard output of a Python process; what it says on standard error is ours to pass on when it fails.

    Raises:
        SystemExit: it failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TRADING_MODE"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own programs
    if done.returncode:
        raise SystemExit(f"benchmarks: {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout
