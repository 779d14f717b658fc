"""A fake exchange in a process of its own, whose prices move ten times a second. Arguments: how many symbols, and a seed."""

import asyncio
import itertools
import json
import random
import sys

from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig, LimitsConfig, many_symbols
from alpha_pulse.fake_exchange.server import FakeExchange

EVERY_S = 0.1
STEP, PULL = 0.0002, 0.0002  # of a price, at each move: how far it strays, and how much of its distance from the start it comes back


async def main(count: int, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - prices of a test
    limits = LimitsConfig(weight_per_minute=10_000_000, orders_per_minute=10_000_000)
    config = FakeConfig(symbols=many_symbols(count), accounts=(AccountConfig(usdt=100_000),), limits=limits)
    async with FakeExchange.running(config) as fake:
        print(json.dumps({"rest_url": fake.rest_url, "ws_url": fake.ws_url}), flush=True)  # noqa: T201 - for whoever started it
        first = {symbol.name: float(symbol.start_price()) for symbol in config.symbols}
        away = dict.fromkeys(first, 0.0)
        loop = asyncio.get_running_loop()
        due = loop.time()
        for name in itertools.cycle(away):
            due += EVERY_S / count
            await asyncio.sleep(max(0.0, due - loop.time()))
            away[name] += dice.gauss(0.0, STEP) - PULL * away[name]
            fake.venue.set_price(name, round(first[name] * (1.0 + away[name]), 2))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
