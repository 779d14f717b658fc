"""Runs a configuration as ``alpha-pulse run`` does, and measures itself: the loop's lag, memory and processor time.

Arguments: the configuration file, and where the measurements go (a line of JSON every five seconds).
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from alpha_pulse.bootstrap import run_bot
from alpha_pulse.settings import load_settings

SAMPLE_S, REPORT_S = 0.005, 5.0


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1e6


async def measure(file: Path) -> None:
    loop = asyncio.get_running_loop()
    begun = reported = loop.time()
    lags: list[float] = []
    with file.open("w", encoding="utf-8") as output:
        while True:
            asked = loop.time()
            await asyncio.sleep(SAMPLE_S)
            now = loop.time()
            lags.append(now - asked - SAMPLE_S)
            if now - reported >= REPORT_S:
                lags.sort()
                line = {
                    "at_s": round(now - begun, 1),
                    "cpu_s": round(time.process_time(), 2),
                    "resident_mb": round(resident_mb(), 1),
                    "lag_p50_ms": round(1000 * lags[len(lags) // 2], 2),
                    "lag_p99_ms": round(1000 * lags[len(lags) * 99 // 100], 2),
                    "lag_max_ms": round(1000 * lags[-1], 2),
                    "lags_over_50_ms": sum(1 for lag in lags if lag > 0.05),
                    "samples": len(lags),
                }
                print(json.dumps(line), file=output, flush=True)
                lags.clear()
                reported = now


async def main(config: str, measurements: str) -> int:
    measuring = asyncio.create_task(measure(Path(measurements)))
    try:
        return await run_bot(load_settings(config).settings)
    finally:
        measuring.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2])))
