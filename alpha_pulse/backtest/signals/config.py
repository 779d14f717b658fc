"""What a backtest of signals assumes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from alpha_pulse.errors import ConfigError

Execution = Literal["next", "close"]

_MOST_CAPITAL: Final = 1e15  # beyond it a cent is lost in a double
_BPS: Final = 1e-4


@dataclass(frozen=True, slots=True)
class BacktestConfig:
    """Settings of a backtest of signals; checked when made.

    Args:
        initial_capital: the cash at the start, quote units; above 0.
        position_size_pct: the position at a signal of 1, as a fraction of equity, in (0, 5]: 0.5 is 50 %.
        transaction_cost_bps: the fee of a trade, basis points of its notional, [0, 1000].
        slippage_bps: how much worse than the bar's price a trade fills, basis points, [0, 1000].
        rebalance_threshold: a trade follows when the combined signal has moved by at least this since the last one, [0, 2]; 0 rebalances
            on every bar.
        train_pct: the fraction of the bars that counts as training; the rest is the test; in (0, 1).
        execution: ``next``: a decision on bar i trades at the price of bar i + 1. ``close``: at the price of bar i itself, which it was
            decided on: optimistic.

    Raises:
        ConfigError: a setting is not finite or out of its range.
    """

    initial_capital: float = 100_000.0
    position_size_pct: float = 0.5
    transaction_cost_bps: float = 10.0
    slippage_bps: float = 5.0
    rebalance_threshold: float = 0.1
    train_pct: float = 0.6
    execution: Execution = "next"

    def __post_init__(self) -> None:
        _above_zero("initial_capital", self.initial_capital, _MOST_CAPITAL, "give the cash at the start, such as 100000")
        _above_zero("position_size_pct", self.position_size_pct, 5.0, "give a fraction of equity: 50 % is 0.5")
        _from_zero("transaction_cost_bps", self.transaction_cost_bps, 1000.0, "give basis points: 0.1 % is 10")
        _from_zero("slippage_bps", self.slippage_bps, 1000.0, "give basis points: 0.05 % is 5")
        _from_zero("rebalance_threshold", self.rebalance_threshold, 2.0, "give a distance between signals, such as 0.1")
        check_train_pct(self.train_pct)
        if self.execution not in get_args(Execution):
            raise ConfigError("There is no such execution", field="execution", value=self.execution, fix='write "next" or "close"')

    @property
    def fee_rate(self) -> float:
        """The fee as a fraction of notional."""
        return self.transaction_cost_bps * _BPS

    @property
    def slippage_rate(self) -> float:
        """The slippage as a fraction of the price."""
        return self.slippage_bps * _BPS


def check_train_pct(value: float) -> None:
    """Refuse what is no fraction between 0 and 1.

    Raises:
        ConfigError: it is not inside (0, 1).
    """
    if not 0.0 < value < 1.0:
        raise ConfigError("It must lie between 0 and 1", field="train_pct", value=value, fix="give a fraction of the bars: 60 % is 0.6")


def _above_zero(field: str, value: float, most: float, fix: str) -> None:
    if not (math.isfinite(value) and 0.0 < value <= most):
        raise ConfigError(f"It must be above 0 and at most {most:g}", field=field, value=value, fix=fix)


def _from_zero(field: str, value: float, most: float, fix: str) -> None:
    if not (math.isfinite(value) and 0.0 <= value <= most):
        raise ConfigError(f"It must lie within 0 … {most:g}", field=field, value=value, fix=fix)
