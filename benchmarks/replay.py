"""Replays in a process of their own: ``python -m benchmarks.replay``. Prints one line of JSON: bars, fills, seconds, peak memory in bytes.

The clock runs from the settings to the finished record; imports are done before it starts.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.replay import replay
from alpha_pulse.hedging.state.memory import MemoryStore
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings

_EVENTS_AT_ONCE = 2000  # as `alpha-pulse demo` has it
_RECORDED = {
    "spot": "binance_spot_BTCUSDT_1m_2025-05-20_2025-06-24.parquet",
    "perp": "binance_perp_BTCUSDT_1m_2025-05-20_2025-06-24.parquet",
    "funding": "binance_funding_BTCUSDT_2025-05-20_2025-06-24.parquet",
}


def settings_for(*, days: float = 0.0, seed: int = 7, data: Path | None = None) -> Settings:
    """The defaults with 5 levels a side, over a simulated market of ``days`` or the recorded one in ``data``."""
    if data is None:
        return Settings.read({"num_levels": 5, "feed": {"source": "simulated", "days": days, "seed": seed}})
    return Settings.read({"num_levels": 5, "feed": {"source": "recorded", **{name: data / file for name, file in _RECORDED.items()}}})


async def replay_with(settings: Settings, store: str, folder: Path) -> RunRecord:
    """Replay with the store that is named: ``memory`` or ``sqlite``."""
    if store == "memory":
        return await replay(settings, store=MemoryStore())
    engine = await open_database(f"sqlite+aiosqlite:///{folder / f'events-{settings.feed.seed}.db'}", durable=False)
    try:
        buffered = SqlStore(engine, host=SystemHost(), records_every_tick=False, flush_every=_EVENTS_AT_ONCE)
        return await replay(settings, store=buffered)
    finally:
        await engine.dispose()


def peak_memory() -> int:
    """Peak resident memory of this process so far [bytes]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in kilobytes


def stay_on_one_core() -> None:
    """Keep every thread of this process on one core, where the system lets us."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    """Parse, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--days", type=float, default=30.0, help="of each simulated market")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7], help="a simulated market for each")
    parser.add_argument("--data", type=Path, help="folder of recorded candles, instead of simulated markets")
    arguments = parser.parse_args()
    seeds = [0] if arguments.data else arguments.seeds
    for module in ("alpha_pulse.market.simulated", *(("alpha_pulse.market.recorded", "pyarrow.parquet") if arguments.data else ())):
        importlib.import_module(module)  # what a feed imports when it is chosen
    stay_on_one_core()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configure_logging(LoggingSettings(file=folder / "bench.log"), console=False)
        bars = fills = 0
        start = time.perf_counter()
        for seed in seeds:
            settings = settings_for(days=arguments.days, seed=seed, data=arguments.data)
            record = asyncio.run(replay_with(settings, arguments.store, folder))
            bars, fills = bars + len(record.ts_ms), fills + len(record.fills)
        seconds = time.perf_counter() - start
    print(json.dumps({"bars": bars, "fills": fills, "seconds": seconds, "peak_memory": peak_memory()}))


if __name__ == "__main__":
    main()
