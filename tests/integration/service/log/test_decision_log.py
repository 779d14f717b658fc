"""The decision log as the routes use it, on real databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.service.log.audit import verify
from alpha_pulse.service.log.codec import decode, encode
from alpha_pulse.service.log.database import open_database
from alpha_pulse.service.log.decision_log import SpooledDecisionLog, open_log
from alpha_pulse.service.log.spool import Spool
from alpha_pulse.service.ports import Decision, LogState, Page
from tests.unit.service.log.decisions import decision, until

FAST: dict[str, Any] = {"linger_s": 0.0}


async def delivered(log: SpooledDecisionLog) -> None:
    await until(lambda: not log.state().spooled)


def listed(page: Page) -> list[Decision]:
    return [decode(record) for record in page.records]


async def test_a_decision_is_found_by_its_id_at_once_and_in_the_list_when_it_was_delivered(dsn, tmp_path):
    async with await open_log(tmp_path / "spool", dsn, linger_s=60.0) as log:
        await log.record(decision(1))
        assert await log.get("000000000001") == decision(1)
        assert await log.get("000000000002") is None
        assert listed(await log.find()) == []
        assert log.state() == LogState("closed", 1, 0, "")
    async with await open_log(tmp_path / "spool", dsn, **FAST) as log:
        assert await log.get("000000000001") == decision(1)
        assert listed(await log.find()) == [decision(1)]


async def test_decisions_are_listed_newest_first_by_page_and_filtered(dsn, tmp_path):
    kinds, assets = ("hedge", "assess"), ("BTC", "ETH", "")
    all_of_them = [decision(number, kind=kinds[number % 2], asset=assets[number % 3]) for number in range(1, 31)]
    async with await open_log(tmp_path / "spool", dsn, **FAST) as log:
        for each in all_of_them:
            await log.record(each)
        await delivered(log)
        newest = all_of_them[::-1]

        first = await log.find(limit=12)
        second = await log.find(limit=12, before=first.next_before or "")
        third = await log.find(limit=12, before=second.next_before or "")
        assert [*listed(first), *listed(second), *listed(third)] == newest
        assert third.next_before is None
        assert (await log.find(limit=30)).next_before is None
        assert len((await log.find(limit=0)).records) == 1

        assert listed(await log.find(asset="ETH")) == [each for each in newest if each.asset == "ETH"]
        assert listed(await log.find(kind="assess", asset="BTC")) == [
            each for each in newest if (each.kind, each.asset) == ("assess", "BTC")
        ]
        assert listed(await log.find(since_ms=all_of_them[20].ts_ms)) == newest[:10]
        assert listed(await log.find(asset="XRP")) == []
        assert log.state() == LogState("closed", 0, 30, "")


async def test_decisions_are_listed_as_they_are_kept(dsn, tmp_path):
    async with await open_log(tmp_path / "spool", dsn, **FAST) as log:
        for number in (1, 2):
            await log.record(decision(number))
        await delivered(log)
        assert (await log.find()).records == [encode(decision(2)).decode(), encode(decision(1)).decode()]


async def test_a_commit_whose_release_was_lost_in_a_crash_is_not_repeated(dsn, tmp_path):
    spool = await Spool.open(tmp_path / "spool")
    for number in range(1, 7):
        await spool.append(encode(decision(number)))
    database = await open_database(dsn)
    for _ in range(2):
        batch = await spool.read(4)
        await database.append(spool.id, batch.first, batch.payloads, careful=False)
    await spool.close()  # dead before the release

    async with await open_log(tmp_path / "spool", dsn, **FAST) as log:
        assert log.state().spooled == 6
        await delivered(log)
        assert log.state().delivered == 2
        assert len((await log.find()).records) == 6
    assert await verify(database.engine) == []
    await database.dispose()


async def test_a_second_process_on_the_folder_is_refused_by_the_settings_name(sqlite, tmp_path):
    async with await open_log(tmp_path / "spool", sqlite):
        with pytest.raises(ConfigError, match=r"HE_SPOOL = .*Fix: stop that one"):
            await open_log(tmp_path / "spool", sqlite, folder_field="HE_SPOOL")


async def test_a_log_that_cannot_be_opened_lets_go_of_its_folder(sqlite, tmp_path):
    with pytest.raises(ConfigError, match="HE_DB_DSN = 'nonsense': is not a database URL"):
        await open_log(tmp_path / "spool", "nonsense", dsn_field="HE_DB_DSN")
    (tmp_path / "text.db").write_text("no database\n" * 100)
    with pytest.raises(ConfigError, match=r"HE_DB_DSN = .*is not an intact SQLite database"):
        await open_log(tmp_path / "spool", f"sqlite:///{tmp_path}/text.db", dsn_field="HE_DB_DSN")
    await (await open_log(tmp_path / "spool", sqlite)).close()


async def test_nothing_is_recorded_after_the_end_and_closing_twice_is_harmless(sqlite, tmp_path):
    log = await open_log(tmp_path / "spool", sqlite, linger_s=60.0)
    await log.record(decision(1))
    await log.close()
    await log.close()
    assert log.state() == LogState("closed", 0, 1, ""), "closing delivers what is there"
    with pytest.raises(Fatal, match="is closed"):
        await log.record(decision(2))


async def test_a_decision_that_cannot_be_kept_concerns_nobody_else(sqlite, tmp_path):
    async with await open_log(tmp_path / "spool", sqlite, **FAST) as log:
        answers = await asyncio.gather(
            log.record(decision(1)),
            log.record(decision(2, response={"hedge_pct": float("inf")})),
            log.record(decision(3)),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [type(None), Fatal, type(None)]
        await delivered(log)
        assert listed(await log.find()) == [decision(3), decision(1)]


async def test_the_same_id_twice_keeps_the_first_and_sets_the_other_aside(sqlite, tmp_path):
    async with await open_log(tmp_path / "spool", sqlite, **FAST) as log:
        for each in (decision(1), decision(1), decision(1, asset="ETH"), decision(2)):
            await log.record(each)
            await delivered(log)
        assert listed(await log.find()) == [decision(2), decision(1)]
        assert log.state() == LogState("closed", 0, 2, "")
    assert (tmp_path / "spool" / "refused.jsonl").read_bytes() == encode(decision(1, asset="ETH")) + b"\n"


async def test_damage_that_a_start_found_is_shown_though_all_is_delivered(sqlite, tmp_path):
    async with await open_log(tmp_path / "spool", sqlite, linger_s=60.0, closing_s=0.0) as log:
        await asyncio.gather(*(log.record(decision(number)) for number in range(1, 6)))
        (segment,) = (tmp_path / "spool").glob("*.seg")
        content = segment.read_bytes().rstrip(b"\0")
    damaged = content.replace(b"000000000003", b"00000\0\0\0\0\0\0\0", 1)
    (tmp_path / "spool" / "delivered").unlink()
    segment.write_bytes(damaged)
    (tmp_path / "var" / "decisions.db").unlink()
    async with await open_log(tmp_path / "spool", sqlite, **FAST) as log:
        await delivered(log)
        assert listed(await log.find()) == [decision(number) for number in (5, 4, 2, 1)]
        assert log.state().problem.startswith("decisions were damaged on the disk")
