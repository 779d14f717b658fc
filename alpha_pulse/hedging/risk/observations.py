"""What the sizers see in a market: scores of 0 … 1 for the spline's curves, signals of −1 … +1 for the engine. Pure.

A score rises with the reason to hedge the inventory at hand; a signal is positive where prices are expected to rise.
"""

from __future__ import annotations

import math

from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.hedging.risk.normalizers import (
    annualize_funding,
    normalize_funding,
    normalize_funding_rate,
    normalize_orderbook_imbalance,
    normalize_price_momentum,
    normalize_sentiment,
    normalize_volatility_regime,
    normalize_zscore,
)

_FUNDING_HOURS = 8.0  # the interval for which the funding score's threshold is meant


def market_scores(market: MarketState, inventory: float, sentiment: float | None) -> dict[str, float]:
    """Scores by curve. For coins owed, what speaks for falling prices is turned round: they lose when prices rise."""
    raw, indicators = market.raw, market.indicators
    falling = 0.5 * (1.0 - normalize_price_momentum((indicators.momentum,), lookback=1))
    crowded = normalize_funding(raw.funding_rate * _FUNDING_HOURS / raw.funding_interval_h)
    bearish = 0.5 if sentiment is None else normalize_sentiment(sentiment)
    if inventory < 0.0:
        falling, crowded, bearish = 1.0 - falling, 1.0 - crowded, 1.0 - bearish
    return {"volatility": indicators.volatility_rank, "momentum": falling, "funding": crowded, "sentiment": bearish}


def market_signals(market: MarketState, inventory: float) -> dict[str, tuple[float, float]]:
    """(signal, raw value) by name. What is not known of this market is left out: the others count alone.

    Volatility speaks for or against holding at all, so its sign is that of the inventory.
    """
    raw, indicators = market.raw, market.indicators
    annual = annualize_funding(raw.funding_rate, raw.funding_interval_h)
    signals = {
        "funding": (normalize_funding_rate(annual), annual),
        "momentum": (normalize_price_momentum((indicators.momentum,), lookback=1), indicators.momentum),
        "volatility": (math.copysign(1.0, inventory) * normalize_volatility_regime(indicators.volatility_day), indicators.volatility_day),
        "stretch": (-normalize_zscore(indicators.zscore, 0.0, 1.0), indicators.zscore),
    }
    bids, asks = market.depth
    if bids > 0.0 and asks > 0.0:
        imbalance = normalize_orderbook_imbalance(bids, asks)
        signals["imbalance"] = (imbalance, imbalance)
    return signals
