"""Weeks and months of a market, against plain numpy over the whole past."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.market import ccxt_feed
from alpha_pulse.market.live import warm_up
from alpha_pulse.market.longterm import KEPT_RESIDUALS, MOMENTUM_DAYS, RANK_DAYS, LongReading, LongTerm
from alpha_pulse.market.provider import FeedDataProvider
from tests.unit.market.market_fakes import MINUTE, START, SYMBOL, MovableClock, ScriptedFeed, update

HOUR = 60 * MINUTE
WINDOW, RANK = 480, 2160  # hours: 20 and 90 days


class Path:
    """A random market by the hour: closes, volatilities, funding; some hours may be missing."""

    def __init__(self, hours: int, seed: int, *, missing: float = 0.0, holes: Sequence[tuple[int, int]] = (), first: int = 482_136) -> None:
        rng = np.random.default_rng(seed)
        kept = rng.random(hours) >= missing
        kept[0] = True
        for begin, end in holes:
            kept[begin:end] = False
        self.hours = (first + np.arange(hours))[kept]
        self.closes = 30_000.0 * np.exp(np.cumsum(rng.standard_t(4, hours) * 0.004))[kept]
        self.sigmas = 0.03 * np.exp(np.cumsum(rng.normal(0, 0.02, hours)))[kept]
        self.rates = rng.normal(1e-4, 2e-4, hours)[kept]
        self.intervals = rng.choice([1.0, 4.0, 8.0], hours)[kept]

    def __len__(self) -> int:
        return len(self.hours)

    def feed(self, known: LongTerm, begin: int = 0, end: int | None = None) -> list[LongReading]:
        rows = range(begin, len(self) if end is None else end)
        return [
            known.add(int(self.hours[i]), float(self.closes[i]), float(self.sigmas[i]), float(self.rates[i]), float(self.intervals[i]))
            for i in rows
        ]

    def expected(self, i: int) -> dict[str, float]:
        """The readings after row ``i``, from everything before it."""
        seen = (self.hours > self.hours[i] - WINDOW) & (np.arange(len(self)) <= i)
        closes, sigmas = self.closes[seen], self.sigmas[max(0, i - RANK + 1) : i + 1]
        elapsed = self.hours[i] - self.hours[seen][0]
        annual = self.rates[: i + 1] * 24 / self.intervals[: i + 1] * 365
        ages = 0.5 ** ((self.hours[i] - self.hours[: i + 1]) / 72)  # what is left of the value before, since each close
        kept = 0.5 ** (np.diff(self.hours[: i + 1]) / 72)
        weights = np.append(ages[0], (1 - kept) * ages[1:])  # the first value stands for all before it
        return {
            "momentum": float(np.log(closes[-1] / closes[0]) * 24 / elapsed),
            "zscore": float((closes[-1] - np.mean(closes)) / np.sqrt(np.mean((closes - np.mean(closes)) ** 2))),
            "volatility_rank": sum(1 for sigma in sigmas if sigma <= sigmas[-1]) / len(sigmas),
            "funding_annual": float(weights @ annual),
        }

    def expected_residuals(self, i: int) -> list[float]:
        """From the first close of each day to the first of the next, over the σ of the first; nothing where they are not a day apart."""
        first = {}
        for row in range(i + 1):
            first.setdefault(int(self.hours[row]) // 24, row)
        days = sorted(first)
        found = [
            (self.closes[first[day]] / self.closes[first[day - 1]] - 1) / self.sigmas[first[day - 1]]
            for day in days
            if day - 1 in first and self.hours[first[day]] - self.hours[first[day - 1]] == 24
        ]
        return [float(value) for value in found[-500:]]


def agrees(path: Path, readings: Sequence[LongReading], rows: Sequence[int]) -> None:
    for i in rows:
        reading = readings[i]
        expected = path.expected(i)
        assert {name: getattr(reading, name) for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert reading.residuals == pytest.approx(path.expected_residuals(i), rel=1e-12)


# --- the windows --------------------------------------------------------------------------------------------------------
def test_the_windows_are_what_the_names_say():
    assert (MOMENTUM_DAYS * 24, RANK_DAYS * 24, KEPT_RESIDUALS) == (WINDOW, RANK, 500)


def test_two_days_are_needed_before_anything_is_said_of_weeks():
    readings = Path(48, 1).feed(LongTerm())
    assert all((r.momentum, r.zscore, r.volatility_rank) == (0.0, 0.0, 0.5) for r in readings[:47])
    assert readings[47].momentum != 0.0
    assert all(r.funding_annual != 0.0 for r in readings)


@pytest.mark.parametrize("seed", range(4))
def test_a_growing_window_reads_all_that_there_is(seed):
    path = Path(479, seed)
    agrees(path, path.feed(LongTerm()), [47, 48, 100, 479 - 1])


@pytest.mark.parametrize("seed", range(3))
def test_a_sliding_window_forgets_what_is_older_also_where_its_buffer_wraps(seed):
    path = Path(2_600, seed)
    agrees(path, path.feed(LongTerm()), [479, 480, 481, 1_918, 1_919, 1_920, 1_921, 2_159, 2_160, 2_161, 2_399, 2_400, 2_599])


def test_more_than_four_rank_windows_wrap_too():
    """8,640 hours fill the buffer; the next ones start it again. Of 525 daily returns the latest 500 are kept."""
    path = Path(12_600, 11)
    readings = path.feed(LongTerm())
    assert len(readings[-1].residuals) == 500
    agrees(path, readings, [8_638, 8_639, 8_640, 8_641, 9_000, 10_799, 12_099, 12_599])


@pytest.mark.parametrize("seed", range(3))
def test_missing_hours_and_days_leave_the_closes_that_were_seen(seed):
    """Windows and ages go by the clock: what is missing is not replaced by what is older."""
    path = Path(2_600, seed, missing=0.05, holes=((300, 310), (700, 790), (1_500, 1_524)))
    agrees(path, path.feed(LongTerm()), [60, 400, 640, 700, 1_000, 1_900, len(path) - 1])


def test_a_day_that_is_missing_gives_no_return_and_neither_does_the_one_after_it():
    path = Path(24 * 10, 5, holes=((24 * 4, 24 * 5),))
    assert len(path.feed(LongTerm())[-1].residuals) == 10 - 1 - 2


def test_a_day_is_divided_by_the_volatility_that_was_known_before_it():
    """100 → 103 at 2 %: 1.5; 103 → 101.97 at 5 %: −0.2. What σ became on the way does not count."""
    known = LongTerm()
    for hour, close, sigma in ((0, 100.0, 0.02), (23, 90.0, 0.9), (24, 103.0, 0.05), (25, 200.0, 0.7), (48, 101.97, 0.3)):
        reading = known.add(hour, close, sigma, 0.0, 8.0)
    assert reading.residuals == pytest.approx((1.5, -0.2))


def test_residuals_are_the_same_object_all_day():
    path = Path(24 * 5, 2)
    readings = path.feed(LongTerm())
    changes = sum(a.residuals is not b.residuals for a, b in itertools.pairwise(readings))
    assert changes == len(readings[-1].residuals)


def test_smoothed_funding_starts_where_funding_is_and_halves_its_distance_in_three_days():
    """0.01 % in 8 h is 10.95 % a year."""
    known = LongTerm()
    assert known.add(0, 1.0, 0.03, 1e-4, 8.0).funding_annual == pytest.approx(0.1095)
    for hour in range(1, 73):
        reading = known.add(hour, 1.0, 0.03, 0.0, 8.0)
    assert reading.funding_annual == pytest.approx(0.1095 / 2)


def test_the_rank_runs_to_one_at_the_highest_and_counts_equals():
    known = LongTerm()
    for hour in range(99):
        known.add(hour, 100.0 + hour % 7, 0.01 + 0.0001 * hour, 0.0, 8.0)
    assert known.add(99, 100.0, 0.5, 0.0, 8.0).volatility_rank == 1.0
    assert known.add(100, 100.0, 0.001, 0.0, 8.0).volatility_rank == pytest.approx(1 / 101)
    calm = LongTerm()
    readings = [calm.add(hour, 100.0 + hour % 7, 0.02, 0.0, 8.0) for hour in range(60)]
    assert readings[-1].volatility_rank == 1.0


def test_a_steady_rise_is_its_own_momentum_and_stands_above_its_mean():
    """1 % a day; the last of many equidistant points lies √3 standard deviations above their mean."""
    known = LongTerm()
    for hour in range(1_000):
        reading = known.add(hour, 100.0 * math.exp(0.01 * hour / 24), 0.03, 0.0, 8.0)
    assert reading.momentum == pytest.approx(0.01)
    assert reading.zscore == pytest.approx(math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("close", [100.0, 1.0, 0.5])
def test_a_price_that_stands_still_is_not_stretched(close):
    known = LongTerm()
    assert {known.add(hour, close, 0.03, 0.0, 8.0).zscore for hour in range(600)} == {0.0}


@pytest.mark.parametrize("close", [100.1, 0.1, 30_000.7])
def test_neither_is_one_that_binary_floats_cannot_write(close):
    known = LongTerm()
    assert {known.add(hour, close, 0.03, 0.0, 8.0).zscore for hour in range(600)} == {0.0}


@pytest.mark.parametrize("every", [2, 4])
def test_momentum_is_per_day_also_where_hours_are_missing(every):
    known = LongTerm()
    for hour in range(0, 24 * 18, every):
        reading = known.add(hour, 100.0 * math.exp(0.01 * hour / 24), 0.03, 0.0, 8.0)
    assert reading.momentum == pytest.approx(0.01)


def test_smoothed_funding_ages_by_the_clock():
    known = LongTerm()
    known.add(0, 1.0, 0.03, 1e-4, 8.0)
    assert known.add(720, 1.0, 0.03, 0.0, 8.0).funding_annual == pytest.approx(0.0, abs=0.1095 * 2**-9)


@pytest.mark.parametrize(("hours", "known"), [((15, 24), 0), ((0, 44), 0), ((0, 44, 48, 72), 1)])
def test_a_daily_return_covers_a_day(hours, known):
    """Joined at 15:00; nothing from midnight to 20:00 of the next day; and that again with a whole day after it."""
    term = LongTerm()
    for hour in hours:
        reading = term.add(hour, 100.0 + hour, 0.03, 0.0, 8.0)
    assert len(reading.residuals) == known


# --- in the provider ----------------------------------------------------------------------------------------------------
async def drained(made: FeedDataProvider) -> list[MarketState]:
    states = []
    while (state := await made.advance(SYMBOL)) is not None:
        assert isinstance(state, MarketState)
        states.append(state)
    return states


def hourly(path: Path) -> list[MarketUpdate]:
    made = []
    for row, close in enumerate(path.closes.tolist()):
        number = int(path.hours[row] - path.hours[0])
        made.append(update(number, close, step=HOUR, funding_rate=float(path.rates[row]), funding_interval_h=float(path.intervals[row])))
    return made


def from_feed(past: Sequence[MarketUpdate], coming: Sequence[MarketUpdate]) -> FeedDataProvider:
    return FeedDataProvider(ScriptedFeed(coming, past), MovableClock())


async def test_the_indicators_hold_what_hourly_bars_say_of_weeks():
    path = Path(700, 7, first=START // HOUR + 1)
    states = await drained(from_feed((), hourly(path)))
    path.sigmas = np.array([state.volatility_day for state in states])
    for i in (46, 47, 300, 500, 699):
        seen = states[i].indicators
        expected = path.expected(i) if i >= 47 else {"momentum": 0.0, "zscore": 0.0, "volatility_rank": 0.5}
        assert {name: getattr(seen, name) for name in expected} == pytest.approx(expected, rel=1e-9)
        assert seen.residuals == pytest.approx(path.expected_residuals(i), rel=1e-9)


async def test_minutes_are_read_by_the_hour_and_one_hour_is_one_close():
    prices = [100.0 * math.exp(0.0001 * math.sin(i / 50.0) + 0.00002 * i) for i in range(60 * 60)]
    states = await drained(from_feed((), [update(i, price) for i, price in enumerate(prices)]))
    closes = np.array(prices[59::60])
    seen = states[-1].indicators
    assert seen.momentum == pytest.approx(float(np.diff(np.log(closes)).mean() * 24), rel=1e-9)
    assert seen.zscore == pytest.approx(float((closes[-1] - closes.mean()) / closes.std()), rel=1e-9)
    assert states[-2].indicators.momentum != seen.momentum  # new with the hour's last minute


async def test_an_hour_whose_last_minutes_are_missing_closes_where_it_was_last_seen():
    prices = [100.0 + i % 60 + i // 60 for i in range(60 * 50)]
    kept = [update(i, price) for i, price in enumerate(prices) if not (i // 60 == 20 and i % 60 > 30)]
    states = await drained(from_feed((), kept))
    closes = np.array([100.0 + (30 if hour == 20 else 59) + hour for hour in range(50)])
    assert states[-1].indicators.zscore == pytest.approx(float((closes[-1] - closes.mean()) / closes.std()), rel=1e-9)


@pytest.mark.parametrize("cut", [1, 48, 500])
async def test_a_restart_knows_what_an_uninterrupted_run_knows(cut):
    path = Path(640, 9, missing=0.03, holes=((400, 460),))
    updates = hourly(path)
    whole = await drained(from_feed((), updates))
    resumed = from_feed(updates[:cut], updates[cut:])
    state = resumed.current(SYMBOL)
    assert state is not None
    assert state.indicators == whole[cut - 1].indicators
    assert [state.indicators for state in await drained(resumed)] == [state.indicators for state in whole[cut:]]


def test_a_restart_in_the_middle_of_the_buffers_is_bit_for_bit_the_same():
    path = Path(2_500, 4)
    known, again = LongTerm(), LongTerm()
    whole = path.feed(known)
    path.feed(again, 0, 1_950)
    assert path.feed(again, 1_950) == whole[1_950:]


# --- a live start -------------------------------------------------------------------------------------------------------
def live_update(now_ms: int, rate: float) -> MarketUpdate:
    quote = Bar(100.0, 100.0, 100.0, 100.0, 1.0)
    return MarketUpdate(now_ms - MINUTE, now_ms, quote, quote, quote, 100.0, 99.9, 100.1, rate, 8.0, now_ms + HOUR, None, 0.0, 0.0)


async def test_a_warm_up_from_candles_does_not_take_funding_for_nil():
    """The venue pays 0.03 % in 8 h, 32.85 % a year, and has for weeks."""
    candles: list[list[Any]] = [[START + i * HOUR, 100.0, 101.0, 99.0, 100.0 + i % 3, 5.0] for i in range(14 * 24)]
    now = START + 14 * 24 * HOUR
    coming = [live_update(now + i * MINUTE, 3e-4) for i in range(1, 121)]
    states = await drained(from_feed(warm_up(candles, HOUR, now, 8.0, 3e-4), coming))
    assert states[-1].indicators.funding_annual == pytest.approx(0.3285, rel=0.05)


def test_a_live_start_fetches_as_much_as_the_windows_hold():
    assert max(MOMENTUM_DAYS, RANK_DAYS, 100) * 24 <= ccxt_feed.WARM_UP_HOURS
