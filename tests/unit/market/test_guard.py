"""What stands before an exchange's limiter."""

import subprocess
import sys

CLOCK_SET_BACK = """
import time

wall, back = time.time, [0.0]
time.time = lambda: wall() - back[0]  # as the network's time sets it, before anybody asks

import asyncio

from alpha_pulse.market.ccxt_mapping import make_exchange
from alpha_pulse.market.guard import RequestGuard


async def main():
    for name, at_once in (("okx", 1), ("bitget", 20)):  # of the two ways in which ccxt counts, one each
        exchange = RequestGuard().install(make_exchange(name))
        exchange.throttler.config["windowSize"] /= 10  # so that nobody waits for long
        requests = [asyncio.create_task(exchange.throttle(1)) for _ in range(at_once + 1)]
        await asyncio.wait(requests[:at_once])
        assert not requests[-1].done()
        back[0] += 7200.0
        await asyncio.wait_for(requests[-1], 5.0)
        await exchange.close()


asyncio.run(main())
"""


def test_a_wall_clock_that_is_set_back_holds_no_request_up():
    subprocess.run([sys.executable, "-c", CLOCK_SET_BACK], check=True, timeout=60)  # noqa: S603 - our own
