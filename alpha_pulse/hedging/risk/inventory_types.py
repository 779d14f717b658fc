"""What the inventory assessor takes and gives: position, market, assessment. Import them from ``hedging.risk.inventory``.

Inputs check themselves when they are made, so that the formulas need not. Money is in USD (or the quote currency that stands for it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.inventory_config import check_fields

_TINY, _HUGE = 1e-30, 1e30  # products and quotients of a few such numbers are still finite

_POSITION_RANGES: Final = {"size": (-_HUGE, _HUGE), "age_minutes": (0.0, _HUGE), "unrealized_pnl": (-_HUGE, _HUGE)}
_MARKET_RANGES: Final = {
    "current_price": (_TINY, _HUGE),
    "volatility_1d": (0.0, _HUGE),
    "spot_spread_bps": (0.0, _HUGE),
    "perp_funding_rate": (-_HUGE, _HUGE),
    "bid_depth_usd": (0.0, _HUGE),
    "ask_depth_usd": (0.0, _HUGE),
}


class Action(StrEnum):
    """What to do with the inventory, from the mildest to the strongest."""

    HOLD = "HOLD"
    REDUCE = "REDUCE"
    HEDGE_PARTIAL = "HEDGE_PARTIAL"
    HEDGE_FULL = "HEDGE_FULL"
    LIQUIDATE = "LIQUIDATE"


class HedgeInstrument(StrEnum):
    """What is traded to hedge: a long is sold (spot or short perpetual), a short is bought."""

    SPOT_SELL = "spot_sell"
    SPOT_BUY = "spot_buy"
    PERP_SHORT = "perp_short"
    PERP_LONG = "perp_long"


@dataclass(frozen=True, slots=True)
class InventoryPosition:
    """What is held.

    Attributes:
        asset: name of the coin, for the texts.
        size: base units; above 0 long, below 0 short, 0 flat.
        entry_price: average price paid, USD per base unit; above 0 (0 is taken for a flat position, as venues report it).
        age_minutes: minutes since the entry.
        unrealized_pnl: USD; 0 means that it is computed from the entry.

    Raises:
        ConfigError: a field is no finite number in its range; the error names it.
    """

    asset: str
    size: float
    entry_price: float
    age_minutes: float = 0.0
    unrealized_pnl: float = 0.0

    def __post_init__(self) -> None:
        name: object = self.asset
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ConfigError("must be a name on one line", field="asset", value=name, fix='for example "BTC"')
        check_fields(self, _POSITION_RANGES)
        check_fields(self, {"entry_price": (_TINY if self.size else 0.0, _HUGE)})


@dataclass(frozen=True, slots=True)
class MarketConditions:
    """The market in which the inventory would be hedged.

    Attributes:
        current_price: USD per base unit, above 0.
        volatility_1d: standard deviation of daily returns, as a fraction (0.05 is 5 % a day), ≥ 0.
        spot_spread_bps: what crossing the spread costs, basis points of the notional, ≥ 0.
        perp_funding_rate: annual, as a fraction (0.08 is 8 % a year); above 0 longs pay shorts.
        bid_depth_usd: USD of bids near the touch, which a sale would hit; finite, ≥ 0.
        ask_depth_usd: USD of asks near the touch, which a purchase would hit; finite, ≥ 0.

    Raises:
        ConfigError: a field is no finite number in its range; the error names it.
    """

    current_price: float
    volatility_1d: float
    spot_spread_bps: float
    perp_funding_rate: float
    bid_depth_usd: float
    ask_depth_usd: float

    def __post_init__(self) -> None:
        check_fields(self, _MARKET_RANGES)


@dataclass(frozen=True, slots=True)
class RiskBreakdown:
    """The score's parts, points; ``total`` is their sum."""

    loss_severity: float
    position_age: float
    volatility_regime: float
    size_vs_liquidity: float
    total: float


@dataclass(frozen=True, slots=True)
class SuggestedHedge:
    """The trade that hedges, and what it costs.

    Attributes:
        instrument: what is traded; it says the side too.
        size: base units, ≥ 0.
        spread_cost_usd: cost of crossing the spread once, USD.
        funding_cost_1d_usd: funding paid in a day, USD; negative when it is earned, 0 for spot.
        total_cost_usd: spread + max(0, funding for a day) + taker fee, USD: what is earned does not excuse a dear entry.
        total_cost_bps: the same, in basis points of this hedge's notional.
    """

    instrument: HedgeInstrument
    size: float
    spread_cost_usd: float
    funding_cost_1d_usd: float
    total_cost_usd: float
    total_cost_bps: float


@dataclass(frozen=True, slots=True)
class PnlScenarios:
    """What a move of the price from here does to the inventory, USD, alone and with the suggested hedge (costs left out)."""

    move_down_5pct: float
    move_down_2pct: float
    move_up_2pct: float
    move_up_5pct: float
    hedged_down_5pct: float
    hedged_down_2pct: float
    hedged_up_2pct: float
    hedged_up_5pct: float


@dataclass(frozen=True, slots=True)
class InventoryAssessment:
    """The answer; ``dataclasses.asdict`` makes it plain data for JSON.

    Attributes:
        action: what to do.
        hedge_pct: fraction of the inventory to hedge, 0 to 1; 0 with HOLD.
        risk_score: points, 0 to ``RiskConfig.max_score``; the same as ``risk_breakdown.total``.
        risk_breakdown: the score's parts.
        reasoning: why, in sentences.
        suggested_hedge: the trade, or None with HOLD; the hedged scenarios then equal the unhedged ones.
        pnl_scenarios: moves of 2 and 5 %, with and without the hedge.
        position_notional_usd: |size| times the current price.
        current_unrealized_pnl: the position's own if it is not 0, else (price − entry)·size; USD.
        re_evaluate_minutes: when to look again.
        summary: the order as one line.
    """

    action: Action
    hedge_pct: float
    risk_score: float
    risk_breakdown: RiskBreakdown
    reasoning: str
    suggested_hedge: SuggestedHedge | None
    pnl_scenarios: PnlScenarios
    position_notional_usd: float
    current_unrealized_pnl: float
    re_evaluate_minutes: int
    summary: str
