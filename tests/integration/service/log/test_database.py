"""The chain of decisions in a real database, and what verify says when somebody has been at it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.errors import ConfigError, Fatal, Transient
from alpha_pulse.runtime import database as runtime_database
from alpha_pulse.service.log.audit import MOST_PROBLEMS, verify
from alpha_pulse.service.log.codec import encode
from alpha_pulse.service.log.database import link_hash, make_database, open_database
from alpha_pulse.service.log.tables import SCHEMA, decisions, head, metadata, spools
from tests.unit.service.log.decisions import decision


def records(*numbers: int) -> list[bytes]:
    return [encode(decision(number)) for number in numbers]


async def stored_ids(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(decisions.c.decision_id).order_by(decisions.c.sequence))).scalars())


async def tamper(engine: AsyncEngine, *statements: str) -> None:
    """What somebody with all rights may do."""
    sqlite = engine.dialect.name == "sqlite"
    disarm = (
        ["DROP TRIGGER decisions_no_update", "DROP TRIGGER decisions_no_delete"]
        if sqlite
        else ["ALTER TABLE decisions DISABLE TRIGGER ALL"]
    )
    async with engine.begin() as connection:
        for statement in (*disarm, *statements):
            await connection.execute(text(statement))


async def test_decisions_are_chained_in_the_order_of_their_spool(database):
    assert (await database.append("a", 1, records(1, 2, 3), careful=False)).inserted == 3
    assert (await database.append("a", 4, records(4), careful=False)).inserted == 1
    async with database.engine.connect() as connection:
        rows = (await connection.execute(select(decisions).order_by(decisions.c.sequence))).all()
        end = (await connection.execute(select(head.c.sequence, head.c.hash))).one()
        position = (await connection.execute(select(spools.c.position))).scalar_one()
    assert [row.sequence for row in rows] == [1, 2, 3, 4]
    assert [row.record.encode() for row in rows] == records(1, 2, 3, 4)
    assert [row.previous_hash for row in rows] == ["0" * 64, *(row.hash for row in rows[:-1])]
    assert rows[-1].hash == link_hash(rows[-2].hash, rows[-1].record)
    assert (*end, position) == (4, rows[-1].hash, 4)
    assert await verify(database.engine) == []


async def test_a_record_is_stored_byte_for_byte(database):
    odd = {
        "text": "a\x00b \\u0000 'it''s' \"quoted\" ü 漢 \U0001f642 \x7f \n%s :rows",
        "numbers": [1e-7, 5e-324, 0.1 + 0.2, 2**53],
        "none": None,
    }
    record = encode(decision(1, request=odd, asset="B:T'C"))
    await database.append("a", 1, [record], careful=False)
    async with database.engine.connect() as connection:
        row = (await connection.execute(select(decisions))).one()
    assert row.record.encode() == record
    assert (row.sequence, row.ts_ms, row.asset) == (1, decision(1).ts_ms, "B:T'C")
    assert await verify(database.engine) == []


@pytest.mark.parametrize("careful", [False, True])
async def test_what_was_stored_already_is_not_stored_again(database, careful):
    await database.append("a", 1, records(1, 2), careful=False)
    assert (await database.append("a", 1, records(1, 2, 3), careful=careful)).inserted == 1
    assert (await database.append("a", 1, records(1, 2, 3), careful=careful)).inserted == 0
    assert await stored_ids(database.engine) == [decision(number).decision_id for number in (1, 2, 3)]
    assert await verify(database.engine) == []


async def test_a_copied_spool_loses_nothing(database):
    await database.append("a", 1, records(1, 2), careful=False)
    await database.append("a", 1, records(3, 4), careful=False)  # the same spool and positions, other decisions
    await database.append("b", 1, records(2, 5), careful=True)
    assert await stored_ids(database.engine) == [decision(number).decision_id for number in (1, 2, 3, 4, 5)]


async def test_an_id_that_is_taken_unexpectedly_can_be_tried_again_with_care(database):
    await database.append("a", 1, records(1), careful=False)
    with pytest.raises((Fatal, Transient), match="refused the records"):
        await database.append("b", 1, records(1, 2), careful=False)
    outcome = await database.append("b", 1, records(1, 2), careful=True)
    assert outcome.inserted == 1
    assert await verify(database.engine) == []


async def test_another_decision_under_an_id_that_is_taken_is_handed_back(database):
    other = encode(decision(1, asset="ETH"))
    outcome = await database.append("a", 1, [*records(1), other, *records(1, 2)], careful=False)
    assert outcome == (2, [other])
    assert (await database.append("a", 5, [other, *records(3)], careful=True)) == (1, [other])
    assert await verify(database.engine) == []


async def test_several_spools_can_write_one_chain_at_the_same_time(dsn):
    databases = [await open_database(dsn) for _ in range(3)]

    async def write(number: int) -> None:
        for batch in range(10):
            first = 1 + 5 * batch
            numbers = [1000 * number + first + offset for offset in range(5)]
            await databases[number].append(f"spool-{number}", first, records(*numbers), careful=False)

    await asyncio.gather(*(write(number) for number in range(3)))
    ids = await stored_ids(databases[0].engine)
    for number in range(3):
        mine = [identity for identity in ids if int(identity) // 1000 == number]
        assert len(mine) == 50
        assert mine == sorted(mine)
    assert await verify(databases[0].engine) == []
    for database in databases:
        await database.dispose()


async def test_rows_cannot_be_changed_or_removed(database):
    await database.append("a", 1, records(1), careful=False)
    statements = ["UPDATE decisions SET asset = 'ETH'", "DELETE FROM decisions"]
    if database.engine.dialect.name == "postgresql":
        statements.append("TRUNCATE decisions")
    for statement in statements:
        with pytest.raises(DBAPIError, match="decisions are append-only"):
            async with database.engine.begin() as connection:
                await connection.execute(text(statement))
    assert await verify(database.engine) == []


REPLACED = "UPDATE decisions SET record = replace(record, '0.56', '0.65') WHERE sequence = 3"
LAST = "the log ends with decision"
CONTENT = "was changed: its content does not match its hash"


@pytest.mark.parametrize(
    ("dsn", "statement", "problems"),
    [
        (
            "sqlite",
            "UPDATE decisions SET record = replace(record, '0.56', '0.65') WHERE sequence = 3",
            [f"decision 3 (000000000003) {CONTENT}"],
        ),
        (
            "postgres",
            "UPDATE decisions SET record = replace(record, '0.56', '0.65') WHERE sequence = 3",
            [f"decision 3 (000000000003) {CONTENT}"],
        ),
        ("sqlite", "UPDATE decisions SET record = '[' WHERE sequence = 5", [f"decision 5 (000000000005) {CONTENT}"]),
        ("sqlite", "UPDATE decisions SET asset = 'ETH' WHERE sequence = 3", ["decision 3 (000000000003) was changed: its columns"]),
        ("sqlite", "DELETE FROM decisions WHERE sequence = 2", ["decision 2 is missing"]),
        ("postgres", "DELETE FROM decisions WHERE sequence IN (2, 3)", ["decisions 2 to 3 are missing"]),
        ("sqlite", "DELETE FROM decisions WHERE sequence = 5", [f"{LAST} 4, but decision 5 was saved last"]),
        ("sqlite", "DELETE FROM decisions", [f"{LAST} 0, but decision 5 was saved last"]),
        (
            "sqlite",
            "UPDATE decisions SET sequence = -1 WHERE sequence = 5",
            ["decision -1 (000000000005) has a sequence number", f"{LAST} 4"],
        ),
        ("sqlite", "UPDATE decisions_head SET hash = 'x'", [f"{LAST} 5, but decision 5 was saved last, or its hash was changed"]),
        ("sqlite", "DELETE FROM decisions_head", ["the record of the chain's end was changed: it has 0 rows"]),
    ],
    indirect=["dsn"],
)
async def test_what_was_tampered_with_is_named(database, statement, problems):
    await database.append("a", 1, records(1, 2, 3, 4, 5), careful=False)
    await tamper(database.engine, statement)
    found = await verify(database.engine)
    assert [said[: len(expected)] for said, expected in zip(found, problems, strict=True)] == problems


async def test_a_change_that_forges_its_own_hash_breaks_the_next_link(database):
    await database.append("a", 1, records(1, 2), careful=False)
    forged = records(7)[0].decode()
    await tamper(
        database.engine,
        f"UPDATE decisions SET record = '{forged}', decision_id = '000000000007', ts_ms = ts_ms + 6, "  # noqa: S608 - our own values
        f"hash = '{link_hash('0' * 64, forged)}' WHERE sequence = 1".replace(":", r"\:"),
    )
    (problem,) = await verify(database.engine)
    assert problem.startswith("broken link: decision 2 (000000000002) does not follow")


async def test_all_is_told_but_no_more_than_anybody_reads(database):
    await database.append("a", 1, records(*range(1, 301)), careful=False)
    await tamper(database.engine, "UPDATE decisions SET asset = 'ETH' WHERE sequence IN (7, 250)")
    assert [problem.split()[1] for problem in await verify(database.engine)] == ["7", "250"]
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE decisions SET asset = 'ETH'"))
    found = await verify(database.engine)
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1] == f"… and what follows decision {MOST_PROBLEMS} was not looked at"


# --- the schema -------------------------------------------------------------------------------------------------
@pytest.fixture
def config() -> Config:
    config = Config()
    config.set_main_option("script_location", SCHEMA.migrations)
    config.set_main_option("path_separator", "os")
    return config


def test_every_migration_is_known_by_name(config):
    script = ScriptDirectory.from_config(config)
    assert tuple(r.revision for r in reversed(list(script.walk_revisions()))) == SCHEMA.revisions


async def test_the_tables_in_the_code_are_those_that_the_migrations_make(database):
    def differences(sync: Connection) -> object:
        return compare_metadata(MigrationContext.configure(sync, opts={"version_table": SCHEMA.version_table}), metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_migration_can_be_taken_back(database, config):
    def undo(connection: Connection) -> list[str]:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return inspect(connection).get_table_names()

    async with database.engine.begin() as connection:
        assert await connection.run_sync(undo) == [SCHEMA.version_table]
    await runtime_database.migrate(database.engine, schema=SCHEMA)
    assert await verify(database.engine) == []


@pytest.mark.parametrize("bots_first", [True, False])
async def test_the_bots_and_the_decisions_can_share_a_database(dsn, bots_first):
    if bots_first:
        await (await runtime_database.open_database(dsn)).dispose()
    database = await open_database(dsn)
    bots = await runtime_database.open_database(dsn)
    await database.append("a", 1, records(1), careful=False)
    async with bots.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM events"))).scalar_one() == 0
    await bots.dispose()
    await database.dispose()


OPENS = """
import asyncio, sys
from alpha_pulse.service.log.database import open_database
async def main():
    sys.stdin.read(1)
    await (await open_database(sys.argv[1])).dispose()
