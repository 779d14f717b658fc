"""Alembic's script folder of the decision log: every schema since the first table."""
