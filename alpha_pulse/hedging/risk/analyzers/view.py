"""What every analyzer first computes from a view, and the views that it refuses. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import HedgeView, RiskFigures

DUST: Final = 1e-12  # base units: smaller holdings are none, so that no ratio overflows
_LARGEST: Final = 1e15
_NAME: Final = re.compile(r"[A-Za-z0-9/:._-]{1,40}")


@dataclass(frozen=True, slots=True)
class Margin:
    """The margin of a linear perpetual. Quote units and fractions."""

    equity: float  # wallet + F·(price − entry)
    effective_leverage: float  # |F|·price / equity; inf when a position stands on no equity
    margin_use: float  # initial margin / equity = effective leverage · initial margin rate; 1 = nothing is left to open with
    liquidation_price: float  # 0 (long) or inf (short, flat) when no price liquidates
    liquidation_distance: float  # fraction of mark that it may move against the position; inf when it cannot be liquidated


def margin_of(view: HedgeView) -> Margin:
    """The margin of a checked view.

    Liquidation: short (W + |F|·E)/(|F|·(1 + mmr)), long (|F|·E − W)/(|F|·(1 − mmr)) (Binance, "How to Calculate Liquidation
    Price of USDⓈ-M Futures Contracts", one position, first tier).
    """
    size, price, rate = abs(view.perpetual), view.price, view.maintenance_margin_rate
    if size < DUST:
        return Margin(view.wallet, 0.0, 0.0, math.inf, math.inf)
    equity = view.wallet + view.perpetual * (price - view.entry_price)
    leverage = size * price / equity if equity > 0.0 else math.inf
    if view.perpetual < 0.0:
        liquidation = max(0.0, (view.wallet + size * view.entry_price) / (size * (1.0 + rate)))
        distance = max(0.0, liquidation / price - 1.0)
    else:
        liquidation = max(0.0, (size * view.entry_price - view.wallet) / (size * (1.0 - rate)))
        distance = math.inf if liquidation == 0.0 else max(0.0, 1.0 - liquidation / price)
    return Margin(equity, leverage, leverage * view.initial_margin_rate, liquidation, distance)


def check_view(view: HedgeView) -> None:
    """Refuse a view that no analysis should be made of.

    Raises:
        ConfigError: a figure is NaN, infinite, absurdly large or out of its range, or a name holds more than a name does.
    """
    for field in ("symbol", "base", "quote"):
        if not _NAME.fullmatch(getattr(view, field)):
            raise _bad(
                field, getattr(view, field)[:60], "is no name of a market or a coin", "letters, digits and / : . _ - only, at most 40"
            )
    for field in ("inventory", "perpetual", "wallet"):
        _within(field, getattr(view, field), -_LARGEST, _LARGEST)
    _within("price", view.price, DUST, _LARGEST)
    _within("entry_price", view.entry_price, DUST if abs(view.perpetual) >= DUST else 0.0, _LARGEST)
    _within("initial_margin_rate", view.initial_margin_rate, 1e-4, 1.0)
    _within("maintenance_margin_rate", view.maintenance_margin_rate, 0.0, 0.99)
    _within("max_leverage", view.max_leverage, DUST, 1000.0)
    check_figures(view.figures)


def check_figures(figures: RiskFigures) -> None:
    """Refuse figures that cannot be. Raises ``ConfigError``."""
    _within("figures.ratio", figures.ratio, 0.0, 1.0)
    _within("figures.floor", figures.floor, 0.0, 1.0)
    _within("figures.volatility_day", figures.volatility_day, 0.0, 100.0)
    _within("figures.funding_annual", figures.funding_annual, -1e4, 1e4)
    _within("figures.drawdown", figures.drawdown, 0.0, _LARGEST)
    if figures.liquidation_distance is not None:
        _within("figures.liquidation_distance", figures.liquidation_distance, 0.0, math.inf)


def _within(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN too
        raise _bad(field, value, f"must be from {low:g} to {high:g}", "look at where this figure comes from")


def _bad(field: str, value: object, problem: str, fix: str) -> ConfigError:
    return ConfigError(problem, field=f"view.{field}", value=value, fix=fix)
