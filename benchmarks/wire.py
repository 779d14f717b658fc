"""From a websocket update to a create request on the wire: ``python -m benchmarks.wire``. Prints a line of JSON: per case the times in ms.

The fake exchange runs in a process of its own (``benchmarks.wire_venue``), which fills a resting order and reads the clock; here runs what
answers with the counter-order: the real bot with everything that it does (record on SQLite, risk check), or a bare loop over ccxt.pro.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from loguru import logger

from alpha_pulse.bootstrap import build_bot
from alpha_pulse.execution.sql_journal import SqlJournal
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, DEFAULT_SECRET
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.market.ccxt_mapping import make_exchange
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import Settings
from benchmarks.runs import ROOT
from benchmarks.wire_venue import SYMBOL

_KEYS = {"EXCHANGE_API_KEY": DEFAULT_KEY, "EXCHANGE_API_SECRET": DEFAULT_SECRET}
_PERPETUAL = "BTC/USDT:USDT"
_WARM_UP = 20
_SETTLE_S = 2.0
BOT, UNRECORDED, MOVES_STOP, BARE = CASES = ("bot", "bot without a database", "bot that moves its stop first", "bare ccxt")


class Venue:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process, urls: dict[str, str]) -> None:
        self._process = process
        self.urls = urls

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls) -> AsyncIterator[Venue]:
        """Start it, and end it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.wire_venue", cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
        )  # fmt: skip
        try:
            yield cls(process, json.loads(await _line(process)))
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()

    async def time(self, fills: int) -> list[tuple[int, int]]:
        """Have orders filled; the times of those that were answered [ns]: until anything changed an order, and until a create."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{fills}\n".encode())
        found: list[tuple[int, int]] = json.loads(await _line(self._process))
        return found


async def _line(process: asyncio.subprocess.Process) -> bytes:
    return b"" if process.stdout is None else await process.stdout.readline()


@contextlib.asynccontextmanager
async def the_bot(urls: Mapping[str, str], case: str) -> AsyncIterator[None]:
    """A bot on the default settings, as fast as it may be, with its record in a file of SQLite or in memory."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "mode": "real",
            "symbol": SYMBOL,
            "inventory": {"quantity": "1"},
            "hedge": {"escalate_after_s": 0},
            "risk": {} if case == MOVES_STOP else {"stop_loss_pct": None},
            "feed": {"source": "ccxt", "update_interval_s": 0},
            "exchange": dict(urls),
            "store": {"url": f"sqlite+aiosqlite:///{Path(folder) / 'bots.db'}"},
        }
        settings = Settings.read(given)
        engine = await open_database(settings.store.url)
        recorded = case != UNRECORDED
        store = SqlStore(engine, host=SystemHost(), commands_every_ms=200) if recorded else None
        journal = SqlJournal(engine, SYMBOL) if recorded else None
        bot = build_bot(settings, store=store, journal=journal, environ=_KEYS)
        run = asyncio.create_task(bot.run())
        try:
            await asyncio.sleep(_SETTLE_S)
            yield
        finally:
            bot.request_stop("measured")
            await run
            await engine.dispose()


@contextlib.asynccontextmanager
async def bare_ccxt(urls: Mapping[str, str], _case: str) -> AsyncIterator[None]:
    """Nothing but ``watch_orders``, and ``create_order`` on the other side for each order that filled."""
    stream, rest = (make_exchange("binanceusdm", rest_url=urls["rest_url"], ws_url=urls["ws_url"]) for _ in range(2))
    for exchange in (stream, rest):
        exchange.apiKey, exchange.secret = DEFAULT_KEY, DEFAULT_SECRET
        await exchange.load_markets()
    await rest.create_order(_PERPETUAL, "limit", "sell", 0.01, 96_000.0, {"timeInForce": "GTX"})

    async def answer() -> None:
        while True:
            for order in await stream.watch_orders(_PERPETUAL):
                if order["status"] == "closed":
                    side, price = ("buy", 94_000.0) if order["side"] == "sell" else ("sell", 96_000.0)
                    await rest.create_order(_PERPETUAL, "limit", side, 0.01, price, {"timeInForce": "GTX"})

    task = asyncio.create_task(answer())
    try:
        await asyncio.sleep(_SETTLE_S)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for exchange in (stream, rest):
            await exchange.close()


async def measure(case: str, fills: int) -> dict[str, float]:
    """One case on a fresh exchange: how many fills were answered, and the times [ms]."""
    client = bare_ccxt if case == BARE else the_bot
    async with Venue.running() as venue, client(venue.urls, case):
        await venue.time(_WARM_UP)
        times = await venue.time(fills)
    creates, firsts = [create for _, create in times], [first for first, _ in times]
    return {
        "count": len(times),
        "median": _rank(creates, 0.5),
        "p99": _rank(creates, 0.99),
        "first_median": _rank(firsts, 0.5),
        "first_p99": _rank(firsts, 0.99),
    }


def _rank(nanoseconds: Sequence[int], rank: float) -> float:
    """A percentile (nearest rank) in ms; NaN of nothing."""
    return sorted(nanoseconds)[math.ceil(rank * len(nanoseconds)) - 1] / 1e6 if nanoseconds else math.nan


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=200, help="that are answered, in each case")
    parser.add_argument("--cases", nargs="+", default=list(CASES), help="which of them")
    arguments = parser.parse_args()
    logger.remove()
    print(json.dumps({case: asyncio.run(measure(case, arguments.fills)) for case in arguments.cases}))


if __name__ == "__main__":
    main()
