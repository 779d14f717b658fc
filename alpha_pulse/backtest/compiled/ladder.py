"""Curve, ladder and gap as kernels: the steps of ``grid.steps``, ``grid.calculator`` and ``grid.gap`` on arrays."""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.values import (
    EMA,
    FIXED,
    FLOOR,
    HALTED,
    IOC,
    MARGIN_REDUCE,
    NORMAL,
    POST_ONLY,
    REBALANCE,
    GridRule,
    Records,
    Regime,
)
from alpha_pulse.backtest.compiled.venue import price_of, quantity_of
from alpha_pulse.domain.instrument import least_lots
from alpha_pulse.hedging.grid.calculator import target_at
from alpha_pulse.hedging.grid.curve import (
    lots_to_buy,
    lots_to_sell,
    node_price,
    place_on_grid,
    ticks_at_or_above,
    ticks_at_or_below,
)
from alpha_pulse.hedging.grid.gap import (
    CLOSED,
    at_pace,
    band,
    band_hides_hedge,
    hedge_due,
    node_step,
    shrinking,
    under_floor,
)
from alpha_pulse.hedging.grid.steps import averaged_anchor, nearest_level, node_spacing, recentred_anchor, stepped_volatility, volume_factor
from alpha_pulse.hedging.risk.costs import cost_parts, is_worth


def grid_rule(p: Records) -> GridRule:
    """The grid's settings under their live names."""
    spacing = "geometric" if p.geometric != 0 else "arithmetic"
    return GridRule(spacing, p.grid_spacing_pct, p.volatility_multiple, p.min_price_distance, p.num_levels)


# --- the curve --------------------------------------------------------------------------------------------------------
def step_curve(p: Records, b: Records, run: Records, released: bool) -> None:
    """The curve after this bar, as ``steps.next_curve``; its version rises when a new one is made."""
    s, curve = run.state[0], run.curve[0]
    regime = Regime(
        stepped_volatility(s.volatility_held, b.volatility, p.step), volume_factor(s.volume_factor, b.volume_ratio, p.volume_adjust)
    )
    mid = 0.5 * (b.bid + b.ask)
    anchor = mid
    if s.has_curve != 0 and not (released and p.anchor_rule != FIXED):
        anchor = _anchor(p, b, curve, mid)
    same_grid = (
        s.has_curve != 0 and anchor == curve.anchor and regime.volatility == s.volatility_held and regime.volume_factor == s.volume_factor
    )
    s.volatility_held, s.volume_factor = regime.volatility, regime.volume_factor
    if same_grid and s.target_moved == 0 and curve.max_abs_position == s.cap:
        return
    if not same_grid:
        s.recentres += 1 if s.has_curve != 0 and anchor != curve.anchor else 0
        curve.anchor = p.tick * round(anchor / p.tick)
        curve.spacing = node_spacing(grid_rule(p), p, regime, curve.anchor)  # type: ignore[arg-type]  # the same fields, as numbers
        _snap(p, run)
    s.has_curve = 1
    s.curve_version += 1
    curve.levels = p.num_levels
    curve.geometric = p.geometric != 0
    curve.ratio, curve.floor = s.ratio, s.floor
    curve.min_ratio, curve.max_ratio = s.min_ratio, p.max_ratio
    curve.amplitude, curve.amplitude_adverse = p.amplitude, p.amplitude_adverse
    curve.inventory, curve.max_abs_position = p.inventory, s.cap
    curve.neutral_size = 0.0


def _anchor(p: Records, b: Records, curve: Records, mid: float) -> float:
    """Where the rule of the settings puts the anchor, as ``steps.anchor_for``."""
    if p.anchor_rule == FIXED:
        return float(curve.anchor)
    return averaged_anchor(b.anchor_ema, curve) if p.anchor_rule == EMA else recentred_anchor(mid, curve)


