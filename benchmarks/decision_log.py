"""How long an answer waits for its record: ``python -m benchmarks.decision_log``. Prints one line of JSON: per case records a second, and
median and p99 of ``record()`` in ms.

The decision log as the service runs it, the delivery to the database included, with its spool on the disk of ``--folder``; and beside it
what the same disk takes to sync an append of one record. An answer cannot be quicker than that disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loguru import logger

from alpha_pulse.service.log.codec import encode
from alpha_pulse.service.log.decision_log import SpooledDecisionLog, open_log
from alpha_pulse.service.log.folder import sync
from alpha_pulse.service.ports import Decision

CALLERS = 64
_WARM_UP = 500


def decision(number: int) -> Decision:
    """A hedge decision of the usual size."""
    return Decision(
        decision_id=f"{number:026d}",
        ts_ms=1_700_000_000_000 + number,
        kind="hedge",
        asset="BTC",
        request={"asset": "BTC", "amount_usd": 1_000_000.0, "override_score": None, "depth_usd": None},
        response={"hedge_pct": 0.5631, "notional_usd": 563_100.0, "confidence": 0.81, "version": "0.1.0", "ts_ms": number},
        contributions={"score": {"value": 0.42, "source": "redis", "age_ms": 120}, "depth": {"usd": 2.5e7, "source": "default"}},
        curve_hash="c" * 64,
        version="0.1.0",
        client="desk",
    )


async def flat_out(log: SpooledDecisionLog, first: int, count: int, callers: int) -> dict[str, Any]:
    """So many callers, each of which records its next decision as soon as the last one is durable."""
    numbers, taken = iter(range(first, first + count)), list[int]()

    async def call() -> None:
        for number in numbers:
            each = decision(number)
            start = time.perf_counter_ns()
            await log.record(each)
            taken.append(time.perf_counter_ns() - start)

    start = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return {"per_second": count / (time.perf_counter() - start)} | summary(taken)


async def paced(log: SpooledDecisionLog, first: int, count: int, per_second: float) -> dict[str, Any]:
    """So many a second, evenly, whether the last one is durable or not."""
    taken, calls = list[int](), list[asyncio.Task[None]]()

    async def call(number: int) -> None:
        start = time.perf_counter_ns()
        await log.record(decision(number))
        taken.append(time.perf_counter_ns() - start)

    begin = time.perf_counter()
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
        calls.append(asyncio.create_task(call(first + number)))
    await asyncio.gather(*calls)
    return {"per_second": count / (time.perf_counter() - begin)} | summary(taken)


def bare_disk(folder: Path, count: int) -> dict[str, Any]:
    """Appends of one record and a sync each, by nobody but this loop."""
    record, taken = encode(decision(0)), list[int]()
    with ExitStack() as stack:
        path = folder / "bare"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        stack.callback(path.unlink)
        stack.callback(os.close, descriptor)
        for _ in range(count):
            start = time.perf_counter_ns()
            os.write(descriptor, record)
            sync(descriptor)
            taken.append(time.perf_counter_ns() - start)
    return summary(taken)


def summary(nanoseconds: list[int]) -> dict[str, Any]:
    """Median and 99th percentile (nearest rank) in ms."""
    ordered = sorted(nanoseconds)
    return {name: ordered[math.ceil(rank * len(ordered)) - 1] / 1e6 for name, rank in {"median_ms": 0.5, "p99_ms": 0.99}.items()}


async def measure(folder: Path, dsn: str, count: int) -> dict[str, Any]:
    """Every case, one after the other, on one log."""
    async with await open_log(folder / "spool", dsn) as log:
        await flat_out(log, 0, _WARM_UP, CALLERS)
        measured: dict[str, Any] = {f"{CALLERS} callers": await flat_out(log, 1_000_000, count, CALLERS)}
        recorded = time.perf_counter()
        while log.state().spooled:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)
        measured[f"{CALLERS} callers"]["delivered_after_s"] = time.perf_counter() - recorded
        measured["500 a second"] = await paced(log, 2_000_000, count // 8, 500.0)
        measured["1 caller"] = await flat_out(log, 3_000_000, count // 32, 1)
        measured["problem"] = log.state().problem
    measured["bare disk"] = bare_disk(folder, count // 32)
    return measured


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--records", type=int, default=20_000, help="by the 64 callers; an eighth and a thirty-second of them in the other cases"
    )
    parser.add_argument("--dsn", default="", help="database behind the log [a SQLite file beside the spool]")
    parser.add_argument("--folder", type=Path, default=None, help="where the spool lies [the system's temporary folder]")
    arguments = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        dsn = arguments.dsn or f"sqlite:///{folder}/decisions.db"
        print(json.dumps(asyncio.run(measure(folder, dsn, arguments.records))))


if __name__ == "__main__":
    main()