asyncio.run(main())
"""


async def test_services_that_start_on_an_empty_database_at_the_same_moment_do_not_trip_each_other(postgres):
    started = [await asyncio.create_subprocess_exec(sys.executable, "-c", OPENS, postgres, stdin=PIPE, stderr=PIPE) for _ in range(3)]
    answers = await asyncio.gather(*(process.communicate(b"!") for process in started))
    assert [(process.returncode, said) for process, (_, said) in zip(started, answers, strict=True)] == [(0, b"")] * 3
    database = await open_database(postgres)
    assert await verify(database.engine) == []
    await database.dispose()


async def test_a_schema_from_the_future_is_refused(dsn):
    database = await open_database(dsn)
    async with database.engine.begin() as connection:
        await connection.execute(text(f"UPDATE {SCHEMA.version_table} SET version_num = '0999'"))  # noqa: S608 - our own name
    await database.dispose()
    with pytest.raises(ConfigError, match=r"HE_DB_DSN = .*newer alpha_pulse \(schema 0999"):
        await open_database(dsn, field="HE_DB_DSN")


async def test_a_database_that_does_not_exist_is_refused(postgres):
    dsn = make_url(postgres).set(database="nowhere_at_all", password="planted").render_as_string(hide_password=False)  # noqa: S106 - the server trusts us
    with pytest.raises(ConfigError, match=r'HE_DB_DSN = .*database "nowhere_at_all" does not exist') as refusal:
        await open_database(dsn, field="HE_DB_DSN")
    assert "planted" not in str(refusal.value)


async def test_a_server_that_is_not_there_is_transient():
    with pytest.raises(Transient, match=r"opening postgresql\+asyncpg://someone@127\.0\.0\.1:1/nothing: .*Connect call failed"):
        await open_database("postgresql://someone@127.0.0.1:1/nothing")


@pytest.mark.parametrize("option", ["frob=1", "timeout=soon"])
async def test_options_that_the_driver_does_not_take_are_refused(postgres, option):
    with pytest.raises(ConfigError, match=r"HE_DB_DSN: its options cannot be used: .* Fix: leave out what follows the \?"):
        await open_database(f"{postgres}?{option}", field="HE_DB_DSN")


def test_a_url_that_cannot_be_used_is_refused_without_its_password():
    with pytest.raises(ConfigError, match=r"HE_DB_DSN: is not a database URL\. Fix: ") as refusal:
        make_database("postgresql//me:secret@db/x", field="HE_DB_DSN")
    assert "secret" not in str(refusal.value)
