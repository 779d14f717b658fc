"""What the compiled backtest supports: every setting is either read, known to change no result, or refused by its name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import astuple
from decimal import Decimal
from typing import Final

from alpha_pulse.backtest.compiled.build import Ladder
from alpha_pulse.backtest.compiled.market import Market
from alpha_pulse.backtest.compiled.sizing import can_size
from alpha_pulse.backtest.compiled.values import EMA, FIXED, MOST_TIERS, RECENTRE, Params, Tiers
from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import joined
from alpha_pulse.hedging.grid import preflight
from alpha_pulse.hedging.grid.parts import assessor_for, load_calculator, sizer_for
from alpha_pulse.hedging.risk.inventory_config import RiskConfig
from alpha_pulse.hedging.risk.tail import VarMethod
from alpha_pulse.hedging.risk.target import step_unit
from alpha_pulse.hedging.risk.var import normal_quantile
from alpha_pulse.settings import Settings

_REPLAY: Final = "use the replay, or "
_EXACT: Final = 2**53

READ: Final = frozenset({
    "symbol", "mode", "pairs",
    "feed.source",
    "inventory.source", "inventory.quantity", "inventory.sources", "inventory.entry_price", "inventory.acquired_at",
    "hedge.sizer", "hedge.ratio", "hedge.min_ratio", "hedge.max_ratio", "hedge.amplitude", "hedge.amplitude_adverse", "hedge.band_under",
    "hedge.band_over", "hedge.escalate_after_s", "hedge.funding_tilt", "hedge.funding_tilt_full", "hedge.lower_after_hours",
    "hedge.max_cost_share",
    "grid.grid_spacing_pct", "grid.volatility_multiple", "grid.num_levels", "grid.min_price_distance", "grid.spacing", "grid.anchor",
    "grid.anchor_ema_hours", "grid.volume_adjust", "grid.snap", "grid.step", "grid.calculator",
    "risk.max_position_size", "risk.max_effective_leverage", "risk.max_drawdown", "risk.stop_loss_pct", "risk.stop_volatility_multiple",
    "risk.var_limit", "risk.var_limit_pct", "risk.var_confidence", "risk.var_method", "risk.var_horizon_days",
    "risk.floor_half_life_hours", "risk.no_increase_distance", "risk.cut_distance",
    "execution.max_active_orders", "execution.rebalance_interval", "execution.max_depth_share", "execution.tolerance_ticks",
    "execution.max_slippage",
    "inventory_risk.enabled", "inventory_risk.max_loss_pct", "inventory_risk.hedge_trigger_loss_pct", "inventory_risk.max_hold_minutes",
    "inventory_risk.reduce_score", "inventory_risk.partial_score", "inventory_risk.full_score", "inventory_risk.liquidate_score",
    "llm.enabled",
    "paper.quote_balance", "paper.maker_fee", "paper.taker_fee", "paper.fill_rule", "paper.queue_share", "paper.slippage_bps",
    "paper.leverage",
})  # fmt: skip
"""Settings that decide, or that are refused where their value is not supported."""

WITHOUT_EFFECT: Final[dict[str, str]] = {
    "inventory.exchange": "refused with inventory.source",
    "inventory.refresh_s": "accounts that are read alone",
    "inventory.stale_after_s": "accounts that are read alone",
    "inventory.allow_spot_sell": "proposes, and changes no order",
    "risk.volatility_target": "market-neutral grids alone",
    "risk.alert_distance": "an alert changes no order",
    "execution.stale_after_s": "a recording's time is where its data is",
    "execution.keep_stop_on_exit": "a backtest's end cancels nothing",
}
"""Single settings that change no result of a backtest, and why."""

SECTIONS_HANDED_ON: Final[dict[str, str]] = {
    "feed": "the market is read by the same feed as the replay's",
    "sizers": "the bot's own sizer is asked",
}
"""Sections that another part reads as it does for the replay, the keys in ``READ`` apart."""

SECTIONS_WITHOUT_EFFECT: Final[dict[str, str]] = {
    "portfolio": "several pairs are refused",
    "llm": "refused where it is on",
    "tickets": "recommendation mode alone",
    "exchange": "live markets alone",
    "notify": "tells people, changes nothing",
    "store": "where things lie changes no result",
    "logging": "where things lie changes no result",
}
"""Whole sections, the keys in ``READ`` apart."""


def supported(settings: Settings) -> None:
    """Refuse what the compiled backtest cannot do as the replay does it.

    Raises:
        ConfigError: naming field, value and fix; a ``ConfigErrors`` if there are several.
    """
    problems = list(_problems(settings))
    if problems:
        raise joined(problems)


def _problems(settings: Settings) -> Iterator[ConfigError]:
    if settings.mode != "paper":
        yield _refusal("mode", settings.mode, "set it to paper")
    if settings.pairs:
        yield _refusal("pairs", len(settings.pairs), "run one pair")
    if settings.feed.source == "ccxt":
        yield _refusal("feed.source", settings.feed.source, "give recorded files or a simulated market")
    yield from _decision_problems(settings)
    coins = settings.inventory.coins
    if coins is None:
        yield _refusal("inventory.source", settings.inventory.source, "give a fixed inventory.quantity")
    elif coins == 0:
        yield _refusal("inventory.quantity", "0", "give an inventory: market-neutral grids are not compiled")


def _decision_problems(settings: Settings) -> Iterator[ConfigError]:
    """What the decision would need that is not compiled."""
    if not can_size(sizer_for(settings.bot_config)):
        yield _refusal("hedge.sizer", settings.hedge.sizer, "set it to one of ours")
    if settings.llm.enabled:
        yield _refusal("llm.enabled", value=True, fix="set it to false")
    if settings.grid.calculator != "default" and ladder_of(settings) is None:
        yield _refusal("grid.calculator", settings.grid.calculator, "set it to default, or give your class a compiled_ladder")
    if settings.risk.var_method is not VarMethod.PARAMETRIC:
        yield _refusal("risk.var_method", settings.risk.var_method.value, "set it to parametric")


def ladder_of(settings: Settings) -> Ladder | None:
    """What the user's own calculator gives as ``compiled_ladder``, its twin for numba; None without one, and for the default calculator.

    Raises:
        ConfigError: the calculator cannot be loaded, or its ladder is no function.
    """
    ladder = getattr(load_calculator(settings.grid.calculator), "compiled_ladder", None)
    ladder = getattr(ladder, "py_func", ladder)  # of one that numba has compiled already
    if ladder is not None and not inspect.isfunction(ladder):
        fix = "write it as a function, and name it with staticmethod() in the class"
        raise ConfigError(
            "has a compiled_ladder that is no plain function.", field="grid.calculator", value=settings.grid.calculator, fix=fix
        )
    return ladder


def _refusal(field: str, value: object, fix: str) -> ConfigError:
    return ConfigError("is not supported by the compiled backtest.", field=field, value=value, fix=_REPLAY + fix)


def params_of(settings: Settings, market: Market) -> Params:
    """The settings as numbers, checked against the market.

    Raises:
        ConfigError: a setting is not supported, or cannot be traded with this instrument.
    """
    supported(settings)
    _check_market(settings, market)
    instrument, grid, hedge, risk = market.instrument, settings.grid, settings.hedge, settings.risk
    paper, execution = settings.paper, settings.execution
    inventory = _inventory(settings)
    lot_num, lot_den = _fraction(instrument.lot_size)
    tick_num, tick_den = _fraction(instrument.tick_size)
    inventory_units, lot_units = _units(inventory, instrument.lot_size)
    leverage_limit = float(paper.leverage)
    assessor = assessor_for(settings.bot_config)
    return Params(
        inventory=float(inventory),
        inventory_units=inventory_units,
        lot_units=lot_units,
        lot=instrument.lot,
        lot_num=lot_num,
        lot_den=lot_den,
        tick=instrument.tick,
        tick_num=tick_num,
        tick_den=tick_den,
        min_quantity=float(instrument.min_quantity),
        min_quantity_lots=math.ceil(instrument.min_quantity / instrument.lot_size),
        min_notional=float(instrument.min_notional),
        maker_fee=float(paper.maker_fee),
        taker_fee=float(paper.taker_fee),
        num_levels=grid.num_levels,
        grid_spacing_pct=float(grid.grid_spacing_pct),
        volatility_multiple=float(grid.volatility_multiple),
        min_price_distance=float(grid.min_price_distance or 0),
        geometric=grid.spacing == "geometric",
        own_ladder=settings.grid.calculator != "default",
        anchor_rule={"recentre": RECENTRE, "fixed": FIXED, "ema": EMA}[grid.anchor],
        volume_adjust=float(grid.volume_adjust),
        snap=float(grid.snap),
        step=float(grid.step),
        ratio=float(hedge.ratio),
        has_sizer=hedge.sizer != "constant",
        min_ratio=float(hedge.min_ratio or 0),
        holds_ratio=hedge.min_ratio is None,
        max_ratio=float(hedge.max_ratio),
        amplitude=float(hedge.amplitude),
        amplitude_adverse=float(hedge.amplitude_adverse),
        band_under=float(hedge.band_under),
        band_over=float(hedge.band_over),
        escalate_after_ms=hedge.escalate_after_s * 1000.0,
        funding_tilt=float(hedge.funding_tilt),
        funding_tilt_full=float(hedge.funding_tilt_full),
        lower_after_ms=hedge.lower_after_hours * 3_600_000.0,
        max_cost_share=float(hedge.max_cost_share),
        unit=step_unit(hedge.amplitude, hedge.amplitude_adverse, grid.num_levels),
        most=float(abs(inventory) if risk.max_position_size is None else risk.max_position_size),
        leverage=min(float(risk.max_effective_leverage), leverage_limit),
        max_drawdown=math.inf if risk.max_drawdown is None else float(risk.max_drawdown),
        has_stop=risk.stop_loss_pct is not None,
        stop_loss_pct=float(risk.stop_loss_pct or 0),
        stop_volatility_multiple=float(risk.stop_volatility_multiple),
        var_limit=float(risk.var_limit or 0),
        var_limit_pct=float(risk.var_limit_pct or 0),
        z=normal_quantile(risk.var_confidence),
        var_horizon_days=float(risk.var_horizon_days),
        floor_half_life_ms=risk.floor_half_life_hours * 3_600_000.0,
        no_increase_distance=float(risk.no_increase_distance),
        cut_distance=float(risk.cut_distance),
        max_active_orders=execution.max_active_orders,
        max_depth_share=float(execution.max_depth_share),
        tolerance_ticks=execution.tolerance_ticks,
        max_slippage=float(execution.max_slippage),
        beyond=0 if paper.fill_rule == "touch" else 1,
        queue_share=float(paper.queue_share) if paper.fill_rule == "queue" else 0.0,
        slippage_bps=float(paper.slippage_bps),
        leverage_limit=leverage_limit,
        wallet=math.nan if paper.quote_balance is None else float(paper.quote_balance),
        has_assessor=assessor is not None,
        acquired_ms=math.inf if assessor is None or assessor.acquired_ms is None else float(assessor.acquired_ms),
        entry_price=float(settings.inventory.entry_price or 0),
        tiers=_tiers(instrument),
        scores=tuple(float(value) for value in astuple(RiskConfig() if assessor is None else assessor.config)),
    )


def _check_market(settings: Settings, market: Market) -> None:
    if hedge_pair(settings.symbol) != market.pair:
        raise ConfigError(
            f"the market is of {market.pair.name}.", field="symbol", value=settings.symbol, fix="read the market of this pair"
        )
    if settings.grid.anchor == "ema" and settings.grid.anchor_ema_hours != market.anchor_ema_hours:
        raise ConfigError(
            f"the market was read with {market.anchor_ema_hours:g} h.",
            field="grid.anchor_ema_hours",
            value=settings.grid.anchor_ema_hours,
            fix="read the market with these settings",
        )
    if settings.execution.rebalance_interval * 1000.0 > market.shortest_step_ms:
        raise _refusal(
            "execution.rebalance_interval",
            settings.execution.rebalance_interval,
            f"give at most the {market.shortest_step_ms / 1000.0:g} s of a bar",
        )
    first = float(market.columns.mark[0])
    coins = settings.inventory.stated_coins()
    preflight.check_against_instrument(settings.bot_config, market.instrument, first, multiplier=market.pair.multiplier, found=coins)


def _inventory(settings: Settings) -> Decimal:
    """S in base units of the perpetual."""
    return settings.inventory.stated_coins() / hedge_pair(settings.symbol).multiplier


def _fraction(step: Decimal) -> tuple[float, float]:
    """A step as numerator and denominator that floats hold exactly."""
    sign, digits, exponent = step.normalize().as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - an instrument's steps are finite; this tells the type checker
    whole = int("".join(map(str, digits)))
    numerator, denominator = whole * 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
    if sign or numerator >= _EXACT or denominator > 10**22:
        raise ConfigError("is no step that whole numbers can count.", field="instrument", value=str(step), fix="use the replay")
    return float(numerator), float(denominator)


def _units(inventory: Decimal, lot: Decimal) -> tuple[int, int]:
    """Inventory and lot in the largest decimal unit that divides both."""
    places = max(0, *(-exponent for value in (inventory, lot) if isinstance(exponent := value.normalize().as_tuple().exponent, int)))
    units = int(inventory.scaleb(places)), int(lot.scaleb(places))
    if abs(units[0]) >= _EXACT:
        raise _refusal("inventory.quantity", str(inventory), "give fewer decimals")
    return units


def _tiers(instrument: Instrument) -> Tiers:
    """The maintenance tiers, the last one repeated: a repeated tier changes no answer."""
    tiers = [(float(t.max_notional), float(t.maintenance_rate), float(t.maintenance_amount)) for t in instrument.margin_tiers]
    if len(tiers) > MOST_TIERS:
        fix = f"use the replay: at most {MOST_TIERS} tiers are compiled"
        raise ConfigError("has too many margin tiers for the compiled backtest.", field="instrument", value=len(tiers), fix=fix)
    return tuple(tiers + [tiers[-1]] * (MOST_TIERS - len(tiers)))
