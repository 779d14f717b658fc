"""Commands in this process: what they print, where, and with which exit code."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alpha_pulse import __version__
from alpha_pulse.cli.configure import asked
from alpha_pulse.cli.main import app, main, report
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import ConfigErrors
from alpha_pulse.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test in a folder of its own, with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRADING_MODE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of the whole command; standard output must stay empty."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert isinstance(caught.value.code, int)
    return caught.value.code, printed.err


def test_the_version_is_printed():
    code, output = run("version")
    assert (code, output.startswith(f"alpha-pulse {__version__} (Python 3")) == (0, True)


@pytest.mark.parametrize(
    "command",
    ["demo", "run", "status", "stop", "resume", "init", "doctor", "config show", "tickets list", "tickets done", "audit verify", "version"],
)
def test_every_command_explains_itself(command):
    code, output = run(*command.split(), "--help")
    assert code == 0
    assert "Usage:" in output


def test_a_bare_command_shows_the_help():
    assert "Usage:" in run()[1]


def test_an_unknown_command_is_refused():
    assert run("fly")[0] == 2


def test_done_wants_the_fill():
    assert run("tickets", "done", "x")[0] == 2


# --- errors -------------------------------------------------------------------------------------------------------
def test_a_config_error_says_what_where_and_how_to_mend_it(capsys):
    Path("mine.yaml").write_text("symbol: BTCUSDT\ngrid_spacing_pct: 1\n")
    code, text = fail(capsys, "doctor", "--config", "mine.yaml")
    assert code == 2
    assert text == (
        "alpha-pulse: this must be mended:\n"
        "  mine.yaml:2: grid_spacing_pct = '1': looks like a percentage; it must be below 0.5 [fraction of price].\n"
        "      Fix: write 0.01 for 1 %\n"
    )


def test_several_config_errors_are_counted(capsys):
    code, text = fail(capsys, "run", "--mode", "papr", "--feed", "x", "--set", "oops=1")
    assert (code, text.splitlines()[0]) == (2, "alpha-pulse: these 3 things must be mended:")


@pytest.mark.parametrize("command", ["status", "stop", "resume", "doctor", "run", "demo", "config show", "tickets list", "audit verify"])
def test_a_missing_config_file_is_refused_by_every_command(command, capsys):
    code, text = fail(capsys, *command.split(), "--config", "absent.yaml")
    assert (code, "absent.yaml: no such file." in text) == (2, True)


@pytest.mark.parametrize("assignment", ["hedge.ratio", "=1", "  =1", ""])
def test_an_assignment_needs_a_key_and_a_value(assignment, capsys):
    assert "write --set KEY=VALUE" in fail(capsys, "doctor", "--set", assignment)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demo", "--days", "-3"), "--days: feed.days = '-3': must be above 0 [days]"),
        (("demo", "--seed", "x"), "--seed: feed.seed = 'x': is not a whole number"),
        (("demo", "--inventory", "nan"), "--inventory: inventory.quantity = 'nan': must be a finite number"),
        (("demo", "--spot", "absent.csv"), "feed.perp: a recorded feed needs this file"),
        (("demo", "--symbol", "XXX"), "--symbol: symbol = 'XXX'"),
        (("run", "--mode", "real"), "inventory.quantity: real mode does not assume an inventory"),
        (("tickets", "done", "x", "--price", "-1", "--quantity", "1"), "--price = '-1': is no positive number"),
        (("tickets", "done", "x", "--price", "1", "--quantity", "nan"), "--quantity = 'nan': is no positive number"),
        (("tickets", "done", "x", "--price", "a", "--quantity", "1"), "--price = 'a': is no positive number"),
        (("stop",), "no bot has run with this database"),
        (("resume",), "no bot has run with this database"),
        (("tickets", "accept", "x"), "no bot has run with this database"),
        (("audit", "verify"), "no bot has run with this database"),
        (("status", "--set", "store.url=nonsense"), "store.url = 'nonsense': is not a database URL"),
    ],
)
def test_what_was_typed_wrongly_is_named(arguments, words, capsys):
    code, text = fail(capsys, *arguments)
    assert code == 2
    assert words in text


def test_results_cannot_go_into_a_file(capsys):
    Path("out").write_text("x")
    assert "--out = 'out': is a file" in fail(capsys, "demo", "--out", "out")[1]
    assert "--out = 'out/deeper': cannot be made" in fail(capsys, "demo", "--out", "out/deeper")[1]


def test_a_file_that_cannot_be_written_is_named(capsys):
    Path("there").write_text("x")
    code, text = fail(capsys, "init", "--output", "there/mine.yaml")
    assert (code, text.startswith("alpha-pulse: there")) == (1, True)


# --- config show --------------------------------------------------------------------------------------------------
def test_config_show_tells_value_unit_and_source():
    Path("mine.yaml").write_text("grid:\n  num_levels: 7\n")
    code, output = run("config", "show", "--config", "mine.yaml", "--set", "hedge.ratio=0.4")
    assert code == 0
    rows = {cells[0]: cells[1:] for cells in ([c.strip() for c in line.split("│")[1:-1]] for line in output.splitlines() if "│" in line)}
    assert rows["grid.num_levels"] == ["7", "nodes", "mine.yaml:2"]
    assert rows["hedge.ratio"] == ["0.4", "fraction of the inventory", "--set"]
    assert rows["mode"] == ["paper", "name", "default"]
    assert len(rows.keys() - {""}) == len(load_settings(None, environ={}).effective)  # a long value goes on in a row without a key


def test_config_show_gives_json_without_secrets():
    code, output = run("config", "show", "--json", "--set", "store.url=postgresql://me:hunter2@db/x", "--set", "max_drawdown=null")
    shown = json.loads(output)
    assert code == 0
    assert shown["store.url"] == {"value": "postgresql://me:***@db/x", "unit": "URL", "source": "--set"}
    assert shown["risk.max_drawdown"]["value"] is None
    assert shown["grid.num_levels"] == {"value": 10, "unit": "nodes", "source": "default"}


# --- init ---------------------------------------------------------------------------------------------------------
def test_init_writes_what_the_flags_say():
    flags = {
        "--symbol": "ETHUSDT",
        "--inventory": "3",
        "--mode": "recommendation",
        "--ratio": "0.6",
        "--feed": "ccxt",
        "--exchange": "okx",
    }
    code, output = run("init", "--output", "deep/mine.yaml", *(word for pair in flags.items() for word in pair))
    assert (code, "Wrote deep/mine.yaml" in output) == (0, True)
    settings = load_settings("deep/mine.yaml", environ={}).settings
    expected = {"symbol": "ETHUSDT", "mode": "recommendation", "inventory": {"quantity": "3"}, "hedge": {"ratio": 0.6}}
    assert settings == Settings.read(expected | {"feed": {"source": "ccxt"}, "exchange": {"id": "okx"}})
    text = Path("deep/mine.yaml").read_text()
    assert "(default 0.5)" in text
    assert all("#" in line and line.endswith("]") for line in text.splitlines() if line.startswith("  "))


def test_init_for_real_mode_names_the_inventory():
    run("init", "--output", "real.yaml", "--mode", "real")
    assert load_settings("real.yaml", environ={}).settings.mode == "real"


def test_init_takes_recorded_files():
    Path("a.csv").write_text("x")
    run("init", "--output", "mine.yaml", "--feed", "recorded", "--spot", "a.csv", "--perp", "a.csv")
    assert load_settings("mine.yaml", environ={}).settings.feed.spot == Path("a.csv")


def test_init_overwrites_only_when_forced(capsys):
    Path("mine.yaml").write_text("keep: me\n")
    code, text = fail(capsys, "init", "--output", "mine.yaml")
    assert (code, "add --force" in text) == (2, True)
    assert Path("mine.yaml").read_text() == "keep: me\n"
    assert run("init", "--output", "mine.yaml", "--force")[0] == 0
    assert load_settings("mine.yaml", environ={}).settings == Settings()


def test_init_refuses_a_bad_answer_and_writes_nothing(capsys):
    code, text = fail(capsys, "init", "--output", "mine.yaml", "--ratio", "50")
    assert (code, "write 0.5 for 50 %" in text) == (2, True)
    assert not Path("mine.yaml").exists()


def test_the_committed_configuration_is_what_init_writes():
    run("init", "--output", "mine.yaml")
    committed = Path(__file__).resolve().parents[3] / "config" / "grid_hedge.yaml"
    assert Path("mine.yaml").read_text() == committed.read_text()


def test_other_yaml_readers_agree_about_what_init_writes():
    run("init", "--output", "mine.yaml")
    assert Settings.read(yaml.safe_load(Path("mine.yaml").read_text())) == Settings()


def test_questions_are_asked_again_until_the_answers_can_be_used(capsys):
    Path("a.csv").write_text("x")
    answers = iter(["ethusdt", "many", "2.5", "50", "0.6", "recorded", "absent.csv", "a.csv", "recorded", "a.csv", "a.csv"])
    questions: list[tuple[str, str | None]] = []

    def ask(question: str, default: str | None) -> str:
        questions.append((question, default))
        return next(answers)

    keys = ("symbol", "inventory.quantity", "mode", "hedge.ratio", "feed.source", "feed.spot", "feed.perp")
    flags = {key: (f"--{key}", "paper" if key == "mode" else None) for key in keys}
    settings = asked(flags, Settings(), ask)
    assert (settings.symbol, settings.inventory.quantity, settings.hedge.ratio) == ("ethusdt", Decimal("2.5"), 0.6)
    assert settings.feed.spot == Path("a.csv")
    assert not any("Mode" in question for question, _ in questions)
    assert ("How many coins do you hold?", "1.0") in questions
    complaints = capsys.readouterr().err
    assert all(words in complaints for words in ("is not a number", "write 0.5 for 50 %", "no such file"))


# --- doctor, status -----------------------------------------------------------------------------------------------
def test_doctor_finds_the_defaults_sound():
    code, output = run("doctor")
    assert code == 0
    assert "survives a rally of 132%" in output
    assert "0 errors, 0 warnings." in output


def test_doctor_fails_on_an_error():
    code, output = run("doctor", "--set", "paper.quote_balance=1000")
    assert code == 1
    assert "is liquidated at once" in output or "too near" in output


def test_doctor_gives_json():
    code, output = run("doctor", "--json", "--price", "50000", "--volatility", "0.05")
    shown = json.loads(output)
    found = shown["findings"]
    assert code == 0
    assert {"severity", "topic", "what", "fix"} == set(found[0])
    assert any("σ 5.0% a day" in finding["what"] for finding in found)
    assert [row["move"] for row in shown["shocks"]["rows"]][::6] == [-0.5, 0.0, 1.0]
    assert (shown["shocks"]["price"], shown["shocks"]["volatility_day"]) == (50_000.0, 0.05)
    assert shown["shocks"]["reading"].startswith("With the bot dead the short survives")
    assert shown["shocks_unavailable"] == ""


def test_doctor_shows_what_price_shocks_do_with_the_bot_alive_and_dead():
    code, output = run("doctor", "--price", "100000", "--set", "inventory.quantity=2")
    assert code == 0
    assert "bot dead" in output
    assert "bot alive" in output
    last = next(line for line in output.splitlines() if line.strip().startswith("+100 %"))
    assert "200,000" in last  # the price
    assert "−1.5" in last  # 75 % of two coins
    assert "With the bot dead the short survives" in output
    assert "Fees are counted" in output


def test_doctor_says_why_there_is_no_shock_table():
    assert "No shock table: the bot would not start" in run("doctor", "--set", "inventory.quantity=0.001")[1]
    unknown = ("doctor", "--symbol", "DOGEUSDT", "--feed", "ccxt")
    assert "No shock table: the exchange supplies the trading rules" in run(*unknown)[1]
    shown = json.loads(run(*unknown, "--json")[1])
    assert shown["shocks"] is None
    assert "trading rules" in shown["shocks_unavailable"]


def test_status_before_any_bot_says_so_and_makes_no_database():
    assert run("status") == (0, "No bot has run here yet. Start one with: alpha-pulse run\n")
    assert run("status", "--json") == (0, "[]\n")
    assert not list(Path().iterdir())


def test_what_is_printed_of_an_error_holds_no_password(capsys):
    said = "postgresql://db/x?password=hunter2"
    report(ConfigErrors([ConfigError(f"no answer from {said}", field="DSN", value=said, fix=f"look at {said}"), ConfigError(said)]))
    printed = capsys.readouterr().err
    assert (printed.count("password=***"), "hunter2" in printed) == (4, False)
