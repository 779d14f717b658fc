"""The tables. ``decisions`` is only ever appended to. The migrations beside this file make them; a test holds the two to each other."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.dialects import postgresql

from alpha_pulse.runtime.database import Schema
from alpha_pulse.service.log.codec import LENGTHS

SCHEMA: Final = Schema(("0001",), "alpha_pulse.service.log:migrations", "alembic_version_decisions")

metadata = MetaData()

_ID_LENGTH: Final = LENGTHS["decision_id"]
# Byte order whatever the server's language: ids sort by time, and pages go by them.
_ID: Final = String(_ID_LENGTH).with_variant(postgresql.VARCHAR(_ID_LENGTH, collation="C"), "postgresql")

decisions = Table(
    "decisions",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 …
    Column("decision_id", _ID, nullable=False),
    Column("ts_ms", BigInteger, nullable=False),
    Column("kind", String(LENGTHS["kind"]), nullable=False),
    Column("asset", String(LENGTHS["asset"]), nullable=False),
    Column("record", Text, nullable=False),  # the whole decision as canonical JSON; the columns before it repeat what is searched for
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 of the previous hash, a newline and the record
    UniqueConstraint("decision_id", name="uq_decisions_decision_id"),
    Index("ix_decisions_ts_ms", "ts_ms"),
    Index("ix_decisions_asset", "asset", "decision_id"),
    Index("ix_decisions_kind", "kind", "decision_id"),
)

head = Table(
    "decisions_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one chain
    Column("sequence", BigInteger, nullable=False),  # the last decision; a log that was cut short is found by it
    Column("hash", String(64), nullable=False),
)

spools = Table(
    "decisions_spools",
    metadata,
    Column("spool", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),  # what the spool has delivered
)
