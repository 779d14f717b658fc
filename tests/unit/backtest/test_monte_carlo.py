from __future__ import annotations

import asyncio
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from alpha_pulse.backtest.backtest_console import print_grids
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.engines import run_engine
from alpha_pulse.backtest.monte_carlo import MOST_PATHS, MonteCarloPlan, default_block, figures_of_path, resampled, run_monte_carlo
from alpha_pulse.backtest.monte_carlo_result import FIGURES, MonteCarlo, PathFigures
from alpha_pulse.backtest.monte_carlo_view import monte_carlo_grid
from alpha_pulse.backtest.report import render_report
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.search.engine import Engine
from alpha_pulse.backtest.search.market_data import MarketData, Part, read_data
from alpha_pulse.backtest.writers import write_run
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings
from alpha_pulse.testing.records import wandering_record

HOUR = 3_600_000
FIRST = 5  # bars that only warm indicators up


def market(bars=400, *, step=HOUR, seed=1, first=FIRST):
    """Hourly bars with a basis, a spread, a spot outage, and funding every eight hours, then every four."""
    random = np.random.default_rng(seed)
    close = np.round(50_000 * np.exp(np.cumsum(0.01 * random.standard_normal(bars))), 1)
    opened = np.concatenate(([50_000.0], close[:-1]))
    high, low = np.maximum(opened, close) + 20.0, np.minimum(opened, close) - 20.0
    perp = np.column_stack([opened, high, low, close, random.uniform(1, 9, bars)])
    mark, spot = perp * 1.0002, perp * np.linspace(0.999, 0.998, bars)[:, None]
    spot[50:51] = math.nan
    opens = step * np.arange(bars)
    interval = np.where(np.arange(bars) < bars // 2, 8.0, 4.0)
    settles = opens % (interval * HOUR) == 0
    rate = 1e-4 * random.standard_normal(bars)
    columns = (
        opens, opens + step, *perp.T, *mark.T, *spot.T, mark[:, 3], close, close + 0.1, rate, interval,
        (opens // (interval * HOUR) + 1) * interval * HOUR, np.where(settles, rate, math.nan), np.zeros(bars), np.zeros(bars),
    )  # fmt: skip
    return MarketData("BTCUSDT", None, np.column_stack(columns), first, "made up", simulated=True)


def one(data, **settings):
    (found,) = resampled(data, **({"paths": 1, "block": 20.0, "seed": 3} | settings))
    return found


def source_rows(data, made):
    """Which recorded bar each was made of: its volume tells."""
    volumes = data.table[FIRST:, 6].tolist()
    return np.array([volumes.index(volume) for volume in made.table[FIRST:, 6].tolist()])


def test_a_resampled_market_has_the_moves_of_the_record_in_blocks():
    data = market()
    made = one(data)
    rows = source_rows(data, made)
    closes, recorded = made.table[FIRST:, 5], data.table[FIRST:, 5]
    before = np.concatenate(([data.table[FIRST, 2]], recorded[:-1]))
    moves = np.diff(np.log(np.concatenate(([data.table[FIRST, 2]], closes))))
    assert moves == pytest.approx(np.log(recorded / before)[rows], abs=1e-5)  # a tick is 2e-6 of the price
    assert np.mean(np.diff(rows) == 1) == pytest.approx(0.95, abs=0.04)
    assert len(np.unique(rows)) < len(rows)


def test_every_price_keeps_its_distance_and_the_perpetuals_lie_on_ticks():
    data = market()
    made = one(data)
    rows = source_rows(data, made)
    live, recorded = made.table[FIRST:], data.table[FIRST:][rows]
    scale = live[:, 5] / recorded[:, 5]
    for columns in (slice(2, 6), slice(7, 11), slice(12, 16), slice(17, 18)):
        assert live[:, columns] == pytest.approx(recorded[:, columns] * scale[:, None], rel=2e-5, nan_ok=True)
    assert np.isnan(live[:, 12]).sum() == (rows == 45).sum()
    for column in (*range(2, 6), 18, 19):
        assert live[:, column] * 10 == pytest.approx(np.rint(live[:, column] * 10), abs=1e-6)
    assert (live[:, 19] > live[:, 18]).all()
    assert (live[:, 3] >= live[:, [2, 4, 5]].max(axis=1)).all()
    assert (live[:, 4] <= live[:, [2, 3, 5]].min(axis=1)).all()


def test_time_and_settlements_stay_and_pay_the_rate_that_was_known_there():
    data = market()
    made = one(data)
    rows = source_rows(data, made)
    live, recorded = made.table[FIRST:], data.table[FIRST:]
    for column in (0, 1, 21, 22):
        assert live[:, column].tolist() == recorded[:, column].tolist()
    settles = ~np.isnan(recorded[:, 23])
    assert (~np.isnan(live[:, 23])).tolist() == settles.tolist()
    per_hour = recorded[rows, 20] / recorded[rows, 21]
    assert live[:, 20] / live[:, 21] == pytest.approx(per_hour)
    assert live[settles, 23] == pytest.approx(live[settles, 20])


def test_what_warms_indicators_up_is_left_as_it_was():
    data = market()
    assert one(data).table[:FIRST].tobytes() == data.table[:FIRST].tobytes()


def test_equal_seeds_give_equal_markets_and_each_path_is_another():
    data = market(100)
    first, again, other = ([made.digest for made in resampled(data, paths=3, block=5.0, seed=seed)] for seed in (1, 1, 2))
    assert first == again
    assert len({*first, *other, data.digest}) == 7


def test_the_default_block_looks_at_days_too_and_leaves_several_blocks():
    random = np.random.default_rng(2)
    days = np.exp(np.sin(np.arange(60) / 3))  # calm and rough stretches of nine days
    data = market(60 * 1440, step=60_000, first=0)
    data.table[:, 5] = 50_000 * np.exp(np.cumsum(0.001 * np.repeat(days, 1440) * random.standard_normal(60 * 1440)))
    most_of_minutes = 3 * math.sqrt(data.bars)  # what the paper allows a block of this many bars
    assert default_block(data) > 1.5 * most_of_minutes
    assert default_block(data) <= 0.25 * data.bars
    assert default_block(market(11, first=0)) <= 11 / 4


def figures(**given):
    return PathFigures(**(dict.fromkeys(FIGURES, 0.0) | given))


def monte_carlo(*paths, hedges=True, note=""):
    return MonteCarlo(paths, figures(hedge_pnl=-5.0), 48.0, 2.0, 42, "compiled", note, hedges)


def test_the_shares_by_hand():
    found = monte_carlo(
        figures(hedge_pnl=-10, unhedged_drawdown=100, hedged_drawdown=50, hedged_change=3, static_change=4),  # cost 10, spared 50
        figures(hedge_pnl=-60, unhedged_drawdown=100, hedged_drawdown=50, hedged_change=3, static_change=2),  # cost 60, spared 50
        figures(hedge_pnl=20, unhedged_drawdown=40, hedged_drawdown=50, hedged_change=3, static_change=2),  # gained, and fell deeper
        figures(hedge_pnl=-20, unhedged_drawdown=40, hedged_drawdown=50, hedged_change=3, static_change=3),  # cost 20, spared less than 0
    )
    assert (found.lost, found.cost_more_than_it_saved, found.smaller_drawdown, found.worse_than_static) == (0.75, 0.5, 0.5, 0.25)
    assert "lost money in 75%, and in 50% it cost more than it saved" in found.words
    assert "ended with more in 25%" in found.words
    assert "Blocks of 2 days on average, seed 42." in found.words
    assert found.to_json()["figures"]["hedge_pnl"] | {"recorded": 0} == {
        "recorded": 0,
        "p5": pytest.approx(np.quantile([-60, -20, -10, 20], 0.05)),
        "p25": pytest.approx(-30.0),
        "p50": pytest.approx(-15.0),
        "p75": pytest.approx(-2.5),
        "p95": pytest.approx(np.quantile([-60, -20, -10, 20], 0.95)),
    }


def shown(result):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    print_grids([monte_carlo_grid(result)], console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def simulated():
    settings = Settings.model_validate({"feed": {"source": "simulated", "days": 3, "seed": 5}})
    record = asyncio.run(run_engine("compiled", settings))
    return settings, record, run_monte_carlo(settings, record, MonteCarloPlan(4, 0.5, 9))


def test_every_path_is_the_run_on_its_market(simulated):
    settings, record, found = simulated
    data = asyncio.run(read_data(settings))
    markets = list(resampled(data, paths=4, block=found.block_bars, seed=9))
    runs = [Engine(made, "replay").run(settings, Part(0, made.bars)).record for made in (markets[0], markets[3])]
    for path, run in zip((found.paths[0], found.paths[3]), runs, strict=True):
        for name in FIGURES:
            assert getattr(path, name) == pytest.approx(getattr(figures_of_path(run), name), rel=1e-9, abs=1e-6)
    assert found.recorded == figures_of_path(record)
    assert (found.engine, found.note, found.block_bars) == ("compiled", "", 720.0)
    assert len({path.hedge_pnl for path in found.paths}) == 4


def test_the_figures_of_the_record_are_those_of_its_result(simulated):
    _, record, found = simulated
    result = summarise(record)
    assert found.recorded.hedge_pnl == result.attribution.hedge_pnl
    assert found.recorded.hedged_change == pytest.approx(result.hedged.pnl)
    assert found.recorded.unhedged_drawdown == result.unhedged.max_drawdown_quote


def test_table_page_and_file_show_the_paths(simulated, tmp_path):
    _, record, found = simulated
    bars = Bars.of(record)
    result = replace(summarise(record, bars), monte_carlo=found)
    page = render_report(record, result, bars, paths_of(record, bars))
    assert "On 4 resampled markets" in shown(result)
    assert "How much of it was the path" in page
    assert page.count("<circle") == 6  # the record, in three paths and two figures
    assert f"{abs(found.recorded.hedge_pnl):,.0f}" in shown(result)
    write_run(record, result, tmp_path)
    lines = (tmp_path / "monte_carlo.csv").read_text().splitlines()
    assert lines[0] == ",".join(("path", *FIGURES))
    assert [float(line.split(",")[2]) for line in lines[1:]] == pytest.approx([path.hedge_pnl for path in found.paths])
    body = json.loads((tmp_path / "result.json").read_text())["monte_carlo"]
    assert (body["paths"], body["seed"], body["engine"]) == (4, 9, "compiled")
    assert body["shares"]["lost"] == found.lost
    write_run(record, summarise(record, bars), tmp_path)
    assert not (tmp_path / "monte_carlo.csv").exists(), "of an earlier run"
    assert json.loads((tmp_path / "result.json").read_text())["monte_carlo"] == {}


def test_the_worst_is_left_whether_more_or_less_of_it_is_better():
    paths = [figures(hedged_change=float(number), hedged_drawdown=float(number)) for number in range(101)]
    rows = {row[0]: row for row in monte_carlo_grid(replace(summarise(wandering_record(days=1)), monte_carlo=monte_carlo(*paths))).rows}
    assert rows["Grid hedge, change of net worth"][2:] == ("+5", "+25", "+50", "+75", "+95")
    assert rows["Grid hedge, worst drawdown"][2:] == ("−95", "−75", "−50", "−25", "−5")


def test_a_neutral_grid_is_compared_with_nothing():
    found = monte_carlo(figures(hedge_pnl=-1.0), figures(hedge_pnl=1.0), hedges=False)
    result = replace(summarise(wandering_record(days=1)), monte_carlo=found)
    assert found.words.startswith("In 2 resampled markets the grid lost money in 50%. Blocks")
    assert "Unhedged" not in shown(result)
    assert "Static" not in shown(result)
    assert list(found.to_json()["shares"]) == ["lost"]


def test_what_the_twin_refuses_the_replay_runs_and_it_is_said():
    settings = Settings.model_validate({"feed": {"source": "simulated", "days": 0.3, "seed": 5}, "risk": {"var_method": "cornish_fisher"}})
    told = []
    record = asyncio.run(run_engine("replay", settings))
    found = run_monte_carlo(settings, record, MonteCarloPlan(2), told.append)
    assert found.engine == "replay"
    assert "risk.var_method" in found.words
    assert told == [0.5, 1.0]


def test_a_run_that_resampled_nothing_shows_nothing():
    result = summarise(wandering_record(days=1))
    assert monte_carlo_grid(result).rows == ()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (MonteCarloPlan(0), "--monte-carlo = 0"),
        (MonteCarloPlan(MOST_PATHS + 1), "--monte-carlo = 10001"),
        (MonteCarloPlan(5, 0.0), "--block-days = 0.0"),
        (MonteCarloPlan(5, math.nan), "--block-days = nan"),
        (MonteCarloPlan(5, None, -1), "--monte-carlo-seed = -1"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(plan, message):
    with pytest.raises(ConfigError, match=message):
        plan.check()


def test_a_market_of_a_few_bars_is_not_resampled(tmp_path: Path):
    lines = [
        "timestamp,open,high,low,close,volume",
        *(f"{1_735_689_600_000 + HOUR * hour},100000.0,100010,99990,100000,1" for hour in range(9)),
    ]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    feed = {"source": "recorded", "spot": tmp_path / "few.csv", "perp": tmp_path / "few.csv"}
    settings = Settings.model_validate({"feed": feed})
    record = asyncio.run(run_engine("replay", settings))
    with pytest.raises(ConfigError, match="cannot resample 9 bars"):
        run_monte_carlo(settings, record, MonteCarloPlan(3))
