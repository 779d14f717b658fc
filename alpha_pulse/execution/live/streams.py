"""The account's private stream: orders and trades as they happen, kept alive by us rather than by ccxt."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import stamina
from loguru import logger

from alpha_pulse.errors import Transient
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.market.ccxt_mapping import read_errors, translate_read, why_ended
from alpha_pulse.market.taps import tap

_METHODS: Final = {"watch_orders": "watchOrders", "watch_my_trades": "watchMyTrades"}
_LONGEST_WAIT_S: Final = 30.0
_LEAST_GAP_S: Final = 2.0  # between the beginnings of two streams: venues count connections

Rows = Callable[[Mapping[str, Any]], None]


class UserStream:
    """Hands on orders and trades; ``on_break`` is called whenever something may have been lost, ``on_settings`` when the venue says that
    leverage or modes changed.
    """

    def __init__(
        self,
        connection: Connection,
        on_order: Rows,
        on_trade: Rows,
        on_break: Callable[[], None],
        on_margin_call: Callable[[], None],
        on_settings: Callable[[], None],
    ) -> None:
        self.rebuilt = 0
        self.broken = False
        self._connection = connection
        self._take = {"orders": on_order, "myTrades": on_trade}
        self._on_break = on_break
        self._on_margin_call = on_margin_call
        self._on_settings = on_settings
        self._tasks: list[asyncio.Task[None]] = []
        self._rebuilding: asyncio.Task[None] | None = None
        self._rebuilt_at = -math.inf  # the loop's time
        self._open = False

    def start(self) -> None:
        """Begin to listen. Idempotent."""
        if self._tasks:
            return
        self._open = True
        stream = tap(self._connection.stream, on_row=self._on_row, on_message=self._on_message)
        self._tasks = [
            self._begin(self._keep_watching(stream, method), method)
            for method, capability in _METHODS.items()
            if stream.has.get(capability)
        ]

    async def close(self) -> None:
        """Stop listening."""
        self._open = False
        tasks, self._tasks = self._tasks, []
        if self._rebuilding is not None:
            tasks.append(self._rebuilding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def rebuild(self, why: str) -> None:
        """Begin anew with fresh connections, unless it is closed; one rebuilding at a time."""
        if self._open and (self._rebuilding is None or self._rebuilding.done()):
            logger.warning("The private stream is rebuilt: {}", why)
            self._rebuilding = self._begin(self._rebuild(), "rebuild")

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"private stream: {name}")
        task.add_done_callback(self._look)
        return task

    def _look(self, _: asyncio.Task[None]) -> None:
        """Where one of ours ended that should not have, nobody listens any more: read over REST, and begin anew."""
        for task in (*self._tasks, self._rebuilding) if self._open else ():
            if task is not None and task.done() and (task.cancelled() or task.exception() is not None):
                self._on_break()
                self.rebuild(f"{task.get_name()} stopped: {why_ended(task)}")

    async def _rebuild(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._rebuilt_at + _LEAST_GAP_S - loop.time())
        self._rebuilt_at = loop.time()
        self.rebuilt += 1
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        old = self._connection.renew_stream()
        self.start()
        self._on_break()
        await old.close()

    def _on_row(self, topic: str, row: Mapping[str, Any]) -> None:
        self._take[topic](row)

    def _on_message(self, message: Mapping[str, Any]) -> bool:
        """What ccxt does not hand on. It ignores that a listen key has expired: nothing would ever come again."""
        news = self._connection.dialect.news_of(message)
        if news == "expired":
            self.rebuild("the listen key has expired")
            return True
        if news == "settings":
            self._on_settings()
        if news == "margin":
            self._on_margin_call()
        if news:
            self._on_break()
        return False

    async def _keep_watching(self, stream: Any, method: str) -> None:
        """Keep the subscription up; after every break the account is read over REST, and again once the stream is back."""
        while True:
            retries = stamina.retry_context(
                on=Transient, attempts=None, timeout=None, wait_initial=0.2, wait_max=_LONGEST_WAIT_S, wait_jitter=0.5
            )
            async for attempt in retries:
                with attempt:
                    await self._watch_once(stream, method)

    async def _watch_once(self, stream: Any, method: str) -> None:
        try:
            rows = await getattr(stream, method)()
        except read_errors() as error:
            reaction = translate_read(error)
            if not self.broken:
                logger.warning("The private stream broke ({}); reading over REST meanwhile", reaction)
            self.broken = True
            self._on_break()
            raise reaction if isinstance(reaction, Transient) else Transient(str(reaction)) from error
        if self.broken:
            self.broken = False
            self._on_break()
        take = self._take["orders" if method == "watch_orders" else "myTrades"]
        for row in rows:  # what the tap has handed on already changes nothing
            take(row)
