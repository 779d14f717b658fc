"""What a log line looks like, and what never gets into one."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from loguru import logger

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime import logging as runtime_logging
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging, mask, register_secret
from alpha_pulse.runtime.masking import forget_secrets


@pytest.fixture(autouse=True)
def _clean_sinks() -> Iterator[None]:
    foreign = {name: logging.getLogger(name) for name in runtime_logging._FOREIGN}
    before = {name: (item.handlers, item.level, item.propagate) for name, item in foreign.items()}
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None)
    forget_secrets()
    sys.excepthook = sys.__excepthook__
    for name, item in foreign.items():
        item.handlers, level, item.propagate = before[name]
        item.setLevel(level)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "grid.log"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_line_has_the_promised_form_on_the_console_and_in_the_file(log, capsys):
    configure_logging(LoggingSettings(file=log))
    logger.info("Initialized GridHedgeBot for {} with {} levels", "BTCUSDT", 5)
    logger.warning("VaR (12000.00) exceeds limit (10000.00)")
    logger.debug("too fine to show")
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| "
    first, second = lines(log)
    assert re.fullmatch(pattern + r"INFO     \| Initialized GridHedgeBot for BTCUSDT with 5 levels", first)
    assert re.fullmatch(pattern + r"WARNING  \| VaR \(12000\.00\) exceeds limit \(10000\.00\)", second)
    assert capsys.readouterr().err.splitlines() == [first, second]


def test_the_console_can_be_left_alone_and_the_level_raised(log, capsys):
    configure_logging(LoggingSettings(file=log, level="ERROR"), console=False)
    logger.warning("no")
    logger.error("yes <b>{x}</b>")
    assert capsys.readouterr().err == ""
    assert [line.split(" | ")[2] for line in lines(log)] == ["yes <b>{x}</b>"]


def test_without_a_file_only_the_console_gets_the_log(capsys):
    configure_logging(LoggingSettings(file=None))
    logger.info("here")
    assert capsys.readouterr().err.endswith("| here\n")


def test_json_lines_carry_the_bound_fields(log):
    configure_logging(LoggingSettings(file=log, json=True), console=False)
    logger.bind(symbol="BTCUSDT", market_ms=5, ratio=float("inf"), nodes=(1, 2), path=Path("x")).info("tick")
    (line,) = lines(log)
    record = json.loads(line)
    assert record["level"] == "INFO"
    assert record["message"] == "tick"
    assert record["ts"].endswith("+00:00")
    assert record["fields"] == {"symbol": "BTCUSDT", "market_ms": 5, "ratio": "inf", "nodes": [1, 2], "path": "x"}
    assert "exception" not in record


def fail_with(message: str) -> None:
    raise RuntimeError(message) from ValueError(message)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_secret_is_in_no_message_no_field_and_no_traceback(log, capsys, as_json):
    configure_logging(LoggingSettings(file=log, json=as_json))
    register_secret("k/y +1")
    register_secret("k/y +1 and more")
    logger.bind(key="k/y +1", nested={"k/y +1": ["k/y +1"]}).info("signed with k/y +1 at ?s=k%2Fy%20%2B1&t=k%2Fy+%2B1")
    try:
        fail_with("refused: k/y +1 and more")
    except RuntimeError:
        logger.exception("failed")
    written = log.read_text() + capsys.readouterr().err
    assert "k/y" not in written
    assert "k%2Fy" not in written
    assert "and more" not in written
    assert "RuntimeError: refused: ***" in written
    assert "ValueError: refused: ***" in written


def test_a_blank_secret_masks_nothing():
    register_secret("")
    register_secret("  ")
    register_secret("e")
    register_secret("key")  # "Invalid API-key" is for a person to read
    assert mask("as it   was") == "as it   was"


PLANTED = "sk-live/9+Zz==Qq\\end"


@pytest.mark.parametrize("before", ["", "a", "user:", "üs"])
@pytest.mark.parametrize("after", ["", "!", "!!"])
def test_a_secret_is_masked_in_base64_wherever_it_stands_in_it(before, after):
    register_secret("supersecretvalue1")
    data = f"{before}supersecretvalue1{after}".encode()
    for coded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode().rstrip("=")):
        masked = mask(f"Basic {coded}")
        assert "***" in masked
        assert len(masked) < len("Basic ***") + 16  # nothing is left but what stood beside it


def test_a_secret_is_masked_in_every_encoding_that_it_travels_in():
    register_secret(PLANTED)
    for form in (
        quote(PLANTED, safe=""),
        quote(PLANTED),
        quote(PLANTED, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d").replace("%5C", "%5c"),
        json.dumps({"k": PLANTED}),
        repr(PLANTED),
        str(PLANTED.encode()),
    ):
        assert "9+Zz" not in mask(form)
        assert "9%2" not in mask(form)


def test_every_line_of_a_private_key_is_masked():
    register_secret("-----BEGIN KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0wawIB\n-----END KEY-----\n")
    assert mask("parse error near AgEGCCqGSM49AwEHBG0wawIB") == "parse error near ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /fapi/v1/order?symbol=BTCUSDT&signature=0a1b2c&x=1", "GET /fapi/v1/order?symbol=BTCUSDT&signature=***&x=1"),
        ("{'X-MBX-APIKEY': 'abc', 'n': 1}", "{'X-MBX-APIKEY': '***', 'n': 1}"),
        ("X-MBX-APIKEY: abc\r\nHost: x", "X-MBX-APIKEY: ***\r\nHost: x"),
        ("(b'x-mbx-apikey', b'abc')", "(b'x-mbx-apikey', b'***')"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'KEY': 'abc', 'SIGN': 'def'}", "{'KEY': '***', 'SIGN': '***'}"),
        ("postgresql+asyncpg://bot:pw@db/x", "postgresql+asyncpg://bot:***@db/x"),
        ("postgresql://db/x?user=bot&password=abc&sslpassword=def", "postgresql://db/x?user=bot&password=***&sslpassword=***"),
        ("Fix: write postgresql://USER:PASSWORD@HOST/NAME", "Fix: write postgresql://USER:PASSWORD@HOST/NAME"),
        ("wss://x/ws?listenKey=abc", "wss://x/ws?listenKey=***"),
        ("unknown key: grid.levels, sign: -1", "unknown key: grid.levels, sign: -1"),
        ("Filled sell 0.1 at 100", "Filled sell 0.1 at 100"),
    ],
)
def test_what_looks_like_a_credential_is_masked_without_being_registered(text, masked):
    assert mask(text) == masked


def test_bound_fields_named_like_credentials_and_numeric_secrets_are_masked(log):
    configure_logging(LoggingSettings(file=log, json=True), console=False)
    register_secret("123456789")
    logger.bind(headers={"X-MBX-APIKEY": "abc", "Accept": "json"}, signature="f00", number=123456789, other=5).info("sent")
    (line,) = lines(log)
    assert json.loads(line)["fields"] == {
        "headers": {"X-MBX-APIKEY": "***", "Accept": "json"},
        "signature": "***",
        "number": "***",
        "other": 5,
    }


def test_a_traceback_shows_neither_registered_secrets_nor_the_values_of_variables(log):
    configure_logging(LoggingSettings(file=log), console=False)
    register_secret("planted-secret-1")
    local = "not registered 42"
    error = ExceptionGroup("several", [ValueError("with planted-secret-1")])
    error.add_note(f"note: {quote('planted-secret-1')}")
    try:
        raise error
    except ExceptionGroup:
        logger.opt(exception=True).error("failed")
    written = log.read_text()
    assert "planted" not in written
    assert local not in written
    assert "note: ***" in written


def test_what_python_prints_of_an_uncaught_error_is_masked():
    code = (
        "from alpha_pulse.runtime.logging import configure_logging, register_secret\n"
        "from alpha_pulse.runtime.config import LoggingSettings\n"
        "configure_logging(LoggingSettings(file=None)); register_secret('planted-'+'secret')\n"
        "raise RuntimeError('planted-'+'secret')\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: ***\n")


def test_warnings_of_libraries_reach_the_log_and_their_chatter_does_not(log):
    configure_logging(LoggingSettings(file=log), console=False)
    logging.getLogger("alembic.runtime").info("Running upgrade")
    logging.getLogger("sqlalchemy.pool").warning("lost {a} connection")
    logging.getLogger("aiohttp.client").log(35, "odd level")
    assert [line.split(" | ")[1:] for line in lines(log)] == [["WARNING ", "lost {a} connection"], ["Level 35", "odd level"]]


def test_configuring_twice_writes_each_line_once(log):
    for _ in range(2):
        configure_logging(LoggingSettings(file=log), console=False)
    logger.info("once")
    assert len(lines(log)) == 1


@pytest.mark.parametrize("make", ["folder", "file_in_the_way"])
def test_a_log_file_that_cannot_be_written_is_refused_with_the_fix(tmp_path, make):
    path = tmp_path / "taken"
    if make == "folder":
        path.mkdir()
    else:
        path.write_text("x")
        path /= "grid.log"
    with pytest.raises(ConfigError, match=r"logging\.file = .*cannot be written.*Fix: give a path"):
        configure_logging(LoggingSettings(file=path), console=False)


def test_yesterdays_file_is_kept_beside_todays(log):
    log.parent.mkdir()
    log.write_text("old\n")
    old = 1_700_000_000
    os.utime(log, (old, old))
    try:
        os.setxattr(log, "user.loguru_crtime", str(old).encode())
    except OSError:
        pytest.skip("this file system keeps no birth times that can be set")
    configure_logging(LoggingSettings(file=log), console=False)
    logger.info("new")
    assert [line.split(" | ")[-1] for line in lines(log)] == ["new"]
