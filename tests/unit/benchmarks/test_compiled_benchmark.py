"""What the benchmark of the compiled twin runs, and how it names a peer that is not there."""

from __future__ import annotations

import pytest

from alpha_pulse.backtest.compiled.support import supported
from benchmarks.compiled import CASES, sets, settings_of
from benchmarks.peers import JOBS, peer_speeds


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
    assert set(found) == set(JOBS)
    assert all(str(found[name]).startswith("not installed") for name in JOBS)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("echo 'no module of that name' >&2; exit 1", "failed: no module of that name"),
        ("""echo '{"seconds": 2.0, "fills": 3}'""", 500.0),
        ("""echo '{"seconds": 2.0, "fills": 0}'""", "failed: it filled nothing"),
    ],
    ids=["fails", "runs", "fills nothing"],
)
def test_what_a_peer_took_is_told_as_bars_a_second_and_how_it_failed(monkeypatch, tmp_path, program, told):
    python = tmp_path / "vectorbt" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setenv("ALPHA_PULSE_PEERS", str(tmp_path))
    assert peer_speeds(1000)["vectorbt"] == told
