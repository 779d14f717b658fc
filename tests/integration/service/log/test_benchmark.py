"""The benchmark runs; nothing here says how fast."""

from __future__ import annotations

from benchmarks.decision_log import measure


async def test_every_case_is_measured(sqlite, tmp_path):
    measured = await measure(tmp_path, sqlite, 640)
    assert measured.pop("problem") == ""
    assert list(measured) == ["64 callers", "500 a second", "1 caller", "bare disk"]
    assert all(0 < case["median_ms"] <= case["p99_ms"] for case in measured.values())
