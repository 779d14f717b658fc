"""The model behind the simulated market: one day of one-minute bars at a time, as arrays.

Spot follows a geometric random walk without drift whose volatility switches between regimes (a Markov chain), with heavy
tails (Student's t) and rare jumps; the perpetual adds a mean-reverting basis; funding follows the basis and its own past. The
figures are of the order of BTC's in 2023-2025 and make a market to rehearse on, not a forecast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.market.ticks import Floats, TickGrid

Columns = tuple[Floats, Floats, Floats, Floats, Floats]
"""Open, high, low, close and volume, one value per bar."""

BARS: Final = 1440  # of one minute: one day
MINUTE_MS: Final = 60_000
FUNDING_HOURS: Final = 8
_FUNDING_BARS: Final = FUNDING_HOURS * 60
SETTLEMENTS: Final = tuple(range(0, BARS, _FUNDING_BARS))  # the bars of a day at whose open funding settles
_MINUTES_PER_YEAR: Final = 525_600
_FREEDOM: Final = 5.0  # degrees of freedom of the returns
_BASIS_KEPT: Final = math.exp(-math.log(2.0) / 120.0)  # the basis' deviation halves in two hours
_MARK_KEPT: Final = math.exp(-math.log(2.0) / 10.0)  # mark follows the basis with a half-life of ten minutes
_BASIS_NOISE: Final = 4e-4  # standard deviation of the basis around its mean
_JUMP: Final = 0.006  # standard deviation of a jump's log return
_FUNDING_MEAN: Final = 6e-5  # per interval: about 6.5 % a year before the basis' share
_FUNDING_KEPT: Final = 0.85  # autocorrelation from one settlement to the next
_FUNDING_NOISE: Final = 3.5e-5
_FUNDING_OF_BASIS: Final = 0.1  # share of the interval's mean basis that funding pays back
_FUNDING_CAP: Final = 3e-3
_BLOCK: Final = 480  # bars solved at a time by _autoregress


@dataclass(frozen=True, slots=True)
class Regime:
    """One state of the market. ``volatility`` is annualised; ``stay_minutes`` the mean time until it leaves for another state."""

    name: str
    volatility: float
    stay_minutes: float
    leads_to: tuple[float, ...]  # probability of each regime when this one ends
    jumps_per_minute: float
    basis: float  # mean of perpetual over spot, log
    volume: float  # relative to the usual
    half_spread: float  # fraction of price
    depth: float  # relative to the usual


REGIMES: Final = (
    Regime("calm", 0.34, 900.0, (0.0, 0.95, 0.05), 5e-5, 4e-4, 0.6, 2e-6, 1.4),
    Regime("normal", 0.54, 1200.0, (0.72, 0.0, 0.28), 2e-4, 3e-4, 1.0, 1e-5, 1.0),
    Regime("stressed", 1.15, 420.0, (0.1, 0.9, 0.0), 2e-3, -5e-4, 2.6, 1e-4, 0.25),
)


@dataclass(frozen=True, slots=True)
class Coin:
    """What sets one coin's market apart. Money in quote units."""

    volatility: float  # relative to BTC's
    turnover_per_minute: float
    depth: float  # notional within 1 % on each side: a thin book


COINS: Final = {
    "BTC": Coin(1.0, 8e6, 6e6),
    "ETH": Coin(1.3, 5e6, 4e6),
    "SOL": Coin(1.6, 2e6, 1.5e6),
    "1000PEPE": Coin(2.0, 5e5, 3e5),
}


_SEASON: Final = 1.0 + 0.25 * np.sin(2.0 * math.pi * (np.arange(BARS) / BARS - 0.375))  # busiest at 15:00 UTC
_LOUDNESS: Final = _SEASON / math.sqrt(float(np.mean(_SEASON**2)))  # volatility through the day, mean square 1


class DayState(NamedTuple):
    """What one day hands to the next."""

    log_spot: float
    log_perp: float
    regime: int
    minutes_left: int  # in this regime
    basis_mean: float  # log; follows the regime's slowly
    basis_noise: float  # deviation from it
    mark_basis: float  # log; what mark has followed of the basis
    premium: float  # funding's own autocorrelated part, fraction per interval
    spot: float  # last closes, on ticks
    perp: float
    mark: float
    rate: float  # funding rate that settles when the day begins


class Day(NamedTuple):
    """Columns of ``BARS`` values. Prices on ticks, in quote units; volumes in base units; depths in quote units."""

    spot: Columns
    perp: Columns
    mark: Columns
    bid: Floats
    ask: Floats
    rate: Floats  # funding rate expected at the next settlement, as known at each bar's close
    bid_depth: Floats
    ask_depth: Floats
    settled: tuple[float, ...]  # rates that settle at the bars ``SETTLEMENTS``


