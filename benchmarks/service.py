"""How fast the service answers: ``python -m benchmarks.service``. Prints one line of JSON.

``/hedge`` with the decision log on (SQLite, every answer synced to the disk before it leaves) and a bare FastAPI route that returns a
constant run in processes of their own, one worker each, on the same server with the same settings; here runs the client. Throughput is
what 32 connections get that each ask again at once; latency is measured at a fixed rate, from the moment at which a request was due, so
that a server that stalls is charged for everybody who would have waited.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from pydantic_core import to_json

from alpha_pulse.service.parts import Parts
from alpha_pulse.service.questions import HedgeQuestion
from alpha_pulse.service.settings import load_service_settings
from benchmarks.runs import ROOT
from benchmarks.service_server import BARE, SERVICE

CONNECTIONS: Final = 32
RATE: Final = 500.0  # requests a second at which latency is measured
HEDGE: Final = b'{"asset": "BTC", "amount_usd": 250000, "override_score": 0.7, "depth_usd": 2500000}'
BARE_ROUTE: Final = b"GET /constant HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEDGE_ROUTE: Final = b"POST /hedge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(HEDGE),
    HEDGE,
)
_WARM_UP_S: Final = 1.0


class Connection:
    """One keep-alive connection that asks the same thing again and again."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request

    @classmethod
    async def open(cls, port: int, request: bytes) -> Connection:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), request)

    async def ask(self) -> None:
        """Send it, and read the whole answer. Raises RuntimeError for anything but 200."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"the server answered {head.decode('latin-1')}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def throughput(port: int, request: bytes, seconds: float) -> float:
    """Requests a second of all connections together."""
    connections = [await Connection.open(port, request) for _ in range(CONNECTIONS)]
    start = time.perf_counter()
    end, count = start + seconds, 0

    async def again_and_again(connection: Connection) -> None:
        nonlocal count
        await connection.ask()
        count += 1
        while time.perf_counter() < end:
            await connection.ask()
            count += 1

    try:
        async with asyncio.TaskGroup() as asking:
            for connection in connections:
                asking.create_task(again_and_again(connection))
        return count / (time.perf_counter() - start)
    finally:
        for connection in connections:
            await connection.close()


async def latencies_ms(port: int, request: bytes, seconds: float) -> list[float]:
    """Time of each request from the moment at which it was due, ms."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Connection.open(port, request))
    found: list[float] = []

    async def one(due: float) -> None:
        connection = await free.get()
        await connection.ask()
        free.put_nowait(connection)
        found.append((time.perf_counter() - due) * 1e3)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as asking:
        for number in range(round(seconds * RATE)):
            due = start + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asking.create_task(one(due))
    while not free.empty():
        await free.get_nowait().close()
    return found


def computation_us(batches: int) -> float:
    """Everything but I/O for one ``/hedge``: body to model, sizer, decision with its stamps, metrics, answer to bytes [µs, median]."""
    parts = Parts(load_service_settings({"HE_CURVES": str(ROOT / "config" / "curve_knots.yaml")}))
    validate = HedgeQuestion.__pydantic_validator__.validate_json
    calls, taken = 1000, []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(calls):
            began = time.perf_counter()
            curves = parts.curves.current
            decision = parts.decide(parts.desk.hedge(validate(HEDGE), curves), "hedge", curves, "")
            parts.metrics.computed("hedge", time.perf_counter() - began)
            to_json(dict(decision.response))
        taken.append((time.perf_counter() - start) / calls)
    return median(taken) * 1e6


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextlib.contextmanager
def serving(which: str) -> Iterator[int]:
    """A server in a process of its own; its port is yielded."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HE_")}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        command = [sys.executable, "-m", "benchmarks.service_server", which]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE)  # noqa: S603 - our own program
        try:
            line = b"" if process.stdout is None else process.stdout.readline()
            if not line:
                raise SystemExit("benchmarks.service: the server did not start")
            yield int(line)
        finally:
            process.terminate()
            process.communicate()


async def measure(port: int, request: bytes, seconds: float) -> dict[str, float]:
    """Throughput, then latency."""
    await throughput(port, request, min(seconds, _WARM_UP_S))
    rate = await throughput(port, request, seconds)
    taken = await latencies_ms(port, request, seconds)
    return {"per_second": rate, "median_ms": median(taken), "p99_ms": percentile(taken, 0.99)}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--batches", type=int, default=50, help="of the computation; the median is taken")
    arguments = parser.parse_args()
    measured: dict[str, object] = {"computation_us": computation_us(arguments.batches)}
    for which, request in ((BARE, BARE_ROUTE), (SERVICE, HEDGE_ROUTE)):
        with serving(which) as port:
            measured[which] = asyncio.run(measure(port, request, arguments.seconds))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
