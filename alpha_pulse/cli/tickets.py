"""Tickets as the command line handles them: found by the beginning of their id, answered by a command to their bot."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from alpha_pulse.cli.store import database
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import plain
from alpha_pulse.hedging.state.queries import StoredTicket, list_tickets, post_command
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.settings import Settings

OPEN: Final = frozenset({"open", "accepted"})
"""Statuses that still want something of a person."""

_MOST: Final = 1000


async def read_tickets(settings: Settings, *, everything: bool) -> Sequence[StoredTicket]:
    """Tickets of every bot, newest first; without ``everything`` only those that wait."""
    async with database(settings) as engine:
        found = await list_tickets(engine, limit=_MOST)
    return [ticket for ticket in found if everything or ticket.status in OPEN]


async def answer(settings: Settings, beginning: str, verdict: str, report: str = "") -> str:
    """Tell the bot of a ticket what a person decided. Returns the ticket's whole id.

    Raises:
        ConfigError: no ticket, or several, begin like this, or it is closed.
    """
    async with database(settings) as engine:
        ticket = _the_one(await list_tickets(engine, limit=_MOST), beginning)
        if ticket.status not in OPEN:
            raise ConfigError(f"is {ticket.status} already.", field="ticket", value=ticket.id, fix="see `alpha-pulse tickets list --all`")
        await post_command(engine, ticket.account, ticket.symbol, verdict, f"{ticket.id}{report}", now_ms=SystemClock().now_ms())
    return ticket.id


def _the_one(found: Sequence[StoredTicket], beginning: str) -> StoredTicket:
    like = [ticket for ticket in found if ticket.id == beginning] or [ticket for ticket in found if ticket.id.startswith(beginning)]
    if not like:
        raise ConfigError("there is no such ticket.", field="ticket", value=beginning, fix="see `alpha-pulse tickets list --all`")
    if len(like) > 1:
        raise ConfigError(f"{len(like)} tickets begin like this.", field="ticket", value=beginning, fix="give more of the id")
    return like[0]


def positive(flag: str, value: str) -> str:
    """A positive finite number, as it was typed but without an exponent.

    Raises:
        ConfigError: it is none.
    """
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise ConfigError("is no positive number.", field=flag, value=value, fix="give a number above 0")
    return plain(number)
