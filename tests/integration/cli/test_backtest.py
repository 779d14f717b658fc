"""``alpha-pulse backtest``, ``compare`` and ``replay`` as a user types them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from alpha_pulse.backtest.export import figures
from tests.integration.backtest.ledger import walk
from tests.integration.cli.running import alpha_pulse

START_MS = 1_735_689_600_000  # 2025-01-01 00:00 UTC
HOUR_MS = 3_600_000
HEADER = "timestamp,open,high,low,close,volume"
STILL = ("--set=grid.volatility_multiple=0", "--set=grid.snap=0", "--set=grid.volume_adjust=0")  # nodes that stay where they are
FILES = ("result.json", "fills.csv", "funding.csv", "equity.csv", "decisions.csv", "report.html")


pytestmark = pytest.mark.usefixtures("own_folder")


def candle(hour: int, high: float = 100_010.0, close: float = 100_000.0) -> str:
    return f"{START_MS + hour * HOUR_MS},100000.0,{high},99990.0,{close},100"


def touching(path: str = "market.csv", hours: int = 48) -> str:
    """A market that comes to the first node of the grid, 101,000, every four hours, and never passes it."""
    lines = [HEADER, *(candle(hour, 101_000.0 if hour % 4 == 2 else 100_010.0) for hour in range(hours))]
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def backtest(*options: str, market: str = "market.csv") -> str:
    code, out, err = alpha_pulse("backtest", "--spot", market, "--perp", market, *STILL, *options)
    assert code == 0, err
    return out


def result(folder: str) -> dict[str, object]:
    body = json.loads(Path(folder, "result.json").read_text())
    assert isinstance(body, dict)
    return body


def test_a_strategy_that_lives_on_touch_fills_is_seen_at_once():
    touching()
    shown = backtest("--fill-rule", "touch", "--out", "run")
    rules = result("run")["fill_rules"]
    assert {name: rules[name]["fills"] for name in rules} == {"touch": 27, "through": 2, "queue": 2}
    assert "touch (this run)" in shown
    assert "Do not believe the touch figure" in shown or "a live queue may not give" in shown
    assert shown.splitlines()[0] == "Assumptions"
    assert all(Path("run", name).is_file() for name in FILES)


def test_each_column_of_the_comparison_is_what_that_rule_alone_gives():
    touching()
    backtest("--out", "all")
    compared = result("all")["fill_rules"]
    for rule in ("touch", "queue"):
        backtest("--fill-rule", rule, "--one-rule", "--out", rule)
        alone = result(rule)
        assert alone["fill_rules"] == {}
        assert compared[rule]["hedge_pnl"] == alone["hedge_pnl"]
        assert compared[rule]["fills"] == alone["trading"]["fills"]


def test_the_files_are_the_demos_and_the_books_add_up():
    touching()
    backtest("--fill-rule", "touch", "--one-rule", "--out", "run")
    code, _, err = alpha_pulse(
        "demo", "--spot", "market.csv", "--perp", "market.csv", *STILL, "--set=paper.fill_rule=touch", "--out", "demo"
    )
    assert code == 0, err
    for name in ("fills.csv", "funding.csv", "equity.csv", "decisions.csv"):
        assert Path("run", name).read_bytes() == Path("demo", name).read_bytes()
    shown = result("run")
    books = walk(Path("run"), Decimal(str(shown["initial_wallet"])))
    assert books.problems == []
    assert float(books.cash) == pytest.approx(shown["cash"], abs=0.005)
    assert float(books.position) == pytest.approx(shown["perp_position"], abs=1e-9)


def test_orders_that_were_sent_are_counted_and_decisions_are_recorded():
    touching()
    backtest("--fill-rule", "touch", "--one-rule", "--out", "run")
    rates = result("run")["activity"]["fill_rates"]
    assert rates["grid"]["sent"] >= rates["grid"]["filled"] > 0
    assert result("run")["activity"]["limits"]["latched"] == 0.0
    with Path("run", "decisions.csv").open(newline="") as file:
        decisions = list(csv.DictReader(file))
    assert decisions[0]["ratio_before"] == ""
    assert float(decisions[0]["ratio"]) == 0.5
    assert decisions[0]["why"].startswith("sizer 0.0% → 50.0%")


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_run_is_exported(form):
    touching(hours=30)
    backtest("--one-rule", "--out", "run", "--export", form)
    assert Path("run", f"bars.{form}").is_file()
    assert Path("run", f"metrics.{form}").is_file()


def test_the_compiled_engine_gives_the_fills_and_the_figures_of_the_replay():
    for engine in ("replay", "compiled"):
        options = ("--set", "feed.days=4", "--set", "feed.seed=11", "--engine", engine, "--out", engine)
        code, _, err = alpha_pulse("backtest", *options)
        assert code == 0, err
    numbers = [[line.split(",")[:6] for line in Path(engine, "fills.csv").read_text().splitlines()] for engine in ("replay", "compiled")]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) > 5
    one, other = result("replay"), result("compiled")
    assert one["fill_rules"] == other["fill_rules"]


def test_what_the_compiled_engine_cannot_do_is_refused_by_its_name():
    options = ("--set", "feed.days=4", "--set", "risk.var_method=cornish_fisher", "--engine", "compiled", "--out", "run")
    code, _, err = alpha_pulse("backtest", *options)
    assert code == 2
    assert "risk.var_method" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--engine", "quick"), "is no engine"),
        (("--export", "xlsx"), "is no format for tables"),
        (("--fill-rule", "always"), "--fill-rule: paper.fill_rule"),
        (("--out", "market.csv"), "is a file, not a folder"),
        (("--monte-carlo", "-3"), "--monte-carlo = -3"),
        (("--monte-carlo", "3", "--block-days", "0"), "--block-days = 0"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(arguments, problem):
    touching()
    code, _, err = alpha_pulse("backtest", "--spot", "market.csv", "--perp", "market.csv", *arguments)
    assert (code, problem in err) == (2, True), err


def test_a_market_that_is_not_there_or_has_not_happened_is_refused():
    code, _, err = alpha_pulse("backtest")
    assert (code, "there is no market to run on" in err) == (2, True)
    code, _, err = alpha_pulse("backtest", "--set", "feed.source=ccxt")
    assert (code, "a live market has not happened yet" in err) == (2, True)


def swapped() -> str:
    return "\n".join([HEADER, candle(1), candle(0), candle(2)])


BAD: dict[str, tuple[Callable[[], str], str]] = {
    "empty": (lambda: "", "has no column 'timestamp'"),
    "header": (lambda: HEADER + "\n", "has fewer than two rows"),
    "one bar": (lambda: f"{HEADER}\n{candle(0)}\n", "has fewer than two rows"),
    "unsorted": (swapped, "row 2: its time stamp is not after the row's before"),
    "twice": (lambda: "\n".join([HEADER, candle(0), candle(0)]), "row 2: its time stamp is not after the row's before"),
    "text": (lambda: f"{HEADER}\n{candle(0)}\n{START_MS + HOUR_MS},1,2,x,1,1\n", "cannot be read"),
    "impossible": (lambda: f"{HEADER}\n{candle(0)}\n{candle(1, high=99_000.0)}\n", "row 2: its high is below"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_trusted_are_refused_with_file_and_reason(name):
    content, problem = BAD[name]
    Path("bad.csv").write_text(content())
    code, _, err = alpha_pulse("backtest", "--spot", "bad.csv", "--perp", "bad.csv", "--out", "run")
    assert (code, "bad.csv" in err, problem in err) == (2, True, True), err
    assert not Path("run", "result.json").exists()


def test_a_corrupt_parquet_file_is_refused():
    Path("bad.parquet").write_bytes(bytes(range(256)) * 9)
    code, _, err = alpha_pulse("backtest", "--spot", "bad.parquet", "--perp", "bad.parquet")
    assert (code, "is no Parquet file that can be read" in err) == (2, True)


def test_two_bars_are_enough_for_a_run_that_says_what_it_cannot_tell():
    Path("two.csv").write_text("\n".join([HEADER, candle(0), candle(1)]) + "\n")
    shown = backtest("--out", "run", market="two.csv")
    body = result("run")
    assert body["bars"] == 2
    assert body["account"]["hedged"]["sharpe"] is None
    assert "too few whole days" in body["unavailable"]["account.hedged.sharpe"]
    assert "n/a" in shown


def test_the_run_on_resampled_markets_is_printed_reported_and_repeated():
    options = ("--set", "feed.days=3", "--set", "feed.seed=11", "--one-rule", "--engine", "compiled", "--monte-carlo", "5")
    for out in ("one", "two"):
        code, shown, err = alpha_pulse("backtest", *options, "--block-days", "0.5", "--out", out)
        assert code == 0, err
    assert "On 5 resampled markets" in shown
    assert "it cost more than it saved" in shown
    assert len(Path("one/monte_carlo.csv").read_text().splitlines()) == 6
    assert "How much of it was the path" in Path("one/report.html").read_text()
    for name in ("monte_carlo.csv", "fills.csv", "result.json", "report.html"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()
    assert result("one")["monte_carlo"]["paths"] == 5
    code, _, err = alpha_pulse("backtest", *options, "--block-days", "0.5", "--monte-carlo-seed", "2", "--out", "two")
    assert code == 0, err
    assert Path("one/fills.csv").read_bytes() == Path("two/fills.csv").read_bytes()
    assert Path("one/monte_carlo.csv").read_bytes() != Path("two/monte_carlo.csv").read_bytes()


def test_the_static_benchmark_is_in_the_report_the_result_and_on_the_console():
    touching(hours=24 * 33)
    shown = " ".join(backtest("--fill-rule", "touch", "--one-rule", "--out", "run").split())
    body = result("run")["static_benchmark"]
    assert body["days"] == 32
    assert body["words"] in shown
    assert body["words"].replace("'", "&#x27;") in Path("run/report.html").read_text()
    assert "Against a static hedge of the same average size" in shown


# --- compare ------------------------------------------------------------------------------------------------------
def test_two_runs_are_compared():
    touching()
    backtest("--fill-rule", "touch", "--one-rule", "--out", "a")
    backtest("--fill-rule", "through", "--one-rule", "--out", "b")
    code, out, _ = alpha_pulse("compare", "a", "b", "--html", "pages/diff.html")
    assert code == 0
    assert "paper.fill_rule" in out
    assert "only in a" in out
    assert "They part at 2025-01-01T" in out
    assert Path("pages/diff.html").read_text().startswith("<!DOCTYPE html>")
    code, out, _ = alpha_pulse("compare", "a", "b", "--json")
    found = json.loads(out)
    assert found["settings"] == {"paper.fill_rule": ["touch", "through"]}
    assert (found["fills"]["common"], found["fills"]["only_a"], found["fills"]["only_b"]) == (2, 25, 0)
    code, out, _ = alpha_pulse("compare", "a", "a")
    assert "The settings are the same." in out
    assert "The fills are the same." in out
    code, _, err = alpha_pulse("compare", "a", "nowhere")
    assert (code, "is no folder of a run" in err) == (2, True)


# --- replay -------------------------------------------------------------------------------------------------------
QUIET = ("--set=feed.speed=0", "--set=logging.level=ERROR", "--set=logging.file=null")
RECORDED = ("--set=feed.source=recorded", "--set=feed.spot=market.csv", "--set=feed.perp=market.csv")


def ran(*options: str) -> None:
    code, _, err = alpha_pulse("run", *QUIET, *RECORDED, *STILL, *options)
    assert code == 0, err


def replayed(*arguments: str) -> dict[str, object]:
    code, out, err = alpha_pulse("replay", *arguments, "--json")
    assert code == 0, err
    body = json.loads(out)
    assert isinstance(body, dict)
    return body


def test_a_paper_run_replays_exactly_under_its_own_rule_and_parts_under_others():
    touching(hours=30)
    ran("--set=paper.fill_rule=touch")
    found = replayed()
    own, other = found["replayed"]["touch"], found["replayed"]["through"]
    assert (own["differing_ticks"], own["first_divergence"]) == (0, None)
    assert {name: own[name] for name in found["recorded"]} | {"fees": ""} == found["recorded"] | {"fees": ""}
    assert Decimal(own["fees"]) == Decimal(found["recorded"]["fees"])
    assert own["pnl"] == found["recorded"]["pnl"]
    assert found["targets"]["same"] > 0
    assert found["targets"]["different"] == []
    assert found["recorded"]["fills"] > other["fills"] == 2
    first = other["first_divergence"]
    assert first["differences"][0]["what"] == "position"
    assert 0 < other["differing_ticks"] < found["ticks"]
    assert found["not_recorded"] == ["Slippage and the queue's share are not recorded: those of the configuration are used."]
    code, out, _ = alpha_pulse("replay", "1")
    assert code == 0
    assert "targets are decided again from their snapshots, the same to the last bit." in out
    assert "Where through parts from the run: tick" in out
    assert "What the record does not hold" in out


def test_a_run_that_went_on_from_an_earlier_one_is_replayed_from_where_it_began():
    touching(hours=40)
    ran("--set=feed.days=0.8")
    ran()
    assert replayed("1")["replayed"]["through"]["differing_ticks"] == 0
    second = replayed("last")
    assert second["run"] == 2
    assert second["replayed"]["through"]["differing_ticks"] == 0
    assert any("began with a position" in limit for limit in second["not_recorded"])
    code, out, _ = alpha_pulse("replay", "--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["1", "2"]
    assert "2025-01-01 01:00 to 2025-01-01 20:00 UTC, ended: the feed has ended" in out


def test_a_run_that_is_not_there_is_refused():
    code, _, err = alpha_pulse("replay")
    assert (code, "no bot has run with this database" in err) == (2, True)
    touching(hours=6)
    ran()
    code, _, err = alpha_pulse("replay", "3")
    assert (code, "RUN = '3': is no run of this store" in err) == (2, True)


def test_a_market_with_bars_missing_between_ticks_is_said_to_have_them():
    touching(hours=40)
    lines = Path("market.csv").read_text().splitlines()
    Path("market.csv").write_text("\n".join(lines[:10] + lines[14:]) + "\n")
    ran()
    assert any("In 1 places bars between ticks are missing" in limit for limit in replayed()["not_recorded"])


def test_every_figure_of_a_backtest_has_a_number_or_a_reason():
    touching()
    backtest("--out", "run")
    body = result("run")
    missing = {path for path, value in figures({k: v for k, v in body.items() if k not in {"settings", "seed"}}) if value is None}
    silent = {path for path in missing if path not in body["unavailable"] and not path.startswith("seed")}
    assert {path for path in silent if "recovered" not in path} == set()


# --- candles of the store ----------------------------------------------------------------------------------------------------------
def test_a_range_of_the_store_gives_what_the_files_of_that_range_give():
    for market in ("spot", "perp"):
        code, _, err = alpha_pulse("data", "import", touching(hours=96), "--pair", "BTCUSDT", "--market", market, "--yes")
        assert code == 0, err
    code, _, err = alpha_pulse("backtest", "--timeframe", "1h", "--until", "2025-01-03", "--one-rule", *STILL, "--out", "stored")
    assert code == 0, err
    backtest("--set", "feed.days=2", "--one-rule", "--out", "files")
    for name in ("fills.csv", "equity.csv"):
        assert Path("stored", name).read_text() == Path("files", name).read_text()


def test_a_run_on_a_later_range_of_the_store_begins_there_with_warm_indicators():
    for market in ("spot", "perp"):
        alpha_pulse("data", "import", touching(hours=96), "--pair", "BTCUSDT", "--market", market, "--yes")
    code, _, err = alpha_pulse("backtest", "--timeframe", "1h", "--since", "2025-01-03", "--one-rule", *STILL, "--out", "late")
    assert code == 0, err
    assert Path("late/equity.csv").read_text().splitlines()[1].startswith("2025-01-03T01:00")


def test_a_pair_that_the_store_does_not_hold_is_refused_with_how_to_get_it():
    code, _, err = alpha_pulse("backtest", "--since", "2025-01-02", "--symbol", "ETHUSDT")
    assert code == 2
    assert "holds no ETHUSDT spot 1m" in err
    assert "alpha-pulse data download ETHUSDT --timeframe 1m --since DATE" in err


def test_a_range_that_ends_before_it_starts_is_refused():
    code, _, err = alpha_pulse("backtest", "--since", "2025-01-04", "--until", "2025-01-02")
    assert code == 2
    assert "ends before it starts" in err


def stored_market(hours: int = 96) -> None:
    for market in ("spot", "perp"):
        code, _, err = alpha_pulse("data", "import", touching(hours=hours), "--pair", "BTCUSDT", "--market", market, "--yes")
        assert code == 0, err


@pytest.mark.parametrize("engine", ["replay", "compiled"])
def test_the_source_of_a_stored_market_names_pair_timeframe_store_and_range(engine):
    stored_market()
    options = ("--timeframe", "1h", "--store", "var/data", "--since", "2025-01-02", "--until", "2025-01-04", "--engine", engine)
    code, shown, err = alpha_pulse("backtest", *options, "--one-rule", "--out", "run")
    assert code == 0, err
    assert result("run")["source"] == "recorded: BTCUSDT 1h of var/data from 2025-01-02 until 2025-01-04"
    assert "Recorded market: BTCUSDT 1h of var/data" in shown


def test_a_range_that_the_store_does_not_fill_is_noted():
    stored_market()
    code, _, err = alpha_pulse(
        "backtest", "--timeframe", "1h", "--since", "2024-12-01", "--until", "2025-02-01", "--one-rule", "--out", "run"
    )
    assert code == 0, err
    notes = " ".join(note["text"] for note in result("run")["notes"])
    assert "begins at 2025-01-01 00:00, after the start that was asked for, 2024-12-01 00:00" in notes
    assert "ends at 2025-01-05 00:00, before the end that was asked for, 2025-02-01 00:00" in notes


@pytest.mark.parametrize("given", [("--since", "2025-01-02"), ("--until", "2025-01-02"), ("--timeframe", "1h"), ("--store", "var/data")])
def test_files_and_a_range_of_the_store_are_not_given_together(given):
    touching()
    code, _, err = alpha_pulse("backtest", "--spot", "market.csv", "--perp", "market.csv", *given, "--out", "run")
    assert code == 2
    assert f"--spot, --perp: the market is either files or a range of the store, and {given[0]} means the store" in err
    assert not Path("run").exists()


# --- gaps, and what an earlier run left ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", ["replay", "compiled"])
def test_gaps_and_what_stands_in_are_the_first_notes_of_the_result(engine):
    lines = Path(touching()).read_text().splitlines()
    Path("spot.csv").write_text("\n".join(lines[:10] + lines[14:]) + "\n")
    code, _, err = alpha_pulse(
        "backtest", "--spot", "spot.csv", "--perp", "market.csv", *STILL, "--one-rule", "--engine", engine, "--out", "run"
    )
    assert code == 0, err
    notes = result("run")["notes"]
    assert [note["text"] for note in notes[:3]] == [
        "spot.csv: 4 rows missing, 2025-01-01 09:00 .. 2025-01-01 12:00",
        "No mark prices were given: the perpetual's own prices stand in for them",
        "No funding rates were given: no funding is paid or received",
    ]
    assert {note["time"] for note in notes[:3]} == {"2025-01-01T01:00:00.000Z"}


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--spot", "market.csv", "--perp", "bad.csv"), "bad.csv"),
        (("--spot", "two.csv", "--perp", "two.csv", "--monte-carlo", "3"), "cannot resample 2 bars"),  # after the run itself
    ],
)
def test_a_run_that_fails_leaves_the_results_of_the_one_before(arguments, problem):
    touching()
    backtest("--one-rule", "--out", "run")
    before = contents("run")
    Path("bad.csv").write_text(BAD["impossible"][0]())
    Path("two.csv").write_text("\n".join([HEADER, candle(0), candle(1)]) + "\n")
    code, _, err = alpha_pulse("backtest", *arguments, "--one-rule", "--out", "run")
    assert (code, problem in err) == (2, True), err
    after = contents("run")
    after.pop("failed.log", None)
    assert after == before


def test_a_demo_that_fails_leaves_the_results_of_the_one_before():
    touching()
    options = ("--spot", "market.csv", "--out", "run")
    assert alpha_pulse("demo", *options, "--perp", "market.csv")[0] == 0
    before = contents("run")
    Path("bad.csv").write_text(BAD["impossible"][0]())
    assert alpha_pulse("demo", *options, "--perp", "bad.csv")[0] == 2
    assert contents("run") == before


def test_what_a_run_does_not_write_is_not_left_from_the_one_before():
    touching(hours=30)
    backtest("--one-rule", "--out", "run")
    plain = set(contents("run"))
    backtest("--one-rule", "--out", "run", "--export", "json")
    Path("run/notes.txt").write_text("mine")
    backtest("--one-rule", "--out", "run")
    assert set(contents("run")) == plain | {"notes.txt"}
