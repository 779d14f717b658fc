"""What moves in steps: volatility and volume regime as the grid uses them, spacing, anchor, snapped nodes.

Otherwise every tick would move every order and lose its queue place. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.hedging.common.types import Assessment, BotState, CurveParameters, Indicators, MarketState, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig, GridSettings
from alpha_pulse.hedging.grid.curve import node_price
from alpha_pulse.hedging.risk.config import RiskSettings

_HIGH_VOLUME, _HIGH_VOLUME_LEFT = 2.0, 1.4  # volume over its average: entered and left at these
_WIDEST = 0.45  # spacing never passes this, whatever the volatility


@dataclass(frozen=True, slots=True)
class Regime:
    """Volatility and volume as the grid uses them."""

    volatility: float  # σ_day
    volume_factor: float  # multiplies the volatility's share of the spacing


def held_regime(state: BotState, indicators: Indicators, settings: GridSettings) -> Regime:
    """Volatility moves when it changed by ``step`` of itself; the volume factor has its own dead band."""
    volatility = stepped_volatility(state.volatility_held, indicators.volatility_day, settings.step)
    return Regime(volatility, volume_factor(state.volume_factor, indicators.volume_ratio, settings.volume_adjust))


def stepped_volatility(held: float, now: float, step: float) -> float:
    """The σ that counts: the one held until it has changed by ``step`` of itself."""
    return now if held <= 0.0 or abs(now - held) > step * held else held


def volume_band(held: float, settings: GridSettings) -> tuple[float, float]:
    """Between which volume ratios the held factor stays."""
    if settings.volume_adjust == 0.0:
        return -math.inf, math.inf
    if held > 1.0:
        return _HIGH_VOLUME_LEFT, math.inf
    return (-math.inf, 1.0 / _HIGH_VOLUME_LEFT) if held < 1.0 else (1.0 / _HIGH_VOLUME, _HIGH_VOLUME)


def volume_factor(held: float, ratio: float, adjust: float) -> float:
    """Busy hours widen the grid, quiet ones narrow it."""
    if adjust == 0.0:
        return 1.0
    if ratio > _HIGH_VOLUME or (held > 1.0 and ratio > _HIGH_VOLUME_LEFT):
        return 1.0 + adjust
    if ratio < 1.0 / _HIGH_VOLUME or (held < 1.0 and ratio < 1.0 / _HIGH_VOLUME_LEFT):
        return 1.0 - adjust
    return 1.0


def fee_floor(instrument: Instrument, anchor: float) -> float:
    """The spacing at which a round trip of maker fills just pays its fees, and a tick on each side: 2m/(1 − m) + 2·tick/A."""
    maker = max(0.0, float(instrument.maker_fee))
    return 2.0 * maker / (1.0 - maker) + 2.0 * instrument.tick / anchor


def node_spacing(settings: GridSettings, instrument: Instrument, regime: Regime, anchor: float) -> float:
    """max(grid_spacing_pct, multiple·σ_day, fee floor, min_price_distance/A) as a fraction; the volume regime scales σ's share."""
    distance = 0.0 if settings.min_price_distance is None else float(settings.min_price_distance) / anchor
    wanted = max(
        float(settings.grid_spacing_pct),
        settings.volatility_multiple * regime.volatility * regime.volume_factor,
        fee_floor(instrument, anchor),
        distance,
    )
    widest = _WIDEST if settings.spacing == "geometric" else min(_WIDEST, 0.9 / settings.num_levels)
    return min(widest, wanted)


def anchor_for(settings: GridSettings, market: MarketState, previous: CurveParameters | None, released: bool) -> float:
    """The anchor A. It moves when price passes node n + 1 (recentre), when its average is a node away (ema), or after a latch."""
    price = market.mid
    if previous is None or (released and settings.anchor != "fixed"):
        return price
    if settings.anchor == "fixed":
        return previous.anchor
    return averaged_anchor(market.indicators.anchor_ema, previous) if settings.anchor == "ema" else recentred_anchor(price, previous)