def first_state(price: float, grid: TickGrid, regimes: tuple[Regime, ...]) -> DayState:
    """A market that starts in the second regime, with the perpetual at ``price`` and spot a mean basis below it."""
    regime = min(1, len(regimes) - 1)
    basis = regimes[regime].basis
    log_price = math.log(price)
    perp, spot = grid.nearest(np.array([price, price * math.exp(-basis)])).tolist()
    stay = int(regimes[regime].stay_minutes)
    return DayState(log_price - basis, log_price, regime, stay, basis, 0.0, basis, _FUNDING_MEAN, spot, perp, perp, _FUNDING_MEAN)


def simulate_day(
    state: DayState, random: np.random.Generator, coin: Coin, grid: TickGrid, regimes: tuple[Regime, ...]
) -> tuple[Day, DayState]:
    """The day of bars that follows ``state``. Everything is drawn from ``random``, which belongs to this day alone."""
    kind, regime, left = _regimes(state, random, regimes)
    table = np.array([(r.volatility, r.jumps_per_minute, r.basis, r.volume, r.half_spread, r.depth) for r in regimes])[kind].T
    normals = random.standard_normal((6, BARS))
    uniforms = random.random((3, BARS))
    # Student's t as a normal with a random variance, so that the bar's own variance also spreads its high and low.
    thickness = (_FREEDOM - 2.0) / (2.0 * random.standard_gamma(_FREEDOM / 2.0, BARS))
    sigma = table[0] * _LOUDNESS * np.sqrt(thickness) * (coin.volatility / math.sqrt(_MINUTES_PER_YEAR))
    moves = sigma * normals[0] + np.where(uniforms[0] < table[1], _JUMP * coin.volatility * normals[1], 0.0)
    log_spot = state.log_spot + np.cumsum(moves)
    mean = _follow(state.basis_mean, table[2], _BASIS_KEPT)
    noise = _autoregress(state.basis_noise, normals[2] * (_BASIS_NOISE * math.sqrt(1.0 - _BASIS_KEPT**2)), _BASIS_KEPT)
    basis = mean + noise
    mark_basis = _follow(state.mark_basis, basis, _MARK_KEPT)
    log_perp = log_spot + basis
    spot = _bars(state.spot, _shifted(state.log_spot, log_spot), log_spot, sigma, uniforms[1:], grid)
    perp = _bars(state.perp, _shifted(state.log_perp, log_perp), log_perp, sigma, uniforms[1:], grid)
    mark = _mark(state.mark, spot, np.exp(mark_basis), np.exp(log_spot + mark_basis), grid)
    volume = _volume(coin, table[3], np.abs(moves) / sigma, normals[3], perp[3])
    bid, ask = _touch(perp[3], table[4] * np.exp(0.5 * normals[4]), grid)
    tilt = np.exp(0.25 * normals[5])
    settled, rate, premium = _funding(state, basis, random)
    day = Day(
        (*spot, np.rint(volume * 300.0) / 1e3),  # spot trades less than a third of the perpetual's volume
        (*perp, volume), (*mark, np.zeros(BARS)), bid, ask, rate,
        np.rint(coin.depth * table[5] * tilt), np.rint(coin.depth * table[5] / tilt), settled,
    )  # fmt: skip
    last = (log_spot, log_perp, mean, noise, mark_basis, spot[3], perp[3], mark[3], rate)
    end_spot, end_perp, end_mean, end_noise, end_mark, *closes = (float(column[-1]) for column in last)
    return day, DayState(end_spot, end_perp, regime, left, end_mean, end_noise, end_mark, premium, *closes)


def _regimes(state: DayState, random: np.random.Generator, regimes: tuple[Regime, ...]) -> tuple[NDArray[np.intp], int, int]:
    """The regime of each bar, the last regime, and how many minutes it has left."""
    kind = np.empty(BARS, np.intp)
    regime, left, at = state.regime, state.minutes_left, 0
    while True:
        kind[at : at + left] = regime
        if at + left > BARS:
            return kind, regime, at + left - BARS
        at += left
        regime = int(random.choice(len(regimes), p=regimes[regime].leads_to))
        left = int(random.geometric(1.0 / regimes[regime].stay_minutes))


