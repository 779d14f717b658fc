"""The account's private stream: orders and trades as they happen, kept alive by us rather than by ccxt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import stamina
from loguru import logger

from alpha_pulse.errors import Transient
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.market.ccxt_mapping import read_errors, translate_read
from alpha_pulse.market.taps import tap

_METHODS: Final = {"watch_orders": "watchOrders", "watch_my_trades": "watchMyTrades"}
_LONGEST_WAIT_S: Final = 30.0

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

    def start(self) -> None:
        """Begin to listen. Idempotent."""
        if self._tasks:
            return
        stream = tap(self._connection.stream, on_row=self._on_row, on_message=self._on_message)
        self._tasks = [
            asyncio.create_task(self._keep_watching(stream, method), name=method)
            for method, capability in _METHODS.items()
            if stream.has.get(capability)
        ]

    async def close(self) -> None:
        """Stop listening."""
        tasks, self._tasks = self._tasks, []
        if self._rebuilding is not None:
            tasks.append(self._rebuilding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def rebuild(self, why: str) -> None:
        """Begin anew with fresh connections; one rebuilding at a time."""
        if self._rebuilding is None or self._rebuilding.done():
            logger.warning("The private stream is rebuilt: {}", why)
            self._rebuilding = asyncio.create_task(self._rebuild(), name="rebuild the private stream")

    async def _rebuild(self) -> None:
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
