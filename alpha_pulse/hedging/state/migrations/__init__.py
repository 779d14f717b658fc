"""Alembic's script folder: every schema since the first table."""
