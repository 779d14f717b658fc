"""What one pair may know of the others that the same process hedges. Frozen; quote units."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PairExposure:
    """One pair as it last reported. All quote currencies of a portfolio are taken at par (USDT = USDC = USD)."""

    symbol: str
    inventory_value: float  # S·P, signed
    perpetual_value: float  # F·mark, signed
    volatility_day: float  # σ of daily log returns, fraction
    size: float  # value of what is hedged, ≥ 0: |S|·P, or M·mark of a neutral grid
    nav: float  # adjusted for flows


@dataclass(frozen=True, slots=True)
class PortfolioView:
    """Every pair of the process, this one included, in the order of the configuration."""

    pairs: tuple[PairExposure, ...]
    correlation: tuple[tuple[float, ...], ...]  # of returns; empty until enough hours were seen together
    drawdown: float = 0.0  # of all pairs together from their high, fraction; moving coins or cash is no loss
