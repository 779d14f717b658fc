"""What the benchmark of the compiled twin runs, and how it names a peer that is not there."""

from __future__ import annotations

import pytest

from alpha_pulse.backtest.compiled.support import supported
from benchmarks.compiled import CASES, sets, settings_of
from benchmarks.peers import JOBS, WITHOUT_A_JOB, peer_speeds


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_one_that_the_twin_supports(case):
    supported(settings_of(case, 1.0))


def test_the_sets_of_the_sweep_differ_and_are_supported():
    chosen = list(sets(12, 1.0))
    assert len({(one.hedge.ratio, one.hedge.amplitude) for one in chosen}) == 12
    for one in chosen:
        supported(one)


def test_a_peer_that_is_not_installed_is_named_as_such(monkeypatch, tmp_path):
    monkeypatch.setenv("ALPHA_PULSE_PEERS", str(tmp_path))
    found = peer_speeds(10)
    assert set(found) == {*JOBS, *WITHOUT_A_JOB}
    assert all(str(found[name]).startswith("not installed") for name in JOBS)


def test_a_peer_that_fails_says_how(monkeypatch, tmp_path):
    python = tmp_path / "backtesting" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'no module of that name' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("ALPHA_PULSE_PEERS", str(tmp_path))
    assert peer_speeds(10)["backtesting"] == "failed: no module of that name"


def test_what_a_peer_took_is_told_as_bars_a_second(monkeypatch, tmp_path):
    python = tmp_path / "vectorbt" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho '{\"seconds\": 2.0}'\n")
    python.chmod(0o755)
    monkeypatch.setenv("ALPHA_PULSE_PEERS", str(tmp_path))
    assert peer_speeds(1000)["vectorbt"] == 500.0
