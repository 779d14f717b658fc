"""A market that never stands still, and ends that nobody planned: a bot that hangs, and one that is gone, in the test's own process."""

import asyncio
import contextlib
import itertools

from alpha_pulse.fake_exchange.rehearsal import Rehearsal

PATIENCE_S = 40.0  # on a busy machine an account grows stale in a rehearsal's short terms, and the bot waits


@contextlib.asynccontextmanager
async def lively(folder, settings=None, **options):
    """A rehearsal whose touch moves by a tick ten times a second, as quotes do; mark, index and spot stay where the test puts them."""
    async with Rehearsal.running(folder, settings, **options) as rehearsal:
        breath = asyncio.create_task(_breathe(rehearsal))
        try:
            yield rehearsal
        finally:
            breath.cancel()
            await asyncio.gather(breath, return_exceptions=True)


async def _breathe(rehearsal: Rehearsal) -> None:
    market = rehearsal.fake.venue.market(rehearsal.name)
    for sign in itertools.cycle((1, -1)):
        await asyncio.sleep(0.1)
        last = market.last + sign * market.listed.tick_size
        rehearsal.move(last, mark=market.mark, index=market.index, spot=market.spot)


async def hedged(rehearsal: Rehearsal, price: float = 95_000.0) -> None:
    """Wait for the first orders, let the one that opens the hedge fill, and wait until all is calm again at ``price``."""
    await rehearsal.quiet(PATIENCE_S)
    sign = 1 if rehearsal.live.last[0].inventory > 0 else -1
    async with asyncio.timeout(PATIENCE_S):
        for step in itertools.cycle((5, 0)):
            rehearsal.move(price * (1 + 0.0001 * step * sign))
            with contextlib.suppress(TimeoutError):
                await rehearsal.until(lambda: rehearsal.position * sign < 0, 0.5)
                break
    rehearsal.move(price)
    await rehearsal.quiet(PATIENCE_S)


async def hang(rehearsal: Rehearsal) -> None:
    """The bot stops thinking; its connections and their tasks live on, as in a process whose loop over the market is stuck."""
    bot, run = rehearsal.live, rehearsal._run
    rehearsal._run = None
    bot._instrument = None  # ``stop`` has nothing to end
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    if bot._waiting is not None:
        bot._waiting.cancel()
        await asyncio.gather(bot._waiting, return_exceptions=True)


async def kill(rehearsal: Rehearsal) -> None:
    """The bot is gone at once: nothing is cancelled, recorded or disarmed."""
    await hang(rehearsal)
    bot = rehearsal.live
    bot.broker.live.armed_at.clear()  # a dead process disarms nothing
    await bot.store.close()  # its lock dies with it
    await bot.broker.close()
