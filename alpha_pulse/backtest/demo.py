"""The demo: one replay with everything real (bot, paper broker, store), measured, written down and shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loguru import logger
from rich.console import Console

from alpha_pulse.backtest import console as tables
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.replay import replay
from alpha_pulse.backtest.result import RunResult, paths_of, summarise
from alpha_pulse.backtest.writers import write_run
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.config import StoreSettings
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings

_EVENTS_AT_ONCE = 2000  # a replay's events are written in bulk: there is nothing to lose but a repetition


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo leaves: its figures and the files that hold them."""

    result: RunResult
    files: dict[str, Path]


def run_demo(settings: Settings, *, out: Path, progress: Callable[[float], None] | None = None) -> DemoResult:
    """Run the bot over the settings' market and write result, fills, funding, equity, report and event store into ``out``.

    Raises:
        ConfigError: the settings or the data cannot be run, or ``out`` cannot be written.
    """
    database = out / "events.db"
    for leftover in (database, out / "events.db-wal", out / "events.db-shm"):
        leftover.unlink(missing_ok=True)
    settings = settings.model_copy(update={"store": StoreSettings(url=f"sqlite+aiosqlite:///{database}")})
    configure_logging(settings.logging.model_copy(update={"file": out / "demo.log"}), console=False)
    (out / "demo.log").write_text("")
    record = asyncio.run(_replay(settings, progress))
    bars = Bars.of(record)
    result = summarise(record, bars, paths_of(record, bars))
    files = write_run(record, result, out)
    logger.complete()
    return DemoResult(result, files)


async def _replay(settings: Settings, progress: Callable[[float], None] | None) -> RunRecord:
    engine = await open_database(settings.store.url, durable=False)
    try:
        store = SqlStore(engine, host=SystemHost(), records_every_tick=False, flush_every=_EVENTS_AT_ONCE)
        return await replay(settings, store=store, progress=progress)
    finally:
        await engine.dispose()


def render(demo: DemoResult, console: Console) -> None:
    """Print the tables and where the report is."""
    tables.render(demo.result, console, demo.files["report.html"])
