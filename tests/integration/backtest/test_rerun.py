"""Recorded runs lived through again: a real one on the fake exchange, and records with something wrong or missing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import text

from alpha_pulse.backtest.recorded_run import RecordedRun, RecordedTick, Skipped, read_recorded_run
from alpha_pulse.backtest.rerun import replay_run
from alpha_pulse.backtest.rerun_limits import limits_of
from alpha_pulse.backtest.rerun_venue import ForgetfulStore, books_of, instrument_of, market_path, memory_of
from alpha_pulse.backtest.rerun_view import as_json, decisions_line, replay_grids
from alpha_pulse.bootstrap import build_bot
from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.hedging.state.queries import post_command
from alpha_pulse.hedging.state.runs import RunSpan, run_spans
from alpha_pulse.hedging.state.store import SqlStore
from alpha_pulse.runtime.database import open_database
from alpha_pulse.runtime.process import SystemHost
from alpha_pulse.settings import load_settings

DAYS = 0.4
SYMBOL = "BTC/USDT:USDT"


async def paper_run(folder, steps=None, **commands):
    """A paper run on the simulated market; ``commands`` are left for it before the step of that number."""
    settings = load_settings(None, {"feed.days": DAYS}, environ={}).settings
    engine = await open_database(f"sqlite+aiosqlite:///{folder / 'events.db'}", durable=False)
    store = SqlStore(engine, host=SystemHost())
    bot = build_bot(settings, store=store)
    await bot.start()
    number = 0
    while (steps is None or number < steps) and await bot.step():
        number += 1
        for name, at in commands.items():
            if at == number:
                await post_command(engine, "paper", SYMBOL, name, now_ms=0)
    await bot.stop()
    return engine


async def read(engine, number=1):
    spans = await run_spans(engine, "paper", SYMBOL)
    return await read_recorded_run(engine, "paper", SYMBOL, spans[number - 1])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    async def made():
        engine = await paper_run(tmp_path_factory.mktemp("run"))
        found = await read(engine)
        await engine.dispose()
        return found

    return asyncio.run(made())


async def test_a_run_in_which_a_person_flattened_and_resumed_replays_exactly(tmp_path):
    engine = await paper_run(tmp_path, flatten=100, resume=200)
    found = await read(engine)
    await engine.dispose()
    assert [name for _, name in found.commands] == ["flatten", "resume"]
    shares = []
    replayed = await replay_run(found, PaperSettings(), rules=("through",), progress=shares.append)
    assert replayed.reruns[0].first is None
    assert replayed.reruns[0].books == replayed.recorded
    assert shares[-1] == 1.0


async def test_the_first_tick_that_decides_otherwise_is_named(run: RecordedRun):
    ticks = list(run.path)
    changed = ticks[50]
    assert isinstance(changed, RecordedTick)
    ticks[50] = replace(changed, decided=replace(changed.decided, ratio=0.75))
    replayed = await replay_run(replace(run, path=tuple(ticks)), PaperSettings(), rules=("through",))
    first = replayed.reruns[0].first
    assert first is not None
    assert (first.tick, first.ts_ms, first.differences) == (51, changed.market.close_ms, (("ratio", "0.75", f"{changed.decided.ratio}"),))
    assert replayed.reruns[0].differing == 1
    titles = [grid.title for grid in replay_grids(replayed)]
    assert titles[1] == "Where through parts from the run: tick 51, 2025-01-01 00:51 UTC"


async def test_a_target_that_does_not_follow_from_its_snapshot_is_named(run: RecordedRun):
    forged = replace(run.targets[0], stored={**run.targets[0].stored, "ratio": 0.9})
    replayed = await replay_run(replace(run, targets=(forged, *run.targets[1:])), PaperSettings(), rules=("through",))
    assert len(replayed.decided_otherwise) == 1
    assert decisions_line(replayed).startswith(f"1 of {len(run.targets)} recorded targets are decided otherwise now, first event")
    assert as_json(replayed)["targets"]["different"][0]["event"] == forged.sequence


async def test_without_snapshots_the_built_in_rules_stand_in_and_that_is_said(run: RecordedRun):
    bare = replace(run, targets=tuple(replace(target, snapshot=None) for target in run.targets))
    replayed = await replay_run(bare, PaperSettings(), rules=("through",))
    assert replayed.reruns[0].first is None
    assert decisions_line(replayed) == f"No target could be decided again; {len(run.targets)} have no snapshot."
    assert "No snapshot is recorded: the built-in trading rules and fees stand in for the venue's." in replayed.limits


async def test_a_skipped_tick_is_skipped_again(run: RecordedRun):
    path = list(run.path)  # at its end a node has filled, and a buy waits below
    path.insert(-1, Skipped(path[-2].market.close_ms + 1, "the feed is frozen"))
    replayed = await replay_run(replace(run, path=tuple(path)), PaperSettings(), rules=("through",))
    assert replayed.reruns[0].first is not None  # what would unwind was withdrawn, and is placed again with the next tick
    assert replayed.reruns[0].first.tick == len(run.ticks)


def test_a_settlement_between_two_ticks_is_put_back_on_the_next(run: RecordedRun):
    without = tuple(
        replace(item, market=item.market._replace(settled_rate=None)) if isinstance(item, RecordedTick) else item for item in run.path
    )
    path, restored = market_path(replace(run, path=without))
    assert restored == len(run.funding) > 0
    carried = [item.market for item in path if isinstance(item, RecordedTick) and item.market.settled_rate is not None]
    assert [market.settled_rate for market in carried] == [float(payment.rate) for payment in run.funding]
    assert market_path(run)[1] == 0


def test_what_is_not_replayed_is_said(run: RecordedRun):
    advised = replace(run, kinds={**run.kinds, "advice": 2})
    assert any("language model" in limit for limit in limits_of(advised, 3))
    assert any("3 funding settlements came between two ticks" in limit for limit in limits_of(advised, 3))


def test_the_books_and_memory_of_a_resumed_run_are_those_of_its_first_tick(run: RecordedRun):
    later = run.ticks[300:]
    resumed = replace(run, path=later, targets=(), earlier=run.targets[-1])
    assert memory_of(run) is None
    memory = memory_of(resumed)
    assert memory is not None
    assert memory.curve is not None
    assert memory.curve.anchor == later[0].decided.anchor
    books = books_of(resumed, instrument_of(resumed))
    wallet = books.state["wallets"]["USDT"]
    assert wallet["cash"] == str(later[0].account.wallet)
    assert books.state["pairs"][SYMBOL]["desk"]["ledger"]["lots"] < 0


async def test_a_store_that_keeps_nothing_gives_each_command_once_at_its_time():
    store = ForgetfulStore(None, ((5, "flatten"), (9, "resume")))
    await store.save([Event(EventKind.TICK, 1, "t", {})])
    assert (await store.open("a", "b", "c", 0), await store.unsettled(), await store.events()) == (None, (), ())
    store.now_ms = 6
    assert [command.name for command in await store.commands()] == ["flatten"]
    assert await store.commands() == []
    store.now_ms = 9
    assert [command.name for command in await store.commands()] == ["resume"]


async def test_a_run_without_a_tick_and_one_that_cannot_be_read_are_refused(tmp_path):
    engine = await paper_run(tmp_path, steps=0)
    with pytest.raises(ConfigError, match="has no recorded tick"):
        await read(engine)
    await engine.dispose()
    (tmp_path / "other").mkdir()
    engine = await paper_run(tmp_path / "other", steps=5)
    async with engine.begin() as connection:
        rows = (await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))).scalars().all()
        for name in rows:
            await connection.execute(text(f"DROP TRIGGER {name}"))
        await connection.execute(text("UPDATE events SET payload = '{\"market\": 1}' WHERE kind = 'tick'"))
    with pytest.raises(Fatal, match="run 1 cannot be read"):
        await read(engine)
    await engine.dispose()


async def test_a_real_run_is_replayed_from_its_quotes(tmp_path):
    async with Rehearsal.running(tmp_path) as rehearsal:
        await rehearsal.quiet(60.0)
        for price in (95_001, 96_430, 97_350):
            rehearsal.move(price)
            await rehearsal.quiet(60.0)
        await rehearsal.stop()
        account, symbol = rehearsal.live.broker.account, rehearsal.live.symbol
        spans = await run_spans(rehearsal.engine, account, symbol)
        found = await read_recorded_run(rehearsal.engine, account, symbol, spans[-1])
    replayed = await replay_run(found, PaperSettings())
    assert [again.rule for again in replayed.reruns] == ["touch", "through", "queue"]
    assert replayed.decided_otherwise == ()
    assert replayed.recorded.sold > 0
    assert replayed.reruns[0].books.sold > 0
    assert any(f"quotes at {len(found.ticks):,} ticks" in limit for limit in replayed.limits)
    assert isinstance(spans[-1], RunSpan)
