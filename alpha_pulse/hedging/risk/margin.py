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
    return price_at_maintenance(wallet, position, entry, float(tier.maintenance_rate), float(tier.maintenance_amount))


def price_at_maintenance(wallet: float, position: float, entry: float, rate: float, credit: float) -> float:
    """``liquidation_price`` of an open position in a tier of this rate and deduction."""
    size = abs(position)
    if position < 0.0:
        return max(0.0, (wallet + size * entry + credit) / (size * (1.0 + rate)))
    return max(0.0, (size * entry - wallet - credit) / (size * (1.0 - rate)))


def liquidation_distance(wallet: float, position: float, entry: float, instrument: Instrument, mark: float) -> float:
    """How far mark may move against the position before it is liquidated, as a fraction of mark; inf when it cannot be."""
    if position == 0.0:
        return math.inf
    return distance_between(mark, liquidation_price(wallet, position, entry, instrument, mark), position)


def distance_between(mark: float, liquidation: float, position: float) -> float:
    """From mark to the price at which an open position is liquidated, fraction of mark; inf when a long's wallet covers everything."""
    if position > 0.0:
        return math.inf if liquidation <= 0.0 else max(0.0, 1.0 - liquidation / mark)
    return max(0.0, liquidation / mark - 1.0)


def size_at_distance(equity: float, distance: float, instrument: Instrument, mark: float) -> float:
    """The short that is liquidated exactly ``distance`` away, base units: e/(P·((1 + d)(1 + mmr) − 1)); used for longs too, to be safe."""
    if equity <= 0.0:
        return 0.0
    rate = float(instrument.tier(equity / max(distance, 1e-9)).maintenance_rate)
    return size_at_rate(equity, distance, rate, mark)


def size_at_rate(equity: float, distance: float, rate: float, mark: float) -> float:
    """``size_at_distance`` where the tier's maintenance rate is known."""
    return equity / (mark * ((1.0 + distance) * (1.0 + rate) - 1.0))


def growth_limit(leverage: float, equity: float, mark: float, comfortable: float, held: float, most: float) -> float:
    """The hard cap of a snapshot before liquidation is near, base units: leverage and distance, what is held already, the user's limit."""
    allowed = min(max(0.0, leverage * equity / mark), comfortable)
    return min(max(allowed, held), most)


def stepped_cap(previous: float, bound: float, held: float, most: float, wanted: float, scale: float) -> float:
    """The cap as the ladder sees it: in steps, so that a drifting equity does not move orders on every tick.

    It falls at once and rises by two units at a time; a cap that the curve cannot reach is none. Base units.
    """
    unit = CAP_STEP * scale
    if unit == 0.0:
        return 0.0
    if bound >= wanted + (unit if previous < wanted else 0.0):
        return most
    least = min(held, bound)  # what is held already is cut only at the margin distances
    stepped = max(math.floor(bound / unit + 1e-9) * unit, least)
    return previous if bound >= previous >= least and previous > stepped - 2.0 * unit else stepped


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
