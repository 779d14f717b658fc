"""Rich tables of the operating commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from alpha_pulse.cli.store import StatusRow, short_name
from alpha_pulse.hedging.state.queries import StoredTicket

_DAY_S = 86_400
_MINUTE_S = 60
_NONE = "–"
_BOT = ("pair", "account", "running", "price", "inventory", "short", "hedge", "PnL", "drawdown", "risk", "last tick", "stream, loop lag")


def status_table(rows: Sequence[StatusRow], now_ms: int) -> Table:
    """One line for each bot."""
    table = Table(title="Bots", title_justify="left")
    for heading in _BOT:
        table.add_column(heading, justify="left" if heading in {"pair", "account", "running", "risk"} else "right", overflow="fold")
    for row in rows:
        table.add_row(
            row.pair,
            row.account,
            f"pid {row.pid}" if row.running else "no",
            _number(row.price, ",.2f"),
            _number(row.inventory, "g"),
            f"{row.short:g}",
            f"{_number(row.hedge_ratio, '.1%')} of {_number(row.target_ratio, '.1%')}",
            _number(row.pnl, "+,.2f"),
            _number(row.drawdown, ".2%"),
            escape(": ".join((row.risk_state, *([", ".join(row.reasons)] if row.reasons else [])))),
            age(row.last_tick_ms, now_ms),
            f"{_number(row.stream_age_s, '.1f', ' s')}, {_number(row.loop_lag_s, '.3f', ' s')}",
            style="" if row.running else "dim",
        )
    return table


def _number(value: float | None, form: str, unit: str = "") -> str:
    return _NONE if value is None else f"{value:{form}}{unit}"


def age(then_ms: int, now_ms: int) -> str:
    """How long ago, or the time itself where that says more (a simulated or recorded market lives in another year)."""
    if then_ms == 0:
        return "never"
    seconds = (now_ms - then_ms) / 1000
    if 0 <= seconds < _MINUTE_S:
        return f"{seconds:.0f} s ago"
    if 0 <= seconds < _DAY_S:
        return f"{seconds / _MINUTE_S:.0f} min ago"
    return when(then_ms)


def when(ms: int) -> str:
    """A time in UTC, to the minute."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def ticket_table(tickets: Sequence[StoredTicket]) -> Table:
    """One line for each ticket."""
    table = Table(title="Tickets", title_justify="left")
    for heading in ("ticket", "pair", "status", "order", "why", "cost", "expires"):
        table.add_column(heading, overflow="fold")
    for stored in tickets:
        ticket = stored.ticket
        price = ticket.get("price") or ticket.get("trigger") or "market"
        order = f"{ticket.get('side', '')} {ticket.get('quantity', '')} @ {price}"
        cost = ticket.get("cost_bps")
        expires = ticket.get("expires_ms")
        table.add_row(
            stored.id,
            short_name(stored.symbol),
            stored.status,
            order,
            escape(str(ticket.get("why", ""))),
            _NONE if cost is None else f"{float(cost):.1f} bps",
            when(int(expires)) if expires else _NONE,
        )
    return table
