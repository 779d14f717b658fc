"""Runs the migrations on the connection that ``alpha_pulse.runtime.database.migrate`` hands over; there is no offline mode."""

from __future__ import annotations

from alembic import context

from alpha_pulse.hedging.state.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()  # the caller's transaction holds it: a schema changes whole or not at all
