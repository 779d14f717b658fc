"""Settings from a file, the environment and flags: what wins, where it came from, and how each slip is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import ConfigErrors
from alpha_pulse.settings import Effective, LoadedSettings, Settings, load_settings

ROOT = Path(__file__).resolve().parents[3]


def load(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **options: object) -> LoadedSettings:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ=environ or {}, **options)


def refusal(text: str | bytes, tmp_path: Path, environ: dict[str, str] | None = None) -> str:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ=environ or {})
    return str(caught.value).replace(str(tmp_path), "")


def sources(loaded: LoadedSettings, tmp_path: Path) -> dict[str, str]:
    return {e.key: e.source.replace(f"{tmp_path}/", "") for e in loaded.effective if e.source != "default"}


def test_without_a_file_the_defaults_are_in_force():
    loaded = load_settings(None, environ={})
    assert loaded.settings == Settings()
    assert {entry.source for entry in loaded.effective} == {"default"}


def test_every_setting_names_its_unit_and_its_meaning():
    for entry in load_settings(None, environ={}).effective:
        assert entry.unit, entry.key
        assert entry.text, entry.key


def test_the_defaults_are_those_that_are_documented():
    s = Settings()
    assert (s.symbol, s.mode, s.feed.source, s.feed.seed) == ("BTCUSDT", "paper", "simulated", 7)
    assert (s.inventory.source, s.inventory.quantity) == ("fixed", Decimal("1.0"))
    h = s.hedge
    assert (h.sizer, h.ratio, h.min_ratio, h.max_ratio, h.amplitude, h.amplitude_adverse) == ("constant", 0.5, None, 1.0, 0.25, 0.0)
    assert (h.band_under, h.band_over, h.escalate_after_s) == (0.05, 0.10, 30)
    g = s.grid
    assert (g.grid_spacing_pct, g.volatility_multiple, g.num_levels, g.min_price_distance) == (Decimal("0.01"), 0.6, 10, None)
    assert (g.spacing, g.anchor) == ("geometric", "recentre")
    r = s.risk
    assert (r.max_position_size, r.max_effective_leverage, r.max_drawdown) == (None, 1, Decimal("0.2"))
    assert (r.stop_loss_pct, r.stop_volatility_multiple, r.var_limit, r.var_limit_pct) == (Decimal("0.15"), 5, None, Decimal("0.06"))
    assert (r.var_confidence, r.var_horizon_days) == (0.99, 1)
    assert (s.execution.max_active_orders, s.execution.rebalance_interval) == (50, 60)
    assert (s.paper.quote_balance, s.paper.maker_fee, s.paper.taker_fee) == (None, Decimal("0.0002"), Decimal("0.0005"))
    assert (s.paper.fill_rule, s.exchange.id, s.exchange.rest_url, s.exchange.ws_url) == ("through", "binanceusdm", None, None)
    assert s.store.url == "sqlite+aiosqlite:///var/alpha_pulse.db"
    assert (s.logging.level, s.logging.file, s.logging.json_format) == ("INFO", Path("logs/grid_hedge.log"), False)


def test_flags_beat_the_environment_and_the_environment_beats_the_file(tmp_path):
    text = "mode: recommendation\nhedge:\n  ratio: 0.3\nnum_levels: 5\n\ngrid: {volatility_multiple: 0}\nlogging: {json: true}\n"
    environ = {"TRADING_MODE": "PAPER", "ALPHA_PULSE_HEDGE__RATIO": "0.4", "ALPHA_PULSE_RISK__MAX_DRAWDOWN": "null", "HOME": "/root"}
    loaded = load(text, tmp_path, environ, overrides={"hedge.ratio": "0.6"}, flags={"hedge.ratio": "--ratio"})
    assert (loaded.settings.mode, loaded.settings.hedge.ratio, loaded.settings.grid.num_levels) == ("paper", 0.6, 5)
    assert loaded.settings.risk.max_drawdown is None
    assert sources(loaded, tmp_path) == {
        "mode": "TRADING_MODE",
        "hedge.ratio": "--ratio",
        "risk.max_drawdown": "ALPHA_PULSE_RISK__MAX_DRAWDOWN",
        "grid.num_levels": "mine.yaml:4",
        "grid.volatility_multiple": "mine.yaml:6",
        "logging.json": "mine.yaml:7",
    }


def test_a_number_in_a_file_stays_exact(tmp_path):
    settings = load("inventory: {quantity: 0.1234567890123456789}\n", tmp_path).settings
    assert settings.inventory.quantity == Decimal("0.1234567890123456789")


def test_an_empty_section_is_one_of_defaults(tmp_path):
    assert load("grid:\nrisk: {}\nsymbol: ETHUSDT\n", tmp_path).settings == Settings(symbol="ETHUSDT")


def test_an_empty_variable_counts_as_none():
    assert load_settings(None, environ={"TRADING_MODE": "", "ALPHA_PULSE_HEDGE__RATIO": " "}).settings == Settings()


def test_credentials_in_the_environment_are_no_settings():
    assert load_settings(None, environ={"ALPHA_PULSE_API_KEY": "k", "ALPHA_PULSE_API_SECRET": "s"}).settings == Settings()


def test_overrides_without_flags_say_so():
    loaded = load_settings(None, {"num_levels": 4, "grid": {"snap": 0}}, {})
    assert {e.key: e.source for e in loaded.effective if e.source != "default"} == {"grid.num_levels": "override", "grid.snap": "override"}


def test_values_are_shown_as_a_file_writes_them():
    shown = {e.key: e.shown for e in load_settings(None, {"store.url": "postgresql://me:hunter2@db/alpha"}, {}).effective}
    assert shown["store.url"] == "postgresql://me:***@db/alpha"
    assert (shown["logging.json"], shown["risk.var_limit"], shown["grid.grid_spacing_pct"]) == ("false", "null", "0.01")


def test_a_value_whose_key_names_a_secret_is_never_shown():
    entry = Effective("exchange.api_secret", "hunter2", "", "default", "")
    assert (entry.shown, entry.json_value) == ("***", "***")


def test_values_as_json_keep_their_kind():
    values = {e.key: e.json_value for e in load_settings(None, environ={}).effective}
    assert (values["logging.json"], values["risk.var_limit"], values["grid.num_levels"]) == (False, None, 10)
    assert values["grid.grid_spacing_pct"] == "0.01"


# --- files that cannot be read ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "/mine.yaml: is empty."),
        ("# only a comment\n", "/mine.yaml: is empty."),
        ("- a\n- b\n", "/mine.yaml:1: must be a mapping of settings."),
        ("just words", "/mine.yaml:1: must be a mapping"),
        ("grid:\n\tnum_levels: 5\n", "/mine.yaml:2: a tab is no indentation in YAML. Fix: indent with spaces"),
        ("grid: {num_levels: 5\nhedge: }\n", "/mine.yaml:2: is not YAML"),
        ("a: 'open\n", "/mine.yaml:2: is not YAML"),
        ("grid:\n  num_levels: 5\n  num_levels: 6\n", "/mine.yaml:3: grid.num_levels is given twice, first on line 2."),
        ("symbol: BTCUSDT\nsymbol: ETHUSDT\n", "/mine.yaml:2: symbol is given twice, first on line 1."),
        ("? [a, b]\n: 1\n", "/mine.yaml:1: a key must be a plain name."),
        ("grid: &g {grid: *g}\n", "/mine.yaml:1: is nested too deeply."),
        ("grid: !!python/object:os.system {}\n", "must be a section"),
        ("grid: !mine {}\n", "/mine.yaml:1: the tag !mine is not known here."),
        ("a: 1\n---\nb: 2\n", "is not YAML"),
        (b"\xff\xfe\x00\x00", "is not a text file (byte 0)."),
        (b"a: \x00\n", "is not YAML"),
        ("symbol: [BTCUSDT]\n", "/mine.yaml:1: symbol"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_line(text, words, tmp_path):
    if "python/object" in str(text):
        assert load("grid: !!python/object:os.system {}\n", tmp_path).settings == Settings()  # nothing is ever constructed from a tag
    else:
        assert words in refusal(text, tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file\. Fix: .*alpha-pulse init"):
        load_settings(tmp_path / "absent.yaml", environ={})


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path, environ={})


# --- values that cannot be used --------------------------------------------------------------------------------------
def test_a_problem_names_file_line_and_key_as_written(tmp_path):
    assert refusal("symbol: BTCUSDT\n\ngrid_spacing_pct: 1\n", tmp_path).startswith("/mine.yaml:3: grid_spacing_pct = '1': looks like")


def test_a_problem_across_sections_names_the_line_too(tmp_path):
    text = "hedge: {min_ratio: 0, amplitude_adverse: 0.5}\nrisk:\n  stop_loss_pct: 0.01\n"
    assert refusal(text, tmp_path).startswith("/mine.yaml:3: risk.stop_loss_pct = '0.01': the stop lies inside the 10 unwinding nodes")


def test_a_problem_in_the_environment_names_the_variable():
    with pytest.raises(ConfigErrors) as caught:
        load_settings(None, environ={"TRADING_MODE": "papr", "ALPHA_PULSE_GRID__NUM_LEVLS": "3", "ALPHA_PULSE_GRID_NUM_LEVELS": "3"})
    assert [problem.field for problem in caught.value.problems] == [
        "ALPHA_PULSE_GRID_NUM_LEVELS",
        "TRADING_MODE: mode",
        "ALPHA_PULSE_GRID__NUM_LEVLS: grid.num_levls",
    ]
    assert "Fix: write ALPHA_PULSE_GRID__NUM_LEVELS" in str(caught.value)
    assert "Fix: write paper" in str(caught.value)


def test_two_underscores_missing_in_the_environment_stop_good_settings_too():
    with pytest.raises(ConfigError, match="two underscores"):
        load_settings(None, environ={"ALPHA_PULSE_RISK_VAR_LIMIT": "3"})


def test_variables_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="contradicts ALPHA_PULSE_MODE"):
        load_settings(None, environ={"TRADING_MODE": "paper", "ALPHA_PULSE_MODE": "real"})


def test_a_problem_of_a_flag_names_the_flag():
    with pytest.raises(ConfigError, match=r"--ratio: hedge\.ratio = '60': .*write 0\.6 for 60 %"):
        load_settings(None, {"hedge.ratio": "60"}, {}, flags={"hedge.ratio": "--ratio"})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("feed.since", "2024-13-01", "is no date. Fix: write year, month and day, e.g. 2024-01-31"),
        ("feed.since", "5x", "is no date. Fix: write year, month and day"),
        ("feed.until", "2024-01-01T12:00", "must be a whole day. Fix: write a date without a time, e.g. 2024-01-31"),
        ("risk.var_method", "x", "is none of parametric, cornish_fisher, filtered_historical. Fix: write one of parametric, cornish"),
        ("risk.var_method", "cornish", "Fix: write cornish_fisher"),
    ],
)
def test_a_date_or_a_name_that_is_none_is_told_what_to_write(key, value, words):
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {key: value}, {})
    assert words in str(caught.value)


def test_a_key_given_twice_in_one_file_is_refused_with_its_line(tmp_path):
    assert "/mine.yaml:2: num_levels: given twice" in refusal("grid: {num_levels: 5}\nnum_levels: 6\n", tmp_path)


def test_a_section_given_as_a_value_is_refused_with_its_line(tmp_path):
    assert refusal("symbol: BTCUSDT\ngrid: 5\n", tmp_path).startswith("/mine.yaml:2: grid = '5': must be a section")


@pytest.mark.parametrize("symbol", ["BTC", "", "BTC/USD:BTC", "💥"])
def test_a_symbol_that_is_no_pair_is_refused(symbol):
    with pytest.raises(ConfigError) as caught:
        Settings.read({"symbol": symbol})
    assert caught.value.field == "symbol"


def test_a_coin_without_rules_needs_a_live_feed():
    with pytest.raises(ConfigError, match=r"no built-in trading rules.*Fix: use one of these coins; of others only a live market"):
        Settings.read({"symbol": "DOGEUSDT"})
    assert Settings.read({"symbol": "DOGEUSDT", "feed": {"source": "ccxt"}}).symbol == "DOGEUSDT"


def test_a_recorded_feed_needs_its_files(tmp_path):
    with pytest.raises(ConfigErrors) as caught:
        Settings.read({"feed": {"source": "recorded"}})
    assert [p.field for p in caught.value.problems] == ["feed.spot", "feed.perp"]
    there = tmp_path / "spot_2025.csv"
    there.write_text("x")
    feed = {"source": "recorded", "spot": tmp_path / "spot_2024.csv", "perp": tmp_path, "funding": "/nowhere/at/all.csv"}
    with pytest.raises(ConfigErrors) as caught:
        Settings.read({"feed": feed})
    fixes = [p.fix for p in caught.value.problems]
    assert fixes[0] == f"did you mean {there}?"
    assert fixes[1] == "name a file of candles, or a folder of Parquet files as `data download` writes them"
    assert fixes[2].startswith("check the path; it was looked for from ")
    assert Settings.read({"feed": {"source": "recorded", "spot": there, "perp": there}}).feed.spot == there
    (tmp_path / "2025-01.parquet").write_bytes(b"")
    assert Settings.read({"feed": {"source": "recorded", "spot": there, "perp": tmp_path}}).feed.perp == tmp_path


def test_real_mode_does_not_assume_an_inventory():
    with pytest.raises(ConfigError, match="does not assume an inventory"):
        Settings.read({"mode": "real"})
    assert Settings.read({"mode": "REAL", "inventory": {"quantity": "2"}}).mode == "real"


def test_a_neutral_grid_needs_a_size_and_a_wallet():
    with pytest.raises(ConfigErrors) as caught:
        Settings.read({"inventory": {"quantity": 0}})
    assert [p.field for p in caught.value.problems] == ["risk.max_position_size", "paper.quote_balance"]
    Settings.read({"inventory": {"quantity": 0}, "max_position_size": 1, "paper": {"quote_balance": 1000}})


def test_the_bot_gets_its_share_of_the_settings():
    settings = Settings.read({"num_levels": 3, "hedge": {"ratio": 0.25}})
    assert (settings.bot_config.grid.num_levels, settings.bot_config.hedge.ratio) == (3, 0.25)


def test_settings_made_by_hand_are_checked_too():
    with pytest.raises(ConfigError, match="does not assume an inventory"):
        Settings(mode="real")


# --- the files that come with the project ----------------------------------------------------------------------------
def test_the_committed_configuration_is_the_defaults():
    loaded = load_settings(ROOT / "config" / "grid_hedge.yaml", environ={})
    assert loaded.settings == Settings()
    assert all(entry.source != "default" for entry in loaded.effective)


def test_the_symmetric_example_is_what_it_says():
    settings = load_settings(ROOT / "config" / "examples" / "symmetric_grid.yaml", environ={}).settings
    hedge, grid, risk = settings.hedge, settings.grid, settings.risk
    assert (hedge.ratio, hedge.min_ratio, hedge.amplitude, hedge.amplitude_adverse) == (0.5, 0, 0.5, 0.5)
    assert (grid.grid_spacing_pct, grid.num_levels, grid.anchor, grid.volatility_multiple) == (Decimal("0.005"), 10, "fixed", 0)
    assert (risk.stop_loss_pct, risk.max_drawdown) == (None, None)
