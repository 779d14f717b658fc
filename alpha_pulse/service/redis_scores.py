"""Scores and depths from Redis: messages as they come, keys now and then, and patience while it is away.

A publisher sets the key ``sentiment:latest:BTC`` and publishes the same text on the channel of the same name; either alone will do. The
text is JSON, ``{"score": 0.7, "ts_ms": 1764000000000}``, or the bare number, with its stamp under ``sentiment:latest:BTC:ts_ms``. Depths
are read from ``depth:latest:BTC`` in the same way (``{"depth_usd": 2500000, "ts_ms": ...}``); a bare depth without a stamp
counts from when that number was first read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from loguru import logger

from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.masking import mask
from alpha_pulse.service.score_board import ScoreBoard, read_number
from alpha_pulse.service.settings import ServiceSettings
from alpha_pulse.service.sources import Score

if TYPE_CHECKING:
    from redis.asyncio import Redis

_SCORE, _DEPTH, _STAMP = "sentiment:latest:", "depth:latest:", ":ts_ms"
_TIMEOUT_S: Final = 2.0
_PING_S: Final = 5
_WAITS_S: Final = (0.1, 0.2, 0.5, 1.0)  # between attempts while Redis is away; the last one repeats
_DEEPEST_USD: Final = 1e15
_NOT_YET: Final = "Redis was not asked yet"
_KEYS, _MESSAGES = "keys", "messages"


class RedisScores:
    """Follows a Redis. Answers come from memory, so that a slow Redis delays nobody.

    Args:
        settings: URL, assets, how often keys are read, what is stale.
        clock: decides what is stale.
    """

    def __init__(self, settings: ServiceSettings, clock: Clock) -> None:
        self.board = ScoreBoard(settings.assets, clock, stale_score_s=settings.stale_score_s, stale_depth_s=settings.stale_depth_s)
        self._url = settings.redis_url or ""
        self._poll_s = settings.redis_poll_s
        self._problems = {_KEYS: _NOT_YET, _MESSAGES: _NOT_YET}
        self._tasks: list[asyncio.Task[None]] = []
        self._client: Redis | None = None

    def score(self, asset: str) -> Score:
        """The score to use now, or why there is none."""
        found = self.board.score(asset)
        problem = self.problem()
        if found.value is None and problem:
            return Score(None, found.ts_ms, f"{found.reason}; {problem}")
        return found

    def depth_usd(self, asset: str) -> float | None:
        """Depth of the order book, USD, if a recent one is known."""
        return self.board.depth_usd(asset)

    def ages_s(self) -> dict[str, float]:
        """Seconds since the latest stamp of each asset."""
        return self.board.ages_s()

    def problem(self) -> str:
        """Why keys or messages do not come; "" if both do."""
        return "; ".join(dict.fromkeys(problem for problem in self._problems.values() if problem))

    async def start(self) -> None:
        """Begin to follow."""
        self._client = _client(self._url)
        self._tasks = [
            asyncio.create_task(self._again_and_again(_KEYS, self._poll), name="scores: poll"),
            asyncio.create_task(self._again_and_again(_MESSAGES, self._listen), name="scores: listen"),
        ]

    async def close(self) -> None:
        """End."""
        following = set(self._tasks)
        while following:  # a cancellation that meets a time-out of redis-py is taken for that time-out
            for task in following:
                task.cancel()
            _, following = await asyncio.wait(following, timeout=_TIMEOUT_S)
        self._tasks = []
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def poll_once(self) -> None:
        """Read all keys in one go. Raises what redis-py raises."""
        if self._client is None:
            return
        assets = self.board.assets
        kinds = (_SCORE, _DEPTH)
        keys = [f"{kind}{asset}{end}" for asset in assets for kind in kinds for end in ("", _STAMP)]
        values = await self._client.mget(keys)
        for index, asset in enumerate(assets):
            score, score_stamp, depth, depth_stamp = values[4 * index : 4 * index + 4]
            if score is not None:  # a publisher that only publishes leaves no key
                self.board.put_score(asset, read_number(score, score_stamp, "score", highest=1.0))
            self.board.put_depth(asset, read_number(depth, depth_stamp, "depth_usd", highest=_DEEPEST_USD))

    async def _poll(self) -> None:
        while True:
            await self.poll_once()
            self._works(_KEYS)
            await asyncio.sleep(self._poll_s)

    async def _listen(self) -> None:
        if self._client is None:
            return
        channels = {f"{_SCORE}{asset}": asset for asset in self.board.assets}
        async with self._client.pubsub() as channel:
            await channel.subscribe(*channels)
            while True:
                message = await channel.get_message(timeout=_TIMEOUT_S)
                if message is None:
                    continue
                self._works(_MESSAGES)  # before that a server that says nothing, or may refuse, is not known to be there
                if message["type"] == "message":
                    await self._heard(channels[message["channel"].decode()], message["data"])

    async def _heard(self, asset: str, data: bytes) -> None:
        reading = read_number(data, None, "score", highest=1.0)
        if reading is not None and not reading.problem and not reading.ts_ms:
            await self.poll_once()  # a bare number: its stamp is under a key
        else:
            self.board.put_score(asset, reading)

    async def _again_and_again(self, what: str, follow: Callable[[], Awaitable[None]]) -> None:
        """Follow; when that fails, try again until it works."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await follow()
            except Exception as error:  # noqa: BLE001 - what is no RESP makes redis-py raise anything, and scores must come again
                if asyncio.get_running_loop().time() - began > _WAITS_S[-1]:
                    failures = 0  # it worked for a while
                self._fails(what, error)
                await asyncio.sleep(_WAITS_S[min(failures, len(_WAITS_S) - 1)])
                failures += 1

    def _fails(self, what: str, error: Exception) -> None:
        """Note why; another kind of failure than the one before is logged."""
        problem = f"Redis gives no {what} ({type(error).__name__})"
        if problem != self._problems[what]:
            logger.warning("Redis gives no {}: {}", what, mask(str(error)))
        self._problems[what] = problem

    def _works(self, what: str) -> None:
        """Note it; the end of a failure is logged."""
        if self._problems[what] not in {"", _NOT_YET}:
            logger.info("Redis gives {} again", what)
        self._problems[what] = ""


def _client(url: str) -> Redis:
    from redis.asyncio import Redis as Client  # noqa: PLC0415 - an extra of the service alone
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

    # Retries are ours: redis-py would hold a read for seconds while the service could already say that it is away.
    client: Redis = Client.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        health_check_interval=_PING_S,  # a subscription over a dead line is otherwise silent for ever
        retry=Retry(NoBackoff(), 0),
    )
    return client
