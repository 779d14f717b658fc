"""A backtest: the run itself with its events stored, the same run under the other fill rules, measured and written down."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger

from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.engines import EngineName, Progress, run_engine
from alpha_pulse.backtest.export import EXPORTED, ExportFormat, export_run
from alpha_pulse.backtest.fill_rules import FILL_RULES, RuleFigures, rule_figures
from alpha_pulse.backtest.monte_carlo import MonteCarloPlan, run_monte_carlo
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.result import RunResult, paths_of, summarise
from alpha_pulse.backtest.static_benchmark import static_benchmark
from alpha_pulse.backtest.writers import MONTE_CARLO, write_run
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.config import StoreSettings
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings

_EVENTS_AT_ONCE = 2000  # a replay's events are written in bulk: there is nothing to lose but a repetition
_UNFINISHED = ".unfinished"  # in the folder of results: the run that is going on
_FAILED = "failed.log"
_EVENTS = "events.db"
_NOT_OF_EVERY_RUN = EXPORTED | {MONTE_CARLO, _FAILED, f"{_EVENTS}-wal", f"{_EVENTS}-shm"}


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What a backtest leaves: its figures and the files that hold them, by name."""

    result: RunResult
    files: dict[str, Path]


def run_backtest(
    settings: Settings,
    *,
    out: Path,
    engine: EngineName = "replay",
    every_rule: bool = True,
    export: ExportFormat | None = None,
    monte_carlo: MonteCarloPlan | None = None,
    progress: Progress | None = None,
) -> BacktestResult:
    """Run the settings' market to its end and write every file of the run into ``out``, as ``replaced`` does.

    Args:
        settings: of one pair, on a market that ends; ``paper.fill_rule`` is the rule of the run itself.
        out: an existing folder.
        engine: what runs it.
        every_rule: run the other fill rules as well, for the comparison.
        export: tables of every bar, fill, settlement and figure in this format too.
        monte_carlo: run on resampled markets as well, for the spread.
        progress: is told the share of all runs that is done, 0 … 1.

    Raises:
        ConfigError: the settings or the data cannot be run.
    """
    with replaced(out, "backtest.log") as folder:
        result, files = _run(settings, folder, engine, every_rule=every_rule, export=export, monte_carlo=monte_carlo, progress=progress)
    return BacktestResult(result, {name: out / name for name in files})


def _run(
    settings: Settings,
    out: Path,
    engine: EngineName,
    *,
    every_rule: bool,
    export: ExportFormat | None,
    monte_carlo: MonteCarloPlan | None,
    progress: Progress | None,
) -> tuple[RunResult, dict[str, Path]]:
    others = [rule for rule in FILL_RULES if every_rule and rule != settings.paper.fill_rule]
    resampled = 0 if monte_carlo is None else monte_carlo.paths
    runs = 1 + len(others) + resampled

    def told(number: int, count: int = 1) -> Progress | None:
        return None if progress is None else lambda share: progress((number + share * count) / runs)

    record = run_into(settings, out=out, log="backtest.log", engine=engine, progress=told(0))
    bars = Bars.of(record)
    paths = paths_of(record, bars)
    result = replace(summarise(record, bars, paths), benchmark=static_benchmark(record, bars, paths))
    if others:
        found: dict[str, RuleFigures] = {settings.paper.fill_rule: rule_figures(result)}
        for number, rule in enumerate(others, 1):
            found[rule] = _under(settings, rule, engine, told(number))
        result = replace(result, fill_rules={rule: found[rule] for rule in FILL_RULES})
    if monte_carlo is not None:
        with _silence():
            result = replace(result, monte_carlo=run_monte_carlo(settings, record, monte_carlo, told(1 + len(others), resampled)))
    files = write_run(record, result, out)
    if export is not None:
        files |= export_run(record, result, bars, paths, out, export)
    return result, files


@contextmanager
def replaced(out: Path, log: str) -> Iterator[Path]:
    """A folder for the files of a run, which take the place of an earlier run's in ``out`` once the run is over.

    A run that fails leaves ``out`` as it was, and what it logged in ``failed.log``.
    """
    folder = out / _UNFINISHED
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir(parents=True)
    try:
        yield folder
        logger.remove()  # closes the log
        for name in _NOT_OF_EVERY_RUN:
            (out / name).unlink(missing_ok=True)
        for path in sorted(folder.iterdir()):
            path.replace(out / path.name)
    except BaseException:
        logger.remove()
        if (folder / log).is_file() and (folder / log).stat().st_size:
            (folder / log).replace(out / _FAILED)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_into(settings: Settings, *, out: Path, log: str, engine: EngineName = "replay", progress: Progress | None = None) -> RunRecord:
    """Run once, with the events in ``out/events.db`` and the bot's log in ``out/LOG``; ``out`` must be empty.

    Raises:
        ConfigError: the settings or the data cannot be run.
    """
    database = out / _EVENTS
    settings = settings.model_copy(update={"store": StoreSettings(url=f"sqlite+aiosqlite:///{database}")})
    configure_logging(settings.logging.model_copy(update={"file": out / log}), console=False)
    return asyncio.run(_stored(settings, engine, progress))


async def _stored(settings: Settings, engine: EngineName, progress: Progress | None) -> RunRecord:
    if engine != "replay":
        return await run_engine(engine, settings, progress=progress)
    database = await open_database(settings.store.url, durable=False)
    try:
        store = SqlStore(database, host=SystemHost(), records_every_tick=False, flush_every=_EVENTS_AT_ONCE)
        return await run_engine(engine, settings, store=store, progress=progress)
    finally:
        await database.dispose()


def _under(settings: Settings, rule: str, engine: EngineName, progress: Progress | None) -> RuleFigures:
    """The same run under another fill rule; its log would only repeat the first one's."""
    changed = settings.model_copy(update={"paper": settings.paper.model_copy(update={"fill_rule": rule})})
    with _silence():
        return rule_figures(summarise(asyncio.run(run_engine(engine, changed, progress=progress))))


@contextmanager
def _silence() -> Iterator[None]:
    logger.disable("alpha_pulse")
    try:
        yield
    finally:
        logger.enable("alpha_pulse")
