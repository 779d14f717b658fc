"""The margin of a linear perpetual: where it is liquidated, how far that is, and what mends it. Floats, quote units, pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpha_pulse.domain.instrument import Instrument

ALERT_SIGMAS, NO_INCREASE_SIGMAS, CUT_SIGMAS = 10.0, 6.0, 4.0
CAP_STEP = 0.01  # of |S|: the margin cap moves the ladder in steps of this
WIDEST = 2.0  # volatility widens a distance to twice itself at most: one wild bar must not take a hedge apart


def margin_distance(configured: float, sigmas: float, volatility_day: float) -> float:
    """A distance to liquidation, fraction of mark: the configured one, or some daily sigmas if larger, up to twice itself."""
    return min(max(configured, sigmas * volatility_day), WIDEST * configured)


def liquidation_price(wallet: float, position: float, entry: float, instrument: Instrument, mark: float) -> float:
    """Mark price at which equity meets the maintenance margin; 0 or inf when no price does.

    Short: (W + |F|·E + c)/(|F|·(1 + mmr)); long: (|F|·E − W − c)/(|F|·(1 − mmr)), with the tier's rate mmr and deduction c at the
    current notional (Binance, "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts", one position, one-way mode).
    """
    size = abs(position)
    if size == 0.0:
        return math.inf
    tier = instrument.tier(size * mark)
    rate, credit = float(tier.maintenance_rate), float(tier.maintenance_amount)
    if position < 0.0:
        return max(0.0, (wallet + size * entry + credit) / (size * (1.0 + rate)))
    return max(0.0, (size * entry - wallet - credit) / (size * (1.0 - rate)))


def liquidation_distance(wallet: float, position: float, entry: float, instrument: Instrument, mark: float) -> float:
    """How far mark may move against the position before it is liquidated, as a fraction of mark; inf when it cannot be."""
    if position == 0.0:
        return math.inf
    price = liquidation_price(wallet, position, entry, instrument, mark)
    if position > 0.0:
        return math.inf if price <= 0.0 else max(0.0, 1.0 - price / mark)
    return max(0.0, price / mark - 1.0)


def size_at_distance(equity: float, distance: float, instrument: Instrument, mark: float) -> float:
    """The short that is liquidated exactly ``distance`` away, base units: e/(P·((1 + d)(1 + mmr) − 1)); used for longs too, to be safe."""
    if equity <= 0.0:
        return 0.0
    rate = float(instrument.tier(equity / max(distance, 1e-9)).maintenance_rate)
    return equity / (mark * ((1.0 + distance) * (1.0 + rate) - 1.0))


@dataclass(frozen=True, slots=True)
class MarginRemedy:
    """What moves liquidation out to a distance; any one of the three does. One view over both wallets, coins and cash."""

    top_up: float  # cash into the perpetual wallet, quote units
    coins: float  # what that is worth of the inventory, base units: to be sold and transferred
    reduce: float  # of the position instead, base units


def margin_remedy(equity: float, size: float, distance: float, instrument: Instrument, mark: float, spot: float) -> MarginRemedy:
    """Three ways to have a position of ``size`` (base units, ≥ 0) liquidated no nearer than ``distance`` (fraction of mark)."""
    top_up = top_up_for_distance(equity, size, distance, instrument, mark)
    return MarginRemedy(top_up, top_up / spot, max(0.0, size - size_at_distance(equity, distance, instrument, mark)))


def top_up_for_distance(equity: float, size: float, distance: float, instrument: Instrument, mark: float) -> float:
    """Cash that moves the liquidation of a short of ``size`` out to ``distance``, quote units; 0 if it is there already."""
    rate = float(instrument.tier(size * mark).maintenance_rate)
    return max(0.0, size * mark * ((1.0 + distance) * (1.0 + rate) - 1.0) - equity)
