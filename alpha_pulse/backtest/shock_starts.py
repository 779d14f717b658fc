"""Where a shock table begins: with settings that have not run yet, or where a run ended."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.shock_venue import ShockStart
from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.instrument import ZERO, Instrument, exact
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.matching.engine import LIQUIDATION_ID
from alpha_pulse.hedging.risk.checkup import TYPICAL_VOLATILITY_DAY
from alpha_pulse.settings import Settings

_DAY_MS: Final = 86_400_000
_LOOKBACK_DAYS: Final = 7
_CALMEST: Final = 1e-4  # σ a day; a market that stood still has no volatility to measure


def start_of_settings(settings: Settings, instrument: Instrument, price: float, volatility_day: float, now_ms: int) -> ShockStart:
    """The first tick: no position, the paper wallet, nothing remembered. ``price`` in quote units, σ of daily log returns."""
    multiplier = hedge_pair(settings.symbol).multiplier
    inventory, balance = settings.inventory.stated_coins() / multiplier, settings.paper.quote_balance
    return ShockStart(
        config=settings.bot_config,
        paper=settings.paper,
        instrument=instrument,
        inventory=inventory,
        price=price,
        volatility_day=volatility_day,
        wallet=abs(inventory) * exact(price) if balance is None else balance,
        now_ms=now_ms,
        multiplier=multiplier,
    )


def start_of_record(record: RunRecord) -> ShockStart:
    """The end of a run: its wallet, position and the bot's memory, at its last mark, with σ of its last week.

    Raises:
        ConfigError: the run's settings cannot be read, or it ended in a liquidation.
    """
    if any(fill.client_order_id.startswith(LIQUIDATION_ID) for fill in record.fills):
        raise ConfigError("the venue liquidated the position in this run, and the bot is halted", fix="look at what happened on the way")
    known = {name: value for name, value in record.settings.items() if name not in {"feed", "mode"}}
    settings = Settings.read(known)
    position, mark = exact(record.position[-1]), record.mark[-1]
    return ShockStart(
        config=settings.bot_config,
        paper=settings.paper,
        instrument=record.instrument,
        inventory=record.inventory,
        price=mark,
        volatility_day=_volatility(record),
        wallet=exact(record.wallet[-1]),
        now_ms=int(record.ts_ms[-1]),
        position=position,
        entry=exact(mark - record.unrealized[-1] / record.position[-1]) if position else ZERO,
        state=record.state,
        multiplier=record.pair.multiplier,
    )


def _volatility(record: RunRecord) -> float:
    """σ of daily log returns over the last week: √(Σ r² / days); a typical one where less than a day is known."""
    ts = np.asarray(record.ts_ms)
    recent = ts > ts[-1] - _LOOKBACK_DAYS * _DAY_MS
    prices, days = np.asarray(record.last)[recent], float(ts[-1] - ts[recent][0]) / _DAY_MS
    if days < 1.0 or not bool(np.all(prices > 0.0)):
        return TYPICAL_VOLATILITY_DAY
    returns = np.diff(np.log(prices))
    return max(_CALMEST, math.sqrt(float(np.sum(returns**2)) / days))
