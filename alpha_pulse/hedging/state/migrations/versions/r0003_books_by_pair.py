"""The paper venue's books by account and pair: two processes on one account must not overwrite each other's."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_accounts = sa.table("paper_accounts", sa.column("account", sa.String), sa.column("state", sa.Text))


def _bookings(name: str) -> sa.TableClause:
    return sa.table(name, sa.column("account", sa.String), sa.column("number", sa.BigInteger), sa.column("booking", sa.Text))


def upgrade() -> None:
    """One set of books for each pair: ``paper`` becomes ``paper/BTC/USDT:USDT``. Pairs that shared a wallet each keep its cash."""
    connection = op.get_bind()
    for account, text in connection.execute(sa.select(_accounts.c.account, _accounts.c.state)).all():
        state = json.loads(text)
        for symbol, pair in state.get("pairs", {}).items():
            own = json.dumps({"wallets": state.get("wallets", {}), "pairs": {symbol: pair}}, sort_keys=True, separators=(",", ":"))
            connection.execute(sa.insert(_accounts).values(account=f"{account}/{symbol}", state=own))
            for table in (_bookings("paper_fills"), _bookings("paper_funding")):
                rows = connection.execute(sa.select(table.c.booking).where(table.c.account == account).order_by(table.c.number)).scalars()
                mine = [booking for booking in rows.all() if json.loads(booking)["symbol"] == symbol]
                for number, booking in enumerate(mine, start=1):
                    connection.execute(sa.insert(table).values(account=f"{account}/{symbol}", number=number, booking=booking))
        for table in (_accounts, _bookings("paper_fills"), _bookings("paper_funding")):
            connection.execute(sa.delete(table).where(table.c.account == account))


def downgrade() -> None:
    """The books of an account's first pair under the account's name; those of the others are dropped."""
    connection = op.get_bind()
    kept: dict[str, str] = {}
    for key in connection.execute(sa.select(_accounts.c.account).order_by(_accounts.c.account)).scalars().all():
        kept.setdefault(key.split("/", 1)[0], key)
    for table in (_accounts, _bookings("paper_fills"), _bookings("paper_funding")):
        connection.execute(sa.delete(table).where(table.c.account.not_in(kept.values())))
        for account, key in kept.items():
            connection.execute(sa.update(table).where(table.c.account == key).values(account=account))