def _autoregress(start: float, shocks: Floats, kept: float) -> Floats:
    """x_t = kept·x_(t−1) + shock_t, solved with one cumulative sum: x_t = kept^t·(x_0 + Σ shock_i/kept^i)."""
    weights = kept ** np.arange(1.0, _BLOCK + 1.0)
    result = np.empty_like(shocks)
    for at in range(0, BARS, _BLOCK):  # in blocks, or kept^i would underflow
        result[at : at + _BLOCK] = weights * (start + np.cumsum(shocks[at : at + _BLOCK] / weights))
        start = float(result[at + _BLOCK - 1])
    return result


def _follow(start: float, target: Floats, kept: float) -> Floats:
    """An exponential average of ``target``."""
    return _autoregress(start, target * (1.0 - kept), kept)


def _shifted(first: float, values: Floats) -> Floats:
    """Each bar's predecessor: where the bar opened."""
    return np.concatenate(((first,), values[:-1]))


def _bars(
    first: float, start: Floats, end: Floats, sigma: Floats, uniforms: Floats, grid: TickGrid
) -> tuple[Floats, Floats, Floats, Floats]:
    """Open, high, low, close of a path from log price ``start`` to ``end`` in each bar.

    High and low are drawn from the exact law of a Brownian bridge's maximum and minimum, m = (a + b ± √((b − a)² − 2σ²·ln U))/2
    (Karatzas and Shreve 1991, §4.3), so that they belong to the bar's own path without simulating its steps.
    """
    close = grid.nearest(np.exp(end))
    opened = _shifted(first, close)
    reach = np.sqrt((end - start) ** 2 - 2.0 * sigma**2 * np.log1p(-uniforms))
    high = np.maximum(grid.nearest(np.exp(0.5 * (start + end + reach[0]))), np.maximum(opened, close))
    low = np.minimum(grid.nearest(np.exp(0.5 * (start + end - reach[1]))), np.minimum(opened, close))
    return opened, high, low, close


def _mark(first: float, spot: tuple[Floats, ...], premium: Floats, end: Floats, grid: TickGrid) -> tuple[Floats, Floats, Floats, Floats]:
    """Mark price: index (spot) times a smoothed basis, as venues do, so that it stays nearer to the index than the last price."""
    close = grid.nearest(end)
    opened = _shifted(first, close)
    high = np.maximum(grid.nearest(spot[1] * premium), np.maximum(opened, close))
    low = np.minimum(grid.nearest(spot[2] * premium), np.minimum(opened, close))
    return opened, high, low, close


def _volume(coin: Coin, regime: Floats, surprise: Floats, noise: Floats, close: Floats) -> Floats:
    """Base units: more in loud regimes, at busy hours, and in bars that moved (``surprise``, in σ)."""
    turnover = coin.turnover_per_minute * regime * _SEASON * (0.4 + 0.75 * surprise) * np.exp(0.5 * noise - 0.125)
    return np.rint(turnover / close * 1e3) / 1e3


def _touch(close: Floats, half_spread: Floats, grid: TickGrid) -> tuple[Floats, Floats]:
    """Best bid and ask around the close, on ticks, at least one apart."""
    bid = np.maximum(grid.down(close * (1.0 - half_spread)), grid.smallest)
    return bid, np.maximum(grid.up(close * (1.0 + half_spread)), grid.above(bid))


def _funding(state: DayState, basis: Floats, random: np.random.Generator) -> tuple[tuple[float, ...], Floats, float]:
    """Rates that settle this day, the rate expected at each bar's close, and the premium to carry on.

    A rate is what its interval has shown so far: a premium of its own (an AR(1) from interval to interval) and a share of the
    mean basis. What is expected in an interval's last bar is what settles as the next begins.
    """
    premium = state.premium
    expected = np.empty(BARS)
    settled = [state.rate]
    spread = _FUNDING_NOISE * math.sqrt(1.0 - _FUNDING_KEPT**2)
    for at, shock in zip(SETTLEMENTS, random.standard_normal(len(SETTLEMENTS)).tolist(), strict=True):
        premium = _FUNDING_MEAN + _FUNDING_KEPT * (premium - _FUNDING_MEAN) + spread * shock
        running = np.cumsum(basis[at : at + _FUNDING_BARS]) / np.arange(1.0, _FUNDING_BARS + 1.0)
        rates = np.clip(premium + _FUNDING_OF_BASIS * running, -_FUNDING_CAP, _FUNDING_CAP)
        expected[at : at + _FUNDING_BARS] = np.rint(rates * 1e8) / 1e8  # venues publish eight decimals
        settled.append(float(expected[at + _FUNDING_BARS - 1]))
    return tuple(settled[:-1]), expected, premium
