"""``alpha-pulse audit decisions`` on a service's database."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.operate import audit_app
from alpha_pulse.service.log.decision_log import open_log
from alpha_pulse.service.ports import Decision

RUN = CliRunner()


@pytest.fixture
def dsn(tmp_path, monkeypatch):
    url = f"sqlite+aiosqlite:///{tmp_path / 'decisions.db'}"
    monkeypatch.setenv("HE_DB_DSN", url)

    async def keep():
        async with await open_log(tmp_path / "spool", url) as log:
            for number in range(3):
                await log.record(Decision(f"d{number}", 1_000 + number, "hedge", "BTC", {"amount_usd": 1}, {"hedge_pct": 0.5}))

    asyncio.run(keep())
    return tmp_path / "decisions.db"


def test_an_intact_log_is_said_to_be_intact(dsn):
    assert dsn.is_file()
    found = RUN.invoke(audit_app, ["decisions"])
    assert (found.exit_code, "Intact" in found.output) == (0, True)


def test_an_altered_decision_is_named_and_ends_with_1(dsn):
    with closing(sqlite3.connect(dsn)) as database, database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f"drop trigger {name}")
        database.execute("update decisions set asset = 'ETH' where sequence = 2")
    found = RUN.invoke(audit_app, ["decisions"])
    assert found.exit_code == 1
    assert "decision 2 (d1) was changed" in found.output
