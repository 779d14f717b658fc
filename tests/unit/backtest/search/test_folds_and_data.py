"""The parts of the data: nothing of a test is in its training, and a part runs as the market itself."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.backtest.replay import replay
from alpha_pulse.backtest.search.engine import Engine
from alpha_pulse.backtest.search.evaluate import Evaluator, Job
from alpha_pulse.backtest.search.folds import Division, folds_of
from alpha_pulse.backtest.search.market_data import MarketData, Part, PartFeed, read_data
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.tail import VarMethod
from alpha_pulse.settings import Settings
from tests.unit.backtest.search.searching import HOUR_MS, START_MS, market_file, settings_on

SIMULATED = Settings.read({"feed": {"source": "simulated", "days": 3, "seed": 3}})


@pytest.fixture(scope="module")
def simulated() -> MarketData:
    return asyncio.run(read_data(SIMULATED))


@given(st.integers(60, 400), st.floats(0.1, 0.7), st.integers(1, 4), st.booleans(), st.floats(0, 5))
def test_a_test_lies_after_its_training_and_the_embargo(days, test, folds, rolling, embargo):
    times = START_MS + HOUR_MS * np.arange(days * 24)
    try:
        found = folds_of(times, Division(test, folds, rolling, embargo))
    except ConfigError as error:
        assert "are needed" in str(error)  # noqa: PT017 - too short for these numbers
        return
    assert len(found) == folds
    for fold in found:
        assert fold.test.start - fold.train.stop == round(embargo * 24)
        assert fold.train.start == 0 or rolling
    for before, after in itertools.pairwise(found):
        assert after.test.start == before.test.stop
    assert len(times) - folds < found[-1].test.stop <= len(times)


@pytest.mark.parametrize(
    ("division", "problem"),
    [
        (Division(test=0.0), "between 0 and 1"),
        (Division(folds=0), "1 at least"),
        (Division(embargo_days=-1), "no number of days"),
        (Division(test=0.3, folds=9), "are needed"),
        (Division(test=0.9), "are needed"),
    ],
)
def test_what_divides_nothing_is_refused(division, problem):
    with pytest.raises(ConfigError, match=problem):
        folds_of(START_MS + HOUR_MS * np.arange(30 * 24), division)


def test_a_market_runs_from_its_table_as_from_its_feed(simulated):
    whole = asyncio.run(replay(SIMULATED))
    for engine in ("replay", "compiled"):
        run = Engine(simulated, engine).run(SIMULATED, Part(0, simulated.bars))
        assert [(f.ts_ms, f.price, f.quantity) for f in run.record.fills] == [(f.ts_ms, f.price, f.quantity) for f in whole.fills]
        assert run.record.wallet[-1] == pytest.approx(whole.wallet[-1], rel=1e-12)
        assert (run.engine, run.note) == (engine, "")


async def test_a_part_delivers_its_bars_and_has_all_before_them_as_history(simulated):
    feed, pair = PartFeed(simulated, Part(100, 110)), hedge_pair("BTCUSDT")
    await feed.open(pair, builtin_instrument(pair))
    assert feed.expected("BTCUSDT") == 10
    delivered = [update async for update in _updates(feed)]
    assert [u.close_ms for u in delivered] == simulated.close_ms[100:110].tolist()
    assert [u.close_ms for u in feed.history("BTCUSDT")] == simulated.close_ms[:100].tolist()
    assert feed.latest("BTCUSDT") == delivered[-1]
    await feed.open(pair, builtin_instrument(pair), resume_after_ms=delivered[4].close_ms)
    assert await feed.next("BTCUSDT") == delivered[5]
    await feed.close()


async def _updates(feed: PartFeed):
    while (update := await feed.next("BTCUSDT")) is not None:
        yield update


async def test_data_of_one_pair_are_not_another_s(simulated):
    pair = hedge_pair("ETHUSDT")
    with pytest.raises(ConfigError, match="the data are of BTCUSDT"):
        await PartFeed(simulated, Part(0, 1)).open(pair, builtin_instrument(pair))


def test_a_part_does_not_change_with_what_comes_after_it(simulated):
    cut = replace(simulated, table=simulated.table[:3000])
    run = [Evaluator(data, "replay").run(Job(0, SIMULATED, Part(0, 3000))) for data in (simulated, cut)]
    assert run[0].figures == run[1].figures
    assert run[0].figures.values["trading.fills"] > 0


def test_equal_data_have_equal_fingerprints(simulated):
    again = asyncio.run(read_data(SIMULATED))
    other = asyncio.run(read_data(Settings.read({"feed": {"source": "simulated", "days": 3, "seed": 4}})))
    assert again.digest == simulated.digest != other.digest


@pytest.mark.parametrize("feed", [{"source": "simulated"}, {"source": "ccxt"}])
def test_a_market_without_an_end_cannot_be_searched_on(feed):
    with pytest.raises(ConfigError, match="live or endless"):
        asyncio.run(read_data(Settings.read({"feed": feed})))


def test_what_the_twin_refuses_the_replay_runs_and_says_so(tmp_path: Path):
    settings = settings_on(market_file(tmp_path, days=8))
    fat_tails = settings.model_copy(update={"risk": settings.risk.model_copy(update={"var_method": VarMethod.CORNISH_FISHER})})
    data = asyncio.run(read_data(settings))
    job = Job(0, fat_tails, Part(0, data.bars))
    found = Evaluator(data, "auto").run(job)
    assert (found.engine, found.error) == ("replay", "")
    assert found.note.startswith("Run by the replay, not the compiled twin: risk.var_method")
    assert "is not supported" in Evaluator(data, "compiled").run(job).error
