"""What doctor finds on this machine and in the files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alpha_pulse.cli.examination import examination, examine
from alpha_pulse.cli.store import database_file
from alpha_pulse.hedging.risk.checkup import Finding, Severity
from alpha_pulse.settings import Settings


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(topic: str, mapping: dict[str, object] | None = None, **options: object) -> Finding:
    findings = examine(Settings.read(mapping or {}), **{"environ": {}} | options)
    return next(finding for finding in findings if finding.topic == topic)


def write_candles(path: Path, price: float, *, broken: bool = False) -> str:
    rows = ["timestamp,open,high,low,close,volume"]
    for minute in range(5):
        high = 0.5 if broken and minute == 3 else price + 1
        rows.append(f"{1_735_689_600_000 + 60_000 * minute},{price},{high},{price - 1},{price},2")
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_a_sound_machine_passes():
    assert {f.severity for f in examine(Settings(), environ={})} == {Severity.OK}


def test_recorded_files_give_the_price(tmp_path):
    files = {"spot": write_candles(tmp_path / "s.csv", 50_000.0), "perp": write_candles(tmp_path / "p.csv", 50_010.0)}
    config = {"feed": {"source": "recorded"} | files}
    assert found("data", config).what == "the recorded files can be read; first price 50,010.00 USDT"
    assert "50,010.00 USDT" in found("sizes", config).what


def test_a_corrupt_file_is_an_error_with_row_and_reason(tmp_path):
    files = {"spot": write_candles(tmp_path / "s.csv", 50_000.0), "perp": write_candles(tmp_path / "p.csv", 50_010.0, broken=True)}
    finding = found("data", {"feed": {"source": "recorded"} | files})
    assert finding.severity is Severity.ERROR
    assert "p.csv, row 4" in finding.what


def test_a_start_price_is_taken():
    assert "10,000.00 USDT" in found("sizes", {"feed": {"start_price": 10_000}}).what


def test_a_size_under_the_minimum_is_an_error():
    finding = found("sizes", {"inventory": {"quantity": "0.001"}})
    assert (finding.severity, finding.what.startswith("inventory.quantity = 0.001: the least order")) == (Severity.ERROR, True)


def test_an_instrument_that_only_the_exchange_knows_is_a_warning():
    finding = found("instrument", {"symbol": "DOGEUSDT", "feed": {"source": "ccxt"}})
    assert finding.severity is Severity.WARNING


def test_unwinding_nodes_lower_what_the_stop_protects():
    config = {"hedge": {"min_ratio": 0.2, "amplitude_adverse": 0.2, "ratio": 0.5}, "grid_spacing_pct": "0.005"}
    assert "up to 9,975 USDT" in found("stop", config).what  # 15 % · (1 − 0.3) · 95,000


def test_recommendation_mode_sends_nothing():
    assert "nothing is sent" in found("mode", {"mode": "recommendation"}).what


def test_real_mode_names_the_missing_keys():
    real = {"mode": "real", "inventory": {"quantity": 1}}
    found_missing = found("keys", real)
    assert "EXCHANGE_API_KEY" in f"{found_missing.what} {found_missing.fix}"
    assert "EXCHANGE_API_SECRET" in f"{found_missing.what} {found_missing.fix}"
    with_password = found("keys", real | {"exchange": {"id": "okx"}})
    assert "EXCHANGE_API_PASSWORD" in f"{with_password.what} {with_password.fix}"
    keys = {"EXCHANGE_API_KEY": "k", "EXCHANGE_API_SECRET": "s"}
    assert "keys" not in {f.topic for f in examine(Settings.read(real), environ=keys)}
    assert found("mode", real, environ=keys).severity is Severity.OK


def test_real_orders_on_a_market_that_is_not_real_are_an_error():
    real = {"mode": "real", "inventory": {"quantity": 1}}
    assert found("feed", real, environ={"EXCHANGE_API_KEY": "k", "EXCHANGE_API_SECRET": "s"}).severity is Severity.ERROR


def test_a_server_is_not_looked_at():
    assert "is no file" in found("database", {"store": {"url": "postgresql://db/x"}}).what


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite+aiosqlite:///var/a.db", Path("var/a.db")),
        ("sqlite+aiosqlite:////var/a.db", Path("/var/a.db")),
        ("sqlite+aiosqlite://", None),
        ("sqlite+aiosqlite:///:memory:", None),
        ("postgresql://db/x", None),
        ("nonsense", None),
    ],
)
def test_the_file_of_a_database_url_is_found(url, file):
    assert database_file(url) == file


def test_a_database_that_is_none_is_an_error(tmp_path):
    (tmp_path / "a.db").write_text("no database at all, but long enough to have a header of its own")
    finding = found("database", {"store": {"url": f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"}})
    assert (finding.severity, "not a database" in finding.what) == (Severity.ERROR, True)


@pytest.mark.parametrize("key", ["database", "log"])
def test_a_path_that_cannot_be_written_is_an_error(key, tmp_path):
    (tmp_path / "file").write_text("x")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "file" / "x", "is not a folder")):
        config = {"store": {"url": f"sqlite+aiosqlite:///{path}"}} if key == "database" else {"logging": {"file": str(path)}}
        finding = found(key, config)
        assert (finding.severity, words in finding.what) == (Severity.ERROR, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_an_error(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "nothing may be made" in found("log", {"logging": {"file": str(tmp_path / "locked" / "x.log")}}).what


def test_a_console_log_needs_no_file():
    assert found("log", {"logging": {"file": None}}).what == "console only"


def test_the_report_examines_nothing_into_existence(tmp_path):
    examine(Settings(), environ={})
    assert not list(tmp_path.iterdir())


@pytest.mark.market_data
def test_real_recordings_can_be_examined(market_data):
    stem = "BTCUSDT_1m_2025-05-20_2025-06-24.parquet"
    feed = {"source": "recorded", "spot": str(market_data / f"binance_spot_{stem}"), "perp": str(market_data / f"binance_perp_{stem}")}
    assert found("data", {"feed": feed}).severity is Severity.OK


def test_the_shock_table_starts_from_the_price_that_the_recorded_files_begin_with(tmp_path):
    files = {"spot": write_candles(tmp_path / "s.csv", 50_000.0), "perp": write_candles(tmp_path / "p.csv", 50_010.0)}
    examined = examination(Settings.read({"feed": {"source": "recorded"} | files}), volatility=0.05, environ={})
    assert examined.shocks is not None
    assert (examined.shocks.price, examined.shocks.volatility_day, examined.no_shocks) == (50_010.0, 0.05, "")


def test_settings_that_would_not_start_have_findings_and_no_shock_table():
    examined = examination(Settings.read({"inventory": {"quantity": "0.001"}}), environ={})
    assert examined.shocks is None
    assert "the bot would not start" in examined.no_shocks
    assert any(finding.severity is Severity.ERROR for finding in examined.findings)
