"""Runs the migrations on the connection that ``alpha_pulse.runtime.database.migrate`` hands over; there is no offline mode."""

from __future__ import annotations

from alembic import context

from alpha_pulse.service.log.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    version_table=SCHEMA.version_table,  # the bots' tables may be in the same database, with a revision of their own
)
context.run_migrations()  # the caller's transaction holds it: a schema changes whole or not at all