def averaged_anchor(average: float, previous: CurveParameters) -> float:
    """With ``anchor: ema``: the average where it is a node away."""
    return average if abs(math.log(average / previous.anchor)) >= math.log1p(previous.spacing) else previous.anchor


def recentred_anchor(price: float, previous: CurveParameters) -> float:
    """With ``anchor: recentre``: the price where it is past node n + 1."""
    edge = previous.levels + 1
    inside = (
        node_price(previous.anchor, previous.spacing, -edge, previous.geometric)
        < price
        < node_price(previous.anchor, previous.spacing, edge, previous.geometric)
    )
    return previous.anchor if inside else price


def snapped_nodes(settings: GridSettings, anchor: float, spacing: float, levels: tuple[float, ...]) -> tuple[tuple[int, float], ...]:
    """Nodes that move to the nearest support or resistance within ``snap`` of the spacing; node 0 stays."""
    if settings.snap == 0.0 or not levels:
        return ()
    geometric, moved = settings.spacing == "geometric", []
    for node in range(-settings.num_levels, settings.num_levels + 1):
        price = node_price(anchor, spacing, node, geometric)
        nearest = nearest_level(levels, price)
        if node and abs(nearest - price) <= settings.snap * spacing * (price if geometric else anchor):
            moved.append((node, nearest))
    return tuple(moved)


def nearest_level(levels: Sequence[float], price: float) -> float:
    """The level nearest to a price; of two that are equally near the first. There must be one."""
    nearest = levels[0]
    for level in levels:
        if abs(level - price) < abs(nearest - price):
            nearest = level
    return nearest


def neutral_size(risk: RiskSettings, volatility_day: float) -> float:
    """M of a neutral grid, base units: max_position_size·min(1, volatility_target/σ_day). A hedge is never made smaller like this."""
    most, target = float(risk.max_position_size or 0), risk.volatility_target
    return most if target is None or volatility_day <= target else most * target / volatility_day


def next_curve(config: BotConfig, snapshot: Snapshot, assessment: Assessment, regime: Regime, *, released: bool) -> CurveParameters:
    """The curve after this tick; the previous object while nothing moved."""
    hedge, grid, state, previous = config.hedge, config.grid, snapshot.state, snapshot.state.curve
    target, cap = assessment.target, assessment.memory.cap
    anchor = anchor_for(grid, snapshot.market, previous, released)
    inventory = float(snapshot.inventory)
    same_grid = (
        previous is not None
        and anchor == previous.anchor
        and regime.volatility == state.volatility_held
        and regime.volume_factor == state.volume_factor
        and state.target is not None  # None: the settings changed
    )
    if (
        same_grid
        and previous is not None
        and state.target is target
        and previous.inventory == inventory
        and previous.max_abs_position == cap
    ):
        return previous
    if previous is not None and same_grid:
        spacing, snapped = previous.spacing, previous.snapped
    else:
        anchor = snapshot.instrument.tick * round(anchor / snapshot.instrument.tick)
        spacing = node_spacing(grid, snapshot.instrument, regime, anchor)
        known = (*snapshot.market.supports, *snapshot.market.resistances)
        snapped = snapped_nodes(grid, anchor, spacing, known)
    return CurveParameters(
        anchor=anchor,
        spacing=spacing,
        levels=grid.num_levels,
        geometric=grid.spacing == "geometric",
        ratio=target.ratio,
        floor=target.floor,
        min_ratio=target.min_ratio,
        max_ratio=target.max_ratio,
        amplitude=hedge.amplitude,
        amplitude_adverse=hedge.amplitude_adverse,
        inventory=inventory,
        max_abs_position=cap,
        neutral_size=neutral_size(config.risk, regime.volatility) if inventory == 0.0 else 0.0,
        snapped=snapped,
    )
