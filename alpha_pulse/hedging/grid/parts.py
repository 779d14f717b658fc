"""Making the bot's default parts from its settings."""

from __future__ import annotations

import hashlib
import importlib

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import GridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.risk.assessor import Assessor
from alpha_pulse.hedging.risk.floors import FloorRules
from alpha_pulse.hedging.risk.inventory import RiskConfig
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.hedging.risk.pipeline_config import SizerSettings
from alpha_pulse.hedging.risk.sizers.spline import SIGNAL_CONFIGS, build_spline, signal_configs_from
from alpha_pulse.hedging.risk.sizing import (
    BlendSizer,
    ConstantSizer,
    MarketSizer,
    SignalPolicy,
    SignalSizer,
    Sizer,
    SplineSizer,
)
from alpha_pulse.hedging.risk.target import TargetPolicy, step_unit


def load_part(name: str, field: str, method: str) -> object:
    """An instance of the class that ``package.module:Class`` names, made without arguments.

    Raises:
        ConfigError: it cannot be imported, made, or lacks ``method``.
    """
    module_name, _, class_name = name.partition(":")
    if not class_name:
        raise ConfigError("is no name of a part.", field=field, value=name, fix="write package.module:Class")
    try:
        part = getattr(importlib.import_module(module_name), class_name)()
    except (ImportError, AttributeError, TypeError) as error:
        fix = "check the spelling, and that the module can be imported from where the bot runs"
        raise ConfigError(f"cannot be loaded: {error}.", field=field, value=name, fix=fix) from error
    if not callable(getattr(part, method, None)):
        raise ConfigError(f"has no method {method}.", field=field, value=name, fix=f"define {method} on {class_name}")
    loaded: object = part
    return loaded


def load_calculator(name: str) -> GridCalculator | None:
    """The user's own calculator, or None for the default one."""
    if name == "default":
        return None
    part = load_part(name, "grid.calculator", "calculate_grid_levels")
    assert isinstance(part, GridCalculator)  # noqa: S101 - load_part made sure; this tells the type checker
    return part


def sizer_for(config: BotConfig) -> Sizer:
    """Where the hedge ratio comes from."""
    hedge = config.hedge
    builtin = {"constant": _constant, "spline": _spline, "signal": _signal, "blend": _blend}.get(hedge.sizer)
    if builtin is not None:
        return builtin(config)
    part = load_part(hedge.sizer, "hedge.sizer", "size")
    assert isinstance(part, Sizer)  # noqa: S101 - load_part made sure; this tells the type checker
    return part


def _constant(config: BotConfig) -> MarketSizer:
    return ConstantSizer(config.hedge.ratio)


def _spline(config: BotConfig) -> MarketSizer:
    settings = config.sizers
    weights = _weights(settings, "spline", ("volatility", "momentum", "funding", "sentiment"))
    configs = SIGNAL_CONFIGS if settings.curves is None else {**SIGNAL_CONFIGS, **signal_configs_from(settings.curves)}
    return SplineSizer({name: build_spline(configs[name].knots) for name in weights}, weights, settings.sentiment)


def _signal(config: BotConfig) -> MarketSizer:
    settings = config.sizers
    policy = SignalPolicy(
        baseline_position_usd=settings.signal_baseline_usd,
        size_scaling_k=settings.signal_size_scaling,
        action_threshold=settings.signal_action_threshold,
        high_conviction_threshold=settings.signal_conviction_threshold,
    )
    weights = _weights(settings, "signal", ("funding", "momentum", "volatility", "imbalance", "stretch"))
    return SignalSizer(config.hedge.ratio, config.hedge.max_ratio, weights, policy)


def _blend(config: BotConfig) -> MarketSizer:
    makers = {"constant": _constant, "spline": _spline, "signal": _signal}
    weights = _weights(config.sizers, "blend", tuple(makers))
    return BlendSizer(tuple((name, weight, makers[name](config)) for name, weight in weights.items()))


def _weights(settings: SizerSettings, sizer: str, names: tuple[str, ...]) -> dict[str, float]:
    """Weights by name in proportion to their sum; what has none is left out."""
    given = {name: float(getattr(settings, f"{sizer}_{name}")) for name in names}
    total = sum(given.values())
    return {name: weight / total for name, weight in given.items() if weight > 0.0}


def assessor_for(config: BotConfig) -> Assessor | None:
    """The inventory assessor, or None where it is switched off."""
    settings, inventory = config.inventory_risk, config.inventory
    if not settings.enabled:
        return None
    numbers = RiskConfig(
        max_loss_pct=float(settings.max_loss_pct),
        hedge_trigger_loss_pct=float(settings.hedge_trigger_loss_pct),
        max_hold_minutes=settings.max_hold_minutes,
        reduce_score=settings.reduce_score,
        hedge_partial_score=settings.partial_score,
        hedge_full_score=settings.full_score,
        liquidate_score=settings.liquidate_score,
    )
    acquired = None if inventory.acquired_at is None else int(inventory.acquired_at.timestamp() * 1000)
    return Assessor(numbers, acquired, inventory.allow_spot_sell)


def risk_manager_for(config: BotConfig) -> HedgeRiskManager:
    """The risk manager with the pipeline that the settings describe."""
    hedge = config.hedge
    policy = TargetPolicy(
        sizer=sizer_for(config),
        min_ratio=hedge.min_ratio,
        max_ratio=hedge.max_ratio,
        amplitude=hedge.amplitude,
        unit=step_unit(hedge.amplitude, hedge.amplitude_adverse, config.grid.num_levels),
        funding_tilt=hedge.funding_tilt,
        funding_tilt_full=hedge.funding_tilt_full,
        floor_half_life_ms=config.risk.floor_half_life_hours * 3_600_000.0,
        max_cost_share=hedge.max_cost_share,
        lower_after_ms=hedge.lower_after_hours * 3_600_000.0,
    )
    rules = FloorRules(assessor_for(config), config.portfolio, config.llm.max_tilt)
    return HedgeRiskManager(config.risk, policy, rules)


def settings_digest(config: BotConfig) -> str:
    """A short digest of everything that the bot decides with."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
