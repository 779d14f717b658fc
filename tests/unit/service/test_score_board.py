"""What publishers write, read strictly, and what is too old."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.service.score_board import Reading, ScoreBoard, read_number
from alpha_pulse.testing import START_MS, FakeClock


def board(clock=None):
    return ScoreBoard(["BTC", "ETH"], clock or FakeClock(), stale_score_s=3.0, stale_depth_s=60.0)


def test_json_and_a_bare_number_with_a_stamp_say_the_same():
    stamped = read_number(b'{"score": 0.7, "ts_ms": 1764000000000}', None, "score", highest=1.0)
    bare = read_number(b"0.7", b"1764000000000", "score", highest=1.0)
    assert stamped == bare == Reading(0.7, 1764000000000)


def test_nothing_is_nothing():
    assert read_number(None, b"1", "score", highest=1.0) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"nan", b"NaN", b"Infinity", b"-0.1", b"1.1", b"1e309", b'"0.5"', b"true", b"null", b"[0.5]", b"{}", b"<html>", b"\xff\xfe",
        b'{"score": 0.5}', b'{"score": "0.5", "ts_ms": 1}', b'{"score": true, "ts_ms": 1}', b'{"score": 0.5, "ts_ms": "now"}',
        b'{"score": 0.5, "ts_ms": -1}', b'{"score": 0.5, "ts_ms": 1e300}', b'{"score": 0.5, "ts_ms": true}', b"[" * 100, b"[" * 4000,
        b"0." + b"5" * 10_000, b'{"score": 0.5, "ts_ms": 1',
    ],
)  # fmt: skip
def test_garbage_is_a_problem_and_no_error(raw):
    reading = read_number(raw, b"1764000000000", "score", highest=1.0)
    assert reading is not None
    assert reading.problem


@given(st.binary(max_size=200), st.none() | st.binary(max_size=50))
def test_whatever_is_written_never_raises_and_is_in_range_or_a_problem(raw, stamp):
    reading = read_number(raw, stamp, "score", highest=1.0)
    assert reading is not None
    assert reading.problem or (0.0 <= reading.value <= 1.0 and reading.ts_ms >= 0)


@given(st.floats(0.0, 1.0), st.integers(0, 10**13))
def test_what_is_good_is_read_exactly(value, ts_ms):
    assert read_number(f'{{"score": {value!r}, "ts_ms": {ts_ms}}}', None, "score", highest=1.0) == Reading(value, ts_ms)


def test_a_score_is_used_until_it_is_stale():
    clock = FakeClock()
    scores = board(clock)
    scores.put_score("BTC", Reading(0.7, START_MS))
    assert scores.score("BTC").value == 0.7
    clock.advance_to(START_MS + 3000)
    assert scores.score("BTC").value == 0.7
    clock.advance_to(START_MS + 3001)
    found = scores.score("BTC")
    assert found.value is None
    assert "stale" in found.reason
    assert found.ts_ms == START_MS


def test_a_score_is_refused_with_its_reason():
    scores = board()
    assert "no score" in scores.score("BTC").reason
    scores.put_score("BTC", Reading(problem="has no number from 0 to 1"))
    assert "has no number" in scores.score("BTC").reason
    scores.put_score("BTC", Reading(0.5))
    assert "no stamp" in scores.score("BTC").reason
    scores.put_score("BTC", Reading(0.5, START_MS + 5000))
    assert "future" in scores.score("BTC").reason
    assert scores.score("DOGE").value is None


def test_a_clock_that_is_a_little_ahead_is_believed():
    scores = board()
    scores.put_score("BTC", Reading(0.5, START_MS + 500))
    assert scores.score("BTC").value == 0.5


def test_a_late_message_does_not_replace_a_newer_one():
    scores = board()
    scores.put_score("BTC", Reading(0.7, START_MS))
    scores.put_score("BTC", Reading(0.1, START_MS - 1))
    assert scores.score("BTC").value == 0.7


def test_garbage_is_the_last_word_until_something_good_comes():
    scores = board()
    scores.put_score("BTC", Reading(0.7, START_MS))
    scores.put_score("BTC", Reading(problem="is no number"))
    assert scores.score("BTC").value is None
    scores.put_score("BTC", Reading(0.6, START_MS - 1000))
    assert scores.score("BTC").value == 0.6


def test_one_stamp_in_the_future_does_not_keep_good_scores_out():
    scores = board()
    scores.put_score("BTC", Reading(0.1, START_MS + 3_600_000))
    assert "future" in scores.score("BTC").reason
    scores.put_score("BTC", Reading(0.7, START_MS))
    assert scores.score("BTC").value == 0.7
    assert scores.ages_s() == {"BTC": 0.0}


def test_assets_are_apart():
    scores = board()
    scores.put_score("BTC", Reading(0.7, START_MS))
    assert scores.score("ETH").value is None
    assert scores.ages_s() == {"BTC": 0.0}


def test_a_depth_without_a_stamp_counts_from_when_it_was_read():
    clock = FakeClock()
    scores = board(clock)
    assert scores.depth_usd("BTC") is None
    scores.put_depth("BTC", Reading(2e6))
    assert scores.depth_usd("BTC") == 2e6
    clock.advance_to(START_MS + 60_001)
    assert scores.depth_usd("BTC") is None


def test_a_depth_without_a_stamp_that_is_read_again_and_again_grows_old():
    clock = FakeClock()
    scores = board(clock)
    scores.put_depth("BTC", Reading(2e6))
    clock.advance_to(START_MS + 60_001)
    scores.put_depth("BTC", Reading(2e6))
    assert scores.depth_usd("BTC") is None
    scores.put_depth("BTC", Reading(2.1e6))
    assert scores.depth_usd("BTC") == 2.1e6


@pytest.mark.parametrize("reading", [None, Reading(problem="is no number"), Reading(math.nan, 1)])
def test_a_bad_depth_is_none(reading):
    scores = board()
    scores.put_depth("BTC", reading)
    assert scores.depth_usd("BTC") is None
