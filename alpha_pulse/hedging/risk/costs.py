"""What a trade costs, and whether a discretionary one protects more than it costs. Pure.

Costs are fractions of the traded notional.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.hedging.common.types import MarketState

IMPACT: Final = 1.0  # prefactor of the square-root law: of order one in every market where it was measured
BOOK_REACH: Final = 0.01  # the depth is counted within this distance of mid
_TAIL: Final = 0.99
SHORTFALL_SIGMAS: Final = NormalDist().pdf(NormalDist().inv_cdf(_TAIL)) / (1.0 - _TAIL)
"""Expected shortfall at 99 % of a standard normal, 2.665."""


@dataclass(frozen=True, slots=True)
class TradeCost:
    """Fractions of notional."""

    fee: float
    spread: float  # half of it
    impact: float

    @property
    def total(self) -> float:
        """Everything."""
        return self.fee + self.spread + self.impact


def market_impact(quantity: float, volume_day: float, depth: float, price: float, volatility_day: float) -> float:
    """How far a trade moves the price against itself, fraction of price: the larger of two estimates, 0 where neither is known.

    Square-root law: σ_day·√(Q/V_day) (Almgren, Thum, Hauptmann and Li, "Direct Estimation of Equity Market Impact", Risk, 2005; Tóth et
    al., Physical Review X 1, 2011). Book: the mean slippage of walking an even book, half of 1 %·(Q·P/depth within 1 %).

    Args:
        quantity: base units.
        volume_day: base units a day; 0 = unknown.
        depth: notional within 1 % of mid on the side that is hit, quote units; 0 = unknown.
        price: quote units.
        volatility_day: σ of daily log returns.
    """
    by_volume = IMPACT * volatility_day * math.sqrt(quantity / volume_day) if volume_day > 0.0 else 0.0
    by_book = 0.5 * BOOK_REACH * quantity * price / depth if depth > 0.0 else 0.0
    return max(by_volume, by_book)


def trade_cost(quantity: float, *, selling: bool, market: MarketState, instrument: Instrument) -> TradeCost:
    """Cost of taking ``quantity`` (base units, > 0) from the market now."""
    raw, indicators = market.raw, market.indicators
    depth = raw.bid_depth if selling else raw.ask_depth
    fee = float(instrument.taker_fee)
    return TradeCost(*cost_parts(quantity, fee, raw.bid, raw.ask, depth, indicators.volume_day, indicators.volatility_day))


def cost_parts(
    quantity: float, taker_fee: float, bid: float, ask: float, depth: float, volume_day: float, volatility_day: float
) -> tuple[float, float, float]:
    """(fee, half the spread, impact) of ``trade_cost``, fractions of the notional."""
    mid = 0.5 * (bid + ask)
    return max(0.0, taker_fee), 0.5 * (ask - bid) / mid, market_impact(quantity, volume_day, depth, mid, volatility_day)


def protection(volatility_day: float) -> float:
    """What hedging one unit of notional for a day is worth: the expected shortfall at 99 % that it removes, fraction of notional."""
    return SHORTFALL_SIGMAS * volatility_day


def worth_trading(cost: TradeCost, volatility_day: float, max_share: float) -> bool:
    """Whether a trade costs at most ``max_share`` of the shortfall that it removes."""
    return is_worth(cost.total, volatility_day, max_share)


def is_worth(cost: float, volatility_day: float, max_share: float) -> bool:
    """The same for a cost as a fraction of the notional."""
    return cost <= max_share * protection(volatility_day)
