"""How fast the service answers: ``python -m benchmarks.service``. Prints one line of JSON.

``/hedge`` with the decision log on (SQLite, every answer synced to the disk before it leaves) and a bare FastAPI route that returns a
constant run in processes of their own, one worker each, on the same server with the same settings; here runs the client. Both are asked by
turns, and each round gives one ratio of the two: what else the machine does then concerns both. Throughput is what 64 connections get that
each ask again at once; latency is measured at a fixed rate, from the moment at which a request was due.
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
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from pydantic_core import to_json
from uvicorn.loops.auto import auto_loop_factory

from alpha_pulse.service.parts import Parts
from alpha_pulse.service.questions import HedgeQuestion
from alpha_pulse.service.settings import load_service_settings
from benchmarks.runs import ROOT
from benchmarks.service_client import latencies_ms, throughput
from benchmarks.service_server import BARE, SERVICE

CONNECTIONS: Final = 64
RATE: Final = 500.0  # requests a second at which latency is measured
HEDGE: Final = b'{"asset": "BTC", "amount_usd": 250000, "override_score": 0.7, "depth_usd": 2500000}'
BARE_ROUTE: Final = b"GET /constant HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEDGE_ROUTE: Final = b"POST /hedge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(HEDGE),
    HEDGE,
)
_WARM_UP_S: Final = 1.0


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


async def by_turns(servers: Mapping[str, tuple[int, bytes]], seconds: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Each measurement of each server, one value a round. ``servers`` has port and request by name."""
    found: dict[str, dict[str, list[float]]] = {name: {"per_second": [], "median_ms": [], "p99_ms": []} for name in servers}
    for port, request in servers.values():
        await throughput(port, request, min(seconds, _WARM_UP_S), CONNECTIONS)
    for _ in range(rounds):
        for name, (port, request) in servers.items():
            found[name]["per_second"].append(await throughput(port, request, seconds, CONNECTIONS))
        for name, (port, request) in servers.items():
            taken = await latencies_ms(port, request, seconds, CONNECTIONS, RATE)
            found[name]["median_ms"].append(median(taken))
            found[name]["p99_ms"].append(percentile(taken, 0.99))
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement in each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=50, help="of the computation; the median is taken")
    arguments = parser.parse_args()
    computation = computation_us(arguments.batches)
    with serving(BARE) as bare, serving(SERVICE) as service, asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        servers = {BARE: (bare, BARE_ROUTE), SERVICE: (service, HEDGE_ROUTE)}
        measured = runner.run(by_turns(servers, arguments.seconds, arguments.rounds))
    pairs = zip(measured[SERVICE]["per_second"], measured[BARE]["per_second"], strict=True)
    print(json.dumps({"computation_us": computation, "ratios": [ours / bare for ours, bare in pairs], **measured}))


if __name__ == "__main__":
    main()
