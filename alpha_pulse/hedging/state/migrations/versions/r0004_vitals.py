"""What a running bot says of itself with each heartbeat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS = ("loop_lag_s", "stream_age_s")


def upgrade() -> None:
    """Add the columns."""
    for name in _COLUMNS:
        op.add_column("locks", sa.Column(name, sa.Float()))


def downgrade() -> None:
    """Remove them."""
    for name in _COLUMNS:
        op.drop_column("locks", name)
