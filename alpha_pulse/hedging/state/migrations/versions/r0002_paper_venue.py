"""The paper venue's books: its memory, its fills and its funding."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "paper_accounts",
        sa.Column("account", sa.String(128), primary_key=True, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
    )
    for name in ("paper_fills", "paper_funding"):
        op.create_table(
            name,
            sa.Column("account", sa.String(128), primary_key=True, nullable=False),
            sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
            sa.Column("booking", sa.Text(), nullable=False),
        )


def downgrade() -> None:
    """Remove the tables."""
    for name in ("paper_funding", "paper_fills", "paper_accounts"):
        op.drop_table(name)
