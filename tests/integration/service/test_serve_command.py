"""``alpha-pulse serve`` as a process: it starts, follows its curves, keeps its decisions over a restart, and says what is wrong."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.main import app
from alpha_pulse.errors import ConfigError
from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.service.tokens import Scope, find_token, parse_tokens
from alpha_pulse.testing.service import running_service
from tests.integration.service.conftest import HEDGE
from tests.unit.docs.pages import ROOT

STEEP = "sentiment: {knots: [{score: 0, hedge: 0.5}, {score: 1, hedge: 1}]}\n"


def command(folder, *arguments, **variables):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HE_", "COV_CORE"))}
    return {
        "args": [sys.executable, "-m", "alpha_pulse", "serve", *arguments],
        "cwd": folder,
        "env": environ | {"PYTHONPATH": str(ROOT)} | {f"HE_{name}": value for name, value in variables.items()},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }


def end_of(folder, *arguments, **variables):
    done = subprocess.run(**command(folder, *arguments, **variables), timeout=60, check=False)
    return done.returncode, done.stdout


@contextlib.contextmanager
def service(folder, **variables):
    process = subprocess.Popen(**command(folder, "--port", "0", **variables))
    try:
        lines = []
        while not (found := re.search(r"Serving on (http://\S+:\d+)", lines[-1] if lines else "")):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        with httpx.Client(base_url=found.group(1), timeout=20, trust_env=False) as client:
            yield client, process
    finally:
        process.kill()
        process.communicate()


def until(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_curves_are_followed_and_decisions_outlive_the_process(tmp_path):
    (tmp_path / "config").mkdir()
    curves = shutil.copy(ROOT / "config" / "curve_knots.yaml", tmp_path / "config" / "curve_knots.yaml")
    with service(tmp_path) as (client, process):
        first = client.post("/hedge", json=HEDGE).json()
        curves.write_text(STEEP)
        until(lambda: client.get("/curves").json()["curves"].keys() == {"sentiment"})
        second = client.post("/hedge", json=HEDGE).json()
        assert second["hedge_pct"] > first["hedge_pct"]
        curves.write_text("sentiment: {knots: []}")
        until(lambda: client.get("/readyz").json()["checks"]["curves"]["status"] == "degraded")
        assert "knots" in client.get("/readyz").json()["checks"]["curves"]["detail"]
        assert 'alpha_pulse_curve_reloads_total{outcome="bad"} 1.0' in client.get("/metrics").text
        assert client.post("/hedge", json=HEDGE).json()["hedge_pct"] == second["hedge_pct"]
        hashes = [client.get(f"/decisions/{each['decision_id']}").json()["curve_hash"] for each in (first, second)]
        assert len(set(hashes)) == 2
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    curves.write_text(STEEP)
    with service(tmp_path) as (client, _):
        kept = client.get(f"/decisions/{first['decision_id']}").json()
        assert (kept["response"], kept["curve_hash"]) == (first, hashes[0])


def typed(*arguments):
    """What the command prints and how it ends, in this process."""
    result = CliRunner().invoke(app, ["serve", *arguments])
    return result.exit_code, result.output, result.exception


def test_a_new_token_is_printed_with_its_entry():
    code, text, _ = typed("--new-token", "desk", "--scope", "trade")
    token, entry = [line.strip() for line in text.splitlines() if line.startswith("  ")]
    assert code == 0
    kept = parse_tokens(entry)
    assert find_token(kept, token) is kept[0]
    assert kept[0].scope is Scope.TRADE


def test_a_bad_scope_is_refused():
    assert typed("--new-token", "x", "--scope", "write")[2].field == "--scope"


@pytest.mark.parametrize(
    ("variables", "named"), [({"HE_SPOOL_DIR": "/dev/null/spool"}, "HE_SPOOL_DIR"), ({"HE_DB_DSN": "mysql://x"}, "HE_DB_DSN")]
)
def test_a_service_that_cannot_open_names_the_variable(tmp_path, monkeypatch, variables, named):
    monkeypatch.chdir(tmp_path)
    settings = load_service_settings({"HE_PORT": "0", **variables})
    with pytest.raises(ConfigError) as caught, running_service(create_app(settings), settings):
        pass
    assert caught.value.field == named


def test_what_cannot_run_is_named_without_a_traceback(tmp_path):
    code, text = end_of(tmp_path, HOST="0.0.0.0")  # noqa: S104 - it is what is refused
    assert code == 2
    assert "HE_HOST" in text
    assert "Traceback" not in text


def test_a_port_that_is_taken_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, text = end_of(tmp_path, "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert "in use" in text
    assert "Traceback" not in text
