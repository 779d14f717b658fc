"""The demo: one replay with everything real (bot, paper broker, store), measured, written down and shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from alpha_pulse.backtest import console as tables
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.result import RunResult, paths_of, summarise
from alpha_pulse.backtest.run import replaced, run_into
from alpha_pulse.backtest.static_benchmark import static_benchmark
from alpha_pulse.backtest.writers import write_run
from alpha_pulse.settings import Settings


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo leaves: its figures and the files that hold them."""

    result: RunResult
    files: dict[str, Path]


def run_demo(settings: Settings, *, out: Path, progress: Callable[[float], None] | None = None) -> DemoResult:
    """Run the bot over the settings' market and write result, fills, funding, equity, report and event store into ``out``, as
    ``replaced`` does.

    Raises:
        ConfigError: the settings or the data cannot be run, or ``out`` cannot be written.
    """
    with replaced(out, "demo.log") as folder:
        record = run_into(settings, out=folder, log="demo.log", progress=progress)
        bars = Bars.of(record)
        paths = paths_of(record, bars)
        result = replace(summarise(record, bars, paths), benchmark=static_benchmark(record, bars, paths))
        files = write_run(record, result, folder)
    return DemoResult(result, {name: out / name for name in files})


def render(demo: DemoResult, console: Console) -> None:
    """Print the tables and where the report is."""
    tables.render(demo.result, console, demo.files["report.html"])
