"""The tables. Money is text, so that every digit survives; times are milliseconds UTC.

``events`` is the truth and is only ever appended to. ``orders``, ``fills``, ``positions``, ``funding`` and ``tickets`` are projections:
they are computed from the events alone and can be thrown away and rebuilt. ``bot_state`` holds each bot's memory and the head of its chain.
The schema itself is made by the migrations beside this file; a test holds the two to each other.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

REVISIONS: Final = ("0001", "0002", "0003", "0004")
"""Every schema that ever existed, oldest first. The last is the one that this version reads and writes."""

metadata = MetaData()


def _pair() -> tuple[Column[Any], Column[Any]]:
    return Column("account", String(128), primary_key=True), Column("symbol", String(64), primary_key=True)


_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER key

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("symbol", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),  # 1, 2, 3 … within (account, symbol)
    Column("ts_ms", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("tick_id", String(128), nullable=False),
    Column("payload", Text, nullable=False),  # canonical JSON
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("account", "symbol", "sequence", name="uq_events_sequence"),
)

bot_state = Table(
    "bot_state",
    metadata,
    *_pair(),
    Column("run_id", String(64), nullable=False),  # who may write: a bot whose lock was taken over is stopped by it
    Column("head_sequence", BigInteger, nullable=False),  # the last event; a log that was cut short is found by it
    Column("head_hash", String(64), nullable=False),
    Column("state", Text),  # BotState as JSON; NULL before the first save
)

locks = Table(
    "locks",
    metadata,
    *_pair(),
    Column("run_id", String(64), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("host", String(255), nullable=False),
    Column("started", String(128), nullable=False),  # the process's start stamp: a reused pid is not the same process
    Column("since_ms", BigInteger, nullable=False),
    Column("heartbeat_ms", BigInteger, nullable=False),
    Column("loop_lag_s", Float),  # both as of the heartbeat; NULL where nobody measures
    Column("stream_age_s", Float),
)

commands = Table(
    "commands",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("account", String(128), nullable=False),
    Column("symbol", String(64), nullable=False),
    Column("name", String(32), nullable=False),
    Column("argument", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("taken_ms", BigInteger),  # NULL while it waits
    Index("ix_commands_waiting", "account", "symbol", "taken_ms"),
)

orders = Table(
    "orders",
    metadata,
    *_pair(),
    Column("client_order_id", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),  # the event that changed it last
    Column("status", String(16), nullable=False),
    Column("side", String(8), nullable=False),
    Column("type", String(16), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("node", Integer, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("price", Text),
    Column("trigger_price", Text),
    Column("filled", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

fills = Table(
    "fills",
    metadata,
    *_pair(),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("trade_id", String(64), nullable=False),
    Column("client_order_id", String(64), nullable=False),
    Column("side", String(8), nullable=False),
    Column("price", Text, nullable=False),
    Column("quantity", Text, nullable=False),
    Column("fee", Text, nullable=False),
    Column("fee_currency", String(16), nullable=False),
    Column("liquidity", String(8), nullable=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("reference_price", Text, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("node", Integer, nullable=False),
)

funding = Table(
    "funding",
    metadata,
    *_pair(),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("rate", Text, nullable=False),
    Column("mark_price", Text, nullable=False),
    Column("position", Text, nullable=False),
    Column("amount", Text, nullable=False),
    Column("interval_h", Float, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    *_pair(),
    Column("sequence", BigInteger, nullable=False),
    Column("quantity", Text, nullable=False),  # signed
    Column("entry_price", Text, nullable=False),  # average; 0 when flat
    Column("realized_pnl", Text, nullable=False),  # before fees and funding
    Column("fees", Text, nullable=False),  # in the settlement currency
    Column("other_fees", Text, nullable=False),  # JSON: currency → amount, for fees paid in anything else
    Column("funding", Text, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

tickets = Table(
    "tickets",
    metadata,
    *_pair(),
    Column("id", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("ticket", Text, nullable=False),  # JSON
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

paper_accounts = Table(
    "paper_accounts",
    metadata,
    Column("account", String(128), primary_key=True),
    Column("state", Text, nullable=False),  # the venue's own memory as JSON
)


def _paper_bookings(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("account", String(128), primary_key=True),
        Column("number", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 … in the order booked
        Column("booking", Text, nullable=False),  # JSON
    )


paper_fills = _paper_bookings("paper_fills")
paper_funding = _paper_bookings("paper_funding")

PROJECTIONS: Final = (orders, fills, funding, positions, tickets)