def _snap(p: Records, run: Records) -> None:
    """Nodes that move to a support or resistance, as ``steps.snapped_nodes``."""
    curve, n = run.curve[0], p.num_levels
    levels, geometric = run.levels_known[0].price[: run.levels_known[0].count], p.geometric != 0
    for k in range(2 * n + 1):
        run.nodes[k].snapped = 0.0
        if p.snap == 0.0 or len(levels) == 0 or k == n:
            continue
        price = node_price(curve.anchor, curve.spacing, k - n, geometric)
        nearest = nearest_level(levels, price)
        if abs(nearest - price) <= p.snap * curve.spacing * (price if geometric else curve.anchor):
            run.nodes[k].snapped = nearest


def table_nodes(p: Records, run: Records) -> None:
    """The nodes of the curve in ticks, with the target at each, as ``calculator.NodeTable.of``."""
    s, curve, n = run.state[0], run.curve[0], p.num_levels
    for k in range(2 * n + 1):
        node = run.nodes[k]
        price = node.snapped
        if price == 0.0:
            price = node_price(curve.anchor, curve.spacing, k - n, curve.geometric)
        node.sell_ticks = ticks_at_or_above(price, p.tick)
        node.buy_ticks = ticks_at_or_below(price, p.tick)
        node.target = target_at(curve, (k - n) / n)
        node.min_lots = least_lots(price, p.min_quantity, p.min_notional, p.lot)
    s.table_version = s.curve_version


# --- the gap ----------------------------------------------------------------------------------------------------------
def find_gap(p: Records, b: Records, run: Records) -> None:
    """What the gap asks for, as ``gap.find_gap``: its order in ``gap_*`` (0 lots: none), and since when it is open."""
    s, curve = run.state[0], run.curve[0]
    mid = 0.5 * (b.bid + b.ask)
    place = place_on_grid(mid, curve.anchor, curve.spacing, curve.levels, curve.geometric)
    target = target_at(curve, place)
    s.gap_lots = s.gap_short = 0
    position = quantity_of(p, s.lots)
    urgent = _urgent(p, run, position)
    if urgent != 0.0:
        _order_gap(p, b, s, _within(p, s, urgent, position), FLOOR, False)
        return
    away = target - position
    is_open = (
        abs(away) > band(p, curve, away)
        or (s.gap_since_ms > 0 and abs(away) > max(CLOSED * node_step(curve), p.lot))
        or (position == 0.0 and band_hides_hedge(p, curve) and hedge_due(p, curve, place * curve.levels))
    )
    if not is_open:
        s.gap_since_ms = 0
        return
    since_ms = s.gap_since_ms if s.gap_since_ms != 0 else b.close_ms
    paced = _paced(p, b, _within(p, s, away, position))
    patient = b.close_ms - since_ms < p.escalate_after_ms or not _pays(p, b, paced)
    _order_gap(p, b, s, paced, REBALANCE, patient)
    s.gap_since_ms = since_ms if s.gap_lots != 0 else 0


def _urgent(p: Records, run: Records, position: float) -> float:
    """What must be traded at once, signed; 0 = nothing. A margin cut beats a floor."""
    s, curve = run.state[0], run.curve[0]
    if abs(position) > s.reduce_to:
        excess = float(abs(position) - s.reduce_to)
        return excess if position < 0.0 else -excess
    if curve.floor > 0.0:
        missing = under_floor(curve, position)
        if missing > p.lot * CLOSED:
            return -math.copysign(missing, curve.inventory)
    return 0.0


def _within(p: Records, s: Records, signed: float, position: float) -> float:
    """What the posture leaves of a signed quantity."""
    if s.posture == NORMAL:
        return signed
    if s.posture == HALTED:
        return 0.0
    return shrinking(signed, position if s.posture == MARGIN_REDUCE else p.inventory + position)


def _paced(p: Records, b: Records, signed: float) -> float:
    least = least_lots(b.mark_close, p.min_quantity, p.min_notional, p.lot) * p.lot
    return at_pace(signed, b.bid_depth if signed < 0.0 else b.ask_depth, p.max_depth_share, b.mark_close, least)


def _pays(p: Records, b: Records, signed: float) -> bool:
    if signed == 0.0:
        return False
    depth = b.bid_depth if signed < 0.0 else b.ask_depth
    fee, spread, impact = cost_parts(abs(signed), p.taker_fee, b.bid, b.ask, depth, b.volume_day, b.volatility)
    return is_worth(fee + spread + impact, b.volatility, p.max_cost_share)


