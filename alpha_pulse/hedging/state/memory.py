"""A store that lives as long as the process: for replays, and for bots that nobody gave a database."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from alpha_pulse.domain.events import Event, EventKind, StoredEvent
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import Command
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.codec import decode
from alpha_pulse.hedging.state.ledger import Head, chain

_OUTCOMES: Final = frozenset(
    {EventKind.ORDER_ACCEPTED, EventKind.ORDER_REJECTED, EventKind.ORDER_UNKNOWN, EventKind.ORDER_ADOPTED, EventKind.ORDER_CLOSED}
)


@dataclass(slots=True)
class _Bot:
    """What is remembered of one (account, symbol)."""

    events: list[Event] = field(default_factory=list)
    links: list[StoredEvent] = field(default_factory=list)  # the chain over the first events; hashed when somebody asks
    state: BotState | None = None
    commands: list[Command] = field(default_factory=list)
    holder: str = ""  # run id, while open


class MemoryStore:
    """A ``StateStore`` in memory. Closing it and opening it again is a restart: events and memory are still there.

    Appending costs nothing but the append; hashes are computed when ``events`` is asked for.
    """

    def __init__(self, *, records_every_tick: bool = False) -> None:
        self.records_every_tick = records_every_tick
        self._bots: dict[tuple[str, str], _Bot] = {}
        self._bot: _Bot | None = None
        self._command_ids = itertools.count(1)

    async def open(self, account: str, symbol: str, run_id: str, now_ms: int) -> BotState | None:  # noqa: ARG002 - the port's signature; no heartbeat is kept here
        """Take the pair and return the memory of an earlier run, or None. Raises ConfigError when it is open already."""
        if self._bot is not None:
            raise ConfigError(
                f"a bot for {symbol} on account {account} cannot start: run {self._bot.holder} uses this store",
                fix="give each bot its own store",
            )
        bot = self._bots.setdefault((account, symbol), _Bot())
        bot.holder = run_id
        self._bot = bot
        return bot.state

    async def unsettled(self) -> Sequence[OrderRequest]:
        """Orders that were intended and of which no outcome is recorded, oldest first."""
        waiting: dict[str, OrderRequest] = {}
        for event in self._opened().events:
            if event.kind is EventKind.ORDER_INTENDED:
                request = decode(OrderRequest, event.payload["order"])
                waiting[request.client_order_id] = request
            elif event.kind in _OUTCOMES:
                waiting.pop(str(event.payload["order"]["client_order_id"]), None)
        return list(waiting.values())

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        """Append events, in order, and replace the memory if it is given."""
        bot = self._opened()
        bot.events.extend(events)
        if state is not None:
            bot.state = state

    async def events(self, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:
        """Stored events with a sequence number above ``after``, oldest first."""
        bot = self._opened()
        links = bot.links
        head = Head(links[-1].sequence, links[-1].hash) if links else Head()
        links.extend(chain(head, bot.events[len(links) :]))
        return links[after : after + limit]

    async def commands(self) -> Sequence[Command]:
        """Commands that wait, oldest first; each is returned once."""
        bot = self._opened()
        if not bot.commands:
            return ()
        taken, bot.commands = tuple(bot.commands), []
        return taken

    def post_command(self, account: str, symbol: str, name: str, argument: str = "") -> None:
        """Leave a command for the bot of this pair, running or next."""
        bot = self._bots.setdefault((account, symbol), _Bot())
        bot.commands.append(Command(next(self._command_ids), name, argument))

    async def close(self) -> None:
        """Release the pair. Idempotent."""
        self._bot = None

    def _opened(self) -> _Bot:
        if self._bot is None:
            msg = "the store is not open"
            raise RuntimeError(msg)
        return self._bot
