"""Making the bot's default parts from its settings."""

from __future__ import annotations

import hashlib
import importlib

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import GridCalculator
from alpha_pulse.hedging.grid.config import BotConfig, HedgeSettings
from alpha_pulse.hedging.risk.manager import HedgeRiskManager
from alpha_pulse.hedging.risk.target import ConstantSizer, Sizer, TargetPolicy, step_unit


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


def sizer_for(hedge: HedgeSettings) -> Sizer:
    """Where the hedge ratio comes from."""
    if hedge.sizer == "constant":
        return ConstantSizer(hedge.ratio)
    part = load_part(hedge.sizer, "hedge.sizer", "size")
    assert isinstance(part, Sizer)  # noqa: S101 - load_part made sure; this tells the type checker
    return part


def risk_manager_for(config: BotConfig) -> HedgeRiskManager:
    """The risk manager with the pipeline that the settings describe."""
    hedge = config.hedge
    policy = TargetPolicy(
        sizer=sizer_for(hedge),
        min_ratio=hedge.min_ratio,
        max_ratio=hedge.max_ratio,
        amplitude=hedge.amplitude,
        unit=step_unit(hedge.amplitude, hedge.amplitude_adverse, config.grid.num_levels),
        funding_tilt=hedge.funding_tilt,
        funding_tilt_full=hedge.funding_tilt_full,
        floor_half_life_ms=config.risk.floor_half_life_hours * 3_600_000.0,
    )
    return HedgeRiskManager(config.risk, policy)


def settings_digest(config: BotConfig) -> str:
    """A short digest of everything that the bot decides with."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
