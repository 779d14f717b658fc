"""Margin of a linear perpetual in a cross wallet: what may be opened, and where liquidation waits. Pure numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from alpha_pulse.domain.instrument import Instrument

LIQUIDATION_PENALTY: Final = Decimal("0.005")
"""The liquidation clearance fee, fraction of the notional closed (Binance USD-M takes 0.3 % to 1.5 %, BTC 1.25 %, by symbol)."""

Tier = tuple[float, float, float]
"""(largest notional, maintenance rate, maintenance amount), in ascending order; see ``domain.instrument.MarginTier``."""


def tiers_of(instrument: Instrument) -> tuple[Tier, ...]:
    """The instrument's maintenance tiers as floats."""
    return tuple((float(t.max_notional), float(t.maintenance_rate), float(t.maintenance_amount)) for t in instrument.margin_tiers)


def maintenance(notional: float, tiers: Sequence[Tier]) -> float:
    """Maintenance margin, quote units, of an absolute notional."""
    rate, amount = tiers[-1][1], tiers[-1][2]
    for most, tier_rate, tier_amount in tiers:
        if notional <= most:
            rate, amount = tier_rate, tier_amount
            break
    return max(0.0, notional * rate - amount)


def liquidation_price(free: float, quantity: float, tiers: Sequence[Tier]) -> float:
    """Mark price at which equity meets the maintenance margin; NaN if there is none above zero.

    ``free`` is the wallet less what the position cost, quote units: W − F·E. With the position's quantity F, equity is
    free + F·P and the requirement |F|·P·rate − amount, so

        P = −(free + amount) / (F − |F|·rate),     for a short: (W + |F|·E + amount) / (|F|·(1 + rate)).

    Requirements are continuous and convex in the notional, so the first tier whose own solution does not leave it upwards is
    the right one. Source: Binance, "Liquidation price of USD-M futures contracts" (one-way mode, cross margin).
    """
    if quantity == 0.0:
        return math.nan
    size = abs(quantity)
    price = math.nan
    for most, rate, amount in tiers:
        price = -(free + amount) / (quantity - size * rate)
        if size * price <= most:
            break
    if price > 0.0:
        return price
    # Nothing above zero: a long whose wallet covers everything is safe; a short without a wallet is lost at any price.
    return 0.0 if quantity < 0.0 else math.nan


def liquidation_bounds(free: float, quantity: float, tiers: Sequence[Tier]) -> tuple[float, float]:
    """Mark prices at or below the first, or at or above the second, liquidate; ∓infinity where that side is safe."""
    price = liquidation_price(free, quantity, tiers)
    if math.isnan(price):
        return -math.inf, math.inf
    return (price, math.inf) if quantity > 0.0 else (-math.inf, price)


def affordable(worst: float, held: float, price: float, equity: float, leverage: float, committed: float) -> bool:
    """Whether a position of ``worst`` base units may come about, coming from ``held``.

    It may when it is no larger than what is held, or when its notional at ``price``, with the notional ``committed`` elsewhere in
    the wallet, is within leverage·equity (all in quote units).
    """
    if abs(worst) <= abs(held):
        return True
    return abs(worst) * price + committed <= leverage * equity * (1.0 + 1e-12)
