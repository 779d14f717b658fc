"""The bots' tables: events, memory, locks, commands and the projections."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and make the events append-only."""
    _events()
    _control()
    _orders_and_fills()
    _balances()
    _forbid_changes()


def downgrade() -> None:
    """Remove everything."""
    for table in ("tickets", "positions", "funding", "fills", "orders", "commands", "locks", "bot_state", "events"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_event_change()")


def _pair(*, key: bool = True) -> list[sa.Column[Any]]:
    return [
        sa.Column("account", sa.String(128), primary_key=key, nullable=False),
        sa.Column("symbol", sa.String(64), primary_key=key, nullable=False),
    ]


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _times(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _string(name: str, length: int, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), primary_key=key, nullable=False)


def _sequence_key() -> sa.Column[Any]:
    return sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        *_pair(key=False),
        *_times("sequence", "ts_ms"),
        _string("kind", 32),
        _string("tick_id", 128),
        *_text("payload"),
        _string("previous_hash", 64),
        _string("hash", 64),
        sa.UniqueConstraint("account", "symbol", "sequence", name="uq_events_sequence"),
    )


def _control() -> None:
    op.create_table(
        "bot_state",
        *_pair(),
        _string("run_id", 64),
        *_times("head_sequence"),
        _string("head_hash", 64),
        sa.Column("state", sa.Text()),
    )
    op.create_table(
        "locks",
        *_pair(),
        _string("run_id", 64),
        *_times("pid"),
        _string("host", 255),
        _string("started", 128),
        *_times("since_ms", "heartbeat_ms"),
    )
    op.create_table(
        "commands",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        *_pair(key=False),
        _string("name", 32),
        *_text("argument"),
        *_times("created_ms"),
        sa.Column("taken_ms", sa.BigInteger()),
    )
    op.create_index("ix_commands_waiting", "commands", ["account", "symbol", "taken_ms"])


def _orders_and_fills() -> None:
    op.create_table(
        "orders",
        *_pair(),
        _string("client_order_id", 64, key=True),
        *_times("sequence"),
        _string("status", 16),
        _string("side", 8),
        _string("type", 16),
        _string("purpose", 16),
        sa.Column("node", sa.Integer(), nullable=False),
        *_text("quantity"),
        sa.Column("price", sa.Text()),
        sa.Column("trigger_price", sa.Text()),
        *_text("filled", "reason"),
        *_times("created_ms", "updated_ms"),
    )
    op.create_table(
        "fills",
        *_pair(),
        _sequence_key(),
        _string("trade_id", 64),
        _string("client_order_id", 64),
        _string("side", 8),
        *_text("price", "quantity", "fee"),
        _string("fee_currency", 16),
        _string("liquidity", 8),
        *_times("ts_ms"),
        *_text("reference_price"),
        _string("purpose", 16),
        sa.Column("node", sa.Integer(), nullable=False),
    )


def _balances() -> None:
    op.create_table(
        "funding",
        *_pair(),
        _sequence_key(),
        *_times("ts_ms"),
        *_text("rate", "mark_price", "position", "amount"),
        sa.Column("interval_h", sa.Float(), nullable=False),
    )
    op.create_table(
        "positions",
        *_pair(),
        *_times("sequence"),
        *_text("quantity", "entry_price", "realized_pnl", "fees", "other_fees", "funding"),
        *_times("updated_ms"),
    )
    op.create_table(
        "tickets",
        *_pair(),
        _string("id", 64, key=True),
        *_times("sequence"),
        _string("status", 16),
        *_text("ticket"),
        *_times("created_ms", "updated_ms"),
    )


def _forbid_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change()"
        )
        return
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_no_{action.lower()} BEFORE {action} ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )
