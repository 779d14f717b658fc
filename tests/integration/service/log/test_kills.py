"""kill -9 at any instant of a real process that records, and the next one goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from alpha_pulse.service.log.decision_log import open_log
from tests.integration.service.log.conftest import terminate
from tests.integration.service.log.test_outages import FAST, stored
from tests.unit.service.log.decisions import until

RECORDS = """
import asyncio, itertools, os, sys
from alpha_pulse.service.log.decision_log import open_log
from tests.unit.service.log.decisions import decision

async def main(folder, dsn, first):
    numbers = itertools.count(int(first))
    async def caller(log):
        for number in numbers:
            await log.record(decision(number))
            os.write(1, b"%d\\n" % number)
    log = await open_log(folder, dsn, linger_s=0.0, batch=100, breaker_reset_s=0.2, segment_bytes=100_000)
    await asyncio.gather(*(caller(log) for _ in range(16)))

asyncio.run(main(*sys.argv[1:]))
"""

KILLS = 3
APART = 1_000_000  # numbers of one run from those of the next


async def recording(folder: Path, dsn: str, run: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", RECORDS, str(folder), dsn, str(run * APART + 1), stdout=PIPE, stderr=PIPE
    )


async def killed(process: Process, after_s: float) -> list[int]:
    """Kill it so long after its first answer; the numbers that it had answered."""
    assert process.stdout is not None
    first = await process.stdout.readline()
    assert first, (await process.communicate())[1].decode()
    await asyncio.sleep(after_s)
    process.kill()
    answers, _ = await process.communicate()
    return [int(first), *(int(line) for line in answers.split(b"\n")[:-1])]


async def test_a_process_that_is_killed_again_and_again_loses_nothing_that_it_answered(dsn, tmp_path):
    instants = random.Random(7)  # noqa: S311 - a test
    answered: list[int] = []
    for run in range(KILLS):
        process = await recording(tmp_path / "spool", dsn, run)
        if dsn.startswith("postgres") and run == 1:
            await terminate(dsn)
        answered += await killed(process, instants.uniform(0.0, 0.3))
    async with await open_log(tmp_path / "spool", dsn, **FAST) as log:
        await until(lambda: not log.state().spooled, 30.0)
    ids = [int(identity) for identity in await stored(dsn)]
    assert ids == sorted(set(ids)), "in order, each once"
    assert set(answered) <= set(ids)
    for run in range(KILLS):
        mine = [identity for identity in ids if identity // APART == run]
        assert mine == list(range(run * APART + 1, run * APART + 1 + len(mine))), "no holes"
    assert len(answered) > KILLS
