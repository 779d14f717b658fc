"""Hostile markets and settings made from a seed: gaps, jumps, crashes, thin volume, spot outages, wide books, a mark price of its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings
from alpha_pulse.testing.markets import MINUTE_MS, START_MS

HOUR_MS = 60 * MINUTE_MS
TICKS_A_UNIT = 10  # the built-in BTC instrument has a tick of 0.1


def on_tick(price: float) -> float:
    return max(1, round(price * TICKS_A_UNIT)) / TICKS_A_UNIT


class Market:
    """Draws one bar after another."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.sigma = float(random.choice([0.0005, 0.002, 0.006]))
        self.price = float(random.choice([95_000.0, 20_000.0, 500.0]))
        self.drift = float(random.choice([0.0, -1e-4, 1e-4, -5e-4]))
        self.has_mark, self.has_depth, self.is_wide = (bool(random.random() < 0.5) for _ in range(3))
        self.volume = float(random.choice([50.0, 3.0, 0.05]))
        self.basis, self.rate = 0.0, 0.0001

    def bars(self, count: int) -> list[MarketUpdate]:
        crash = int(self.random.integers(count // 4, count)) if self.random.random() < 0.5 else -1
        made, opens = [], START_MS
        for k in range(count):
            if self.random.random() < 0.003:  # bars are missing
                opens += MINUTE_MS * int(self.random.integers(1, 200))
            made.append(self.bar(opens, crashes=k == crash))
            opens += MINUTE_MS
        return made

    def bar(self, opens: int, *, crashes: bool) -> MarketUpdate:
        random, sigma = self.random, self.sigma
        jump = float(random.normal(0.0, 8.0 * sigma)) if random.random() < 0.01 else 0.0
        jump = float(random.choice([-0.25, 0.3, -0.5, 0.6])) if crashes else jump
        gaps = bool(random.random() < 0.5)  # the jump lies between two bars, or inside one
        opened = on_tick(self.price * math.exp(jump if gaps else 0.0))
        closed = on_tick(opened * math.exp(float(random.normal(self.drift, sigma)) + (0.0 if gaps else jump)))
        high = max(opened, closed, on_tick(max(opened, closed) * (1.0 + abs(float(random.normal(0.0, 0.7 * sigma))))))
        low = min(opened, closed, on_tick(min(opened, closed) * (1.0 - abs(float(random.normal(0.0, 0.7 * sigma))))))
        volume = 0.0 if random.random() < 0.05 else float(random.exponential(self.volume))
        self.price = closed
        self.basis = 0.95 * self.basis + float(random.normal(0.0, 0.3 * sigma))
        self.rate = float(random.normal(0.0001, 0.001)) if random.random() < 0.01 else self.rate
        perp, share = Bar(opened, high, low, closed, volume), 1.0 - self.basis
        spot = Bar(opened * share, high * share, low * share, closed * share, volume)
        over = 1.0 + self.basis
        mark = Bar(opened * over, high * over * 1.0001, low * over * 0.9999, closed * over) if self.has_mark else perp
        spread = int(random.integers(1, 30)) if self.is_wide else 1
        bid = max(1.0 / TICKS_A_UNIT, on_tick(closed - spread // 2 / TICKS_A_UNIT))
        settles = opens % (8 * HOUR_MS) == 0 or random.random() < 0.002
        return MarketUpdate(
            open_ms=opens,
            close_ms=opens + MINUTE_MS,
            perp=perp,
            mark=mark,
            spot=None if random.random() < 0.02 else spot,
            index_price=spot.close,
            bid=bid,
            ask=on_tick(bid + spread / TICKS_A_UNIT),
            funding_rate=self.rate,
            funding_interval_h=8.0,
            next_funding_ms=(opens // (8 * HOUR_MS) + 1) * 8 * HOUR_MS,
            settled_rate=self.rate if settles else None,
            bid_depth=float(random.exponential(50_000.0)) if self.has_depth else 0.0,
            ask_depth=float(random.exponential(50_000.0)) if self.has_depth else 0.0,
        )


SIZERS = ("constant", "constant", "constant", "spline", "signal", "blend")

CHOICES: dict[str, dict[str, tuple[Any, ...]]] = {
    "inventory": {
        "quantity": ("1", "-1", "0.73456", "12.5", "-3.21"),
        "entry_price": (None, None, "60000"),
        "acquired_at": (None, "2024-12-31T12:00:00Z"),
    },
    "inventory_risk": {
        "enabled": (True, False, False),
        "max_loss_pct": ("0.05", "0.2"),
        "hedge_trigger_loss_pct": ("0.02", "0.1"),
        "max_hold_minutes": (480, 10_000),
        "reduce_score": (12, 35),
        "partial_score": (36, 45),
        "full_score": (46, 60),
        "liquidate_score": (61, 75),
    },
    "hedge": {
        "ratio": (0.3, 0.5, 0.9),
        "min_ratio": (None, 0, 0.2),
        "max_ratio": (1.0, 0.95),
        "amplitude": (0.0, 0.25, 0.5, 1.0),
        "amplitude_adverse": (0.0, 0.2, 0.5),
        "band_under": (0.02, 0.05),
        "band_over": (0.03, 0.1),
        "escalate_after_s": (0, 30, 600),
        "funding_tilt": (0, 0.05, 0.3),
        "funding_tilt_full": (0.1, 0.3),
        "lower_after_hours": (0, 6),
        "max_cost_share": (0.02, 0.25, 5),
    },
    "grid": {
        "grid_spacing_pct": ("0.0005", "0.002", "0.01"),
        "volatility_multiple": (0, 0.1, 0.6),
        "num_levels": (1, 3, 5, 10),
        "spacing": ("geometric", "geometric", "arithmetic"),
        "anchor": ("recentre", "recentre", "fixed", "ema"),
        "anchor_ema_hours": (2, 24),
        "volume_adjust": (0, 0.2, 0.5),
        "snap": (0, 0.25, 0.4),
        "step": (0.05, 0.2),
        "min_price_distance": (None, "12.5"),
    },
    "risk": {
        "max_position_size": (None, None, "0.6", "20"),
        "max_effective_leverage": ("0.4", "1.0", "3", "10"),
        "max_drawdown": (None, "0.03", "0.2"),
        "stop_loss_pct": (None, "0.02", "0.05", "0.15"),
        "stop_volatility_multiple": (0, 1, 5),
        "var_limit_pct": (None, "0.02", "0.06"),
        "var_limit": (None, None, "300"),
        "floor_half_life_hours": (0.5, 24),
        "var_horizon_days": (1, 3),
    },
    "execution": {
        "max_active_orders": (3, 50),
        "tolerance_ticks": (0, 2, 50),
        "max_slippage": (0.0005, 0.005, 0.05),
        "max_depth_share": (0.1, 1.0),
    },
    "paper": {
        "quote_balance": (None, None, 30_000, 5_000, 500),
        "maker_fee": ("0.0002", "-0.0001"),
        "taker_fee": ("0.0005", "0.00045"),
        "fill_rule": ("touch", "through", "queue"),
        "queue_share": (0.1, 0.01, 1.0),
        "slippage_bps": (1, 0, 80),
        "leverage": (3, 10, 125),
    },
}
"""Values of every setting that the twin reads, among which a seed chooses."""

PLAIN: dict[str, Any] = {"inventory_risk": {"enabled": False}}


def some_settings(seed: int) -> Settings | None:
    """Settings that a seed chooses; None where they contradict each other."""
    random = np.random.default_rng(10_000 + seed)
    chosen = {
        section: {name: values[int(random.integers(len(values)))] for name, values in fields.items()} for section, fields in CHOICES.items()
    }
    chosen["hedge"]["sizer"] = SIZERS[int(random.integers(len(SIZERS)))]
    try:
        return Settings.read({**PLAIN, **chosen})
    except ConfigError:
        return None