def _order_gap(p: Records, b: Records, s: Records, signed: float, purpose: int, patient: bool) -> None:
    """One order for a signed quantity: at the touch and post-only, or a taker bounded by ``max_slippage``."""
    lots = int(abs(signed) / p.lot + 1e-7)
    if lots < least_lots(b.mark_close, p.min_quantity, p.min_notional, p.lot):
        s.gap_short = lots
        return
    sells = not signed > 0.0
    if patient:
        ticks = ticks_at_or_above(b.ask, p.tick) if sells else ticks_at_or_below(b.bid, p.tick)
    elif sells:
        ticks = ticks_at_or_above(b.bid * (1.0 - p.max_slippage), p.tick)
    else:
        ticks = ticks_at_or_below(b.ask * (1.0 + p.max_slippage), p.tick)
    s.gap_lots = lots
    s.gap_sign = -1 if sells else 1
    s.gap_ticks = ticks
    s.gap_purpose = purpose
    s.gap_tif = POST_ONLY if patient else IOC


# --- the ladder -------------------------------------------------------------------------------------------------------
def _bisect(p: Records, run: Records, ticks: int, buys: bool) -> int:
    """``bisect_left`` over the nodes' buy ticks, or ``bisect_right`` over their sell ticks."""
    low, high = 0, 2 * p.num_levels + 1
    while low < high:
        middle = (low + high) // 2
        goes_left = run.nodes[middle].buy_ticks >= ticks if buys else ticks < run.nodes[middle].sell_ticks
        if goes_left:
            high = middle
        else:
            low = middle + 1
    return low


def lay_ladder(p: Records, b: Records, run: Records) -> bool:
    """The ladder, as ``DefaultGridCalculator``; False while what it hangs on is as it was."""
    s = run.state[0]
    fresh = s.table_version != s.curve_version
    if fresh:
        table_nodes(p, run)
    first_sell = _bisect(p, run, ticks_at_or_below(b.bid, p.tick), False)
    first_buy = _bisect(p, run, ticks_at_or_above(b.ask, p.tick), True) - 1
    pending = s.gap_sign * s.gap_lots
    low, high = s.lots + min(pending, 0), s.lots + max(pending, 0)
    same = s.first_sell == first_sell and s.first_buy == first_buy and s.key_low == low and s.key_high == high
    if same and s.key_trigger == s.trigger and not fresh:
        return False
    s.first_sell, s.first_buy, s.key_low, s.key_high, s.key_trigger = first_sell, first_buy, low, high, s.trigger
    s.levels = 0
    _lay_side(p, run, -1)
    _lay_side(p, run, 1)
    return True


def _lay_side(p: Records, run: Records, sign: int) -> None:
    """One side of the ladder, nearest node first; what is under a node's minimum is carried outward (``curve.spread_over_nodes``)."""
    s = run.state[0]
    k = s.first_buy if sign > 0 else s.first_sell
    placed = 0
    while 0 <= k < 2 * p.num_levels + 1:
        node = run.nodes[k]
        ticks = node.buy_ticks if sign > 0 else node.sell_ticks
        total = lots_to_buy(s.key_high, node.target, p.lot) if sign > 0 else lots_to_sell(s.key_low, node.target, p.lot)
        lots = total - placed
        if lots >= node.min_lots:
            placed = total
            if lots != 0 and not _beyond_stop(p, s.trigger, sign, ticks * p.tick):
                level = run.levels[s.levels]
                level.sign, level.ticks, level.lots, level.node = sign, ticks, lots, k - p.num_levels
                level.price, level.laid = price_of(p, ticks), s.levels
                s.levels += 1
        k -= sign


def _beyond_stop(p: Records, trigger: float, sign: int, price: float) -> bool:
    """Whether an order unwinds the hedge at or beyond the trigger of the stop that would complete it."""
    if trigger <= 0.0 or (sign > 0) != (p.inventory > 0.0):
        return False
    return price <= trigger if sign > 0 else price >= trigger
