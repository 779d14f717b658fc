"""Several services for one load: each with a port and a spool of its own, on one database. On one spool the second is refused."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.database import create_engine
from alpha_pulse.service.app import create_app
from alpha_pulse.service.log.audit import verify
from alpha_pulse.service.log.tables import decisions
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.service import running_service
from tests.integration.service.conftest import HEDGE, serving
from tests.integration.service.log.conftest import dsn, postgres, sqlite  # noqa: F401 - fixtures

EACH = 40


def variables(url, folder):
    return {"HE_DB_DSN": url, "HE_SPOOL_DIR": str(folder)}


async def kept(url):
    """How many decisions the database has, how many different ones, and what is wrong with their chain."""
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            counted = select(func.count(), func.count(decisions.c.decision_id.distinct())).select_from(decisions)
            rows, different = (await connection.execute(counted)).one()
        return rows, different, await verify(engine)
    finally:
        await engine.dispose()


async def test_two_services_with_spools_of_their_own_share_a_database_and_its_chain(dsn, tmp_path):  # noqa: F811 - the fixture
    def ask_both():
        with ExitStack() as undo:
            services = [undo.enter_context(serving(variables(dsn, tmp_path / name), log=None)) for name in ("one", "two")]
            callers = undo.enter_context(ThreadPoolExecutor(4))
            answers = list(callers.map(lambda number: services[number % 2].client.post("/hedge", json=HEDGE), range(2 * EACH)))
            assert {answer.status_code for answer in answers} == {200}
            return {answer.json()["decision_id"] for answer in answers}

    given = await asyncio.to_thread(ask_both)
    assert len(given) == 2 * EACH
    assert await kept(dsn) == (2 * EACH, 2 * EACH, [])


def test_a_second_service_on_the_same_spool_is_refused_and_the_first_goes_on(tmp_path):
    given = variables(f"sqlite+aiosqlite:///{tmp_path / 'decisions.db'}", tmp_path / "spool")
    with serving(given, log=None) as first:
        settings = load_service_settings({"HE_PORT": "0", **given})
        with pytest.raises(ConfigError, match="a folder of its own") as caught, running_service(create_app(settings), settings):
            pass
        assert caught.value.field == "HE_SPOOL_DIR"
        assert first.client.post("/hedge", json=HEDGE).status_code == 200
