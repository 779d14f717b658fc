"""The risk manager's assessment as a kernel: floors, latches, margin, ratio. The formulas are those of ``hedging.risk``."""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.values import DELTA_REDUCE, HALTED, MARGIN_REDUCE, MOST_TIERS, NORMAL, Records
from alpha_pulse.backtest.compiled.venue import entry_price, quantity_of
from alpha_pulse.hedging.risk.costs import cost_parts, is_worth
from alpha_pulse.hedging.risk.inventory import hedge_step, inventory_scores, loss_from_entry, risk_score
from alpha_pulse.hedging.risk.margin import (
    CUT_SIGMAS,
    NO_INCREASE_SIGMAS,
    distance_between,
    growth_limit,
    margin_distance,
    price_at_maintenance,
    size_at_rate,
    stepped_cap,
)
from alpha_pulse.hedging.risk.stop import stop_distance, stop_trigger
from alpha_pulse.hedging.risk.target import bounded_ratio, funding_tilt, most_hedge, next_ratio, soft_floor, tested_quantity
from alpha_pulse.hedging.risk.var import parametric_var, var_floor

_MINUTE_MS = 60_000.0


def tier_number(p: Records, notional: float) -> int:
    """Which maintenance tier an absolute notional is in, as ``Instrument.tier``."""
    for k in range(MOST_TIERS - 1):
        if notional <= p.tiers[k, 0]:
            return k
    return MOST_TIERS - 1


def tier_at(p: Records, notional: float) -> tuple[float, float]:
    """(maintenance rate, deduction) of an absolute notional."""
    k = tier_number(p, notional)
    return p.tiers[k, 1], p.tiers[k, 2]


def assess(p: Records, b: Records, run: Records) -> None:
    """Bring the memory of risk up to this bar: floors first, then latches, then the target and the margin under them."""
    s = run.state[0]
    sigma, mark = b.volatility, b.mark_close
    position, entry = quantity_of(p, s.lots), entry_price(p, s)
    s.equity = s.cash + position * (mark - entry)
    value = p.inventory * b.reference
    if s.seen == 0:
        s.seen = 1
        s.debt = min(0.0, value)
        s.entry = p.entry_price
    nav = s.equity + value - s.debt
    s.high_water_mark = max(s.high_water_mark, nav)
    drawdown = 1.0 - nav / s.high_water_mark if s.high_water_mark > 0.0 else 0.0
    distance = stop_distance(p, s.volatility_held) if p.has_stop else 0.0
    _latch(p, s, mark, drawdown, distance)
    depth = b.bid_depth if p.inventory > 0.0 else b.ask_depth
    s.asked = demanded(p, s.entry, b.reference, sigma, depth, b.close_ms) if p.has_assessor != 0 else 0.0
    if s.entry == 0.0:
        s.entry = b.reference  # known from the first decision on
    _floor(p, s, abs(value), sigma, b.close_ms)
    liquidation = math.inf
    if s.lots != 0:
        rate, credit = tier_at(p, abs(position) * mark)
        liquidation = distance_between(mark, price_at_maintenance(s.cash, position, entry, rate, credit), position)
    latched = s.stop_latched != 0 or s.drawdown_latched != 0
    _target(p, b, s, latched)
    _margin(p, s, sigma, mark, abs(position), liquidation)
    _posture(s, latched)
    s.stop_distance = 0.0 if latched else distance


def demanded(p: Records, entry: float, price: float, sigma: float, depth: float, now_ms: float) -> float:
    """The floor that the inventory assessor asks for, as ``assessor.Assessor.demand``; a depth of 0 is unknown."""
    loss = loss_from_entry(p.inventory, price, entry) if entry > 0.0 else 0.0
    return asked_with(p, price, sigma, depth, now_ms, loss)


def asked_with(p: Records, price: float, sigma: float, depth: float, now_ms: float, loss: float) -> float:
    """The same for a loss since entry that is given."""
    return step_with(p, price, sigma, depth, now_ms, loss)[1]


def step_with(p: Records, price: float, sigma: float, depth: float, now_ms: float, loss: float) -> tuple[int, float]:
    """How many steps above HOLD, and what that asks for."""
    return hedge_step(score_with(p, price, sigma, depth if depth != 0.0 else math.inf, now_ms), loss, p.scores[0])


def score_with(p: Records, price: float, sigma: float, depth: float, now_ms: float) -> float:
    """The assessor's points; a depth of infinity is unknown."""
    age = max(0.0, (now_ms - p.acquired_ms) / _MINUTE_MS) if p.acquired_ms < math.inf else 0.0
    return risk_score(inventory_scores(p.inventory, price, sigma, depth, age, p.scores[0]))


def _latch(p: Records, s: Records, mark: float, drawdown: float, distance: float) -> None:
    """As ``latches.update_latches``, with an inventory."""
    if drawdown >= p.max_drawdown and s.drawdown_latched == 0:
        s.drawdown_latched = 1
        s.drawdowns_latched += 1
    below = p.inventory > 0.0
    if s.stop_latched != 0:
        back = mark >= s.stop_reference if below else mark <= s.stop_reference
        if back and s.stop_filled == 0:
            s.stop_latched = 0
            s.stop_reference = 0.0
        return
    trigger = stop_trigger(s.stop_reference, distance, below)
    beyond = trigger > 0.0 and (mark <= trigger if below else mark >= trigger)
    if s.stop_filled != 0 or beyond:
        s.stop_latched = 1
        s.stops_latched += 1


def _floor(p: Records, s: Records, value: float, sigma: float, now_ms: int) -> None:
    """The VaR floor, after its slow fall."""
    limit = p.var_limit if p.var_limit > 0.0 else p.var_limit_pct * value
    raw = max(var_floor(parametric_var(value, sigma, p.var_horizon_days, p.z), limit) if limit > 0.0 else 0.0, s.asked)
    if raw == 0.0 and s.soft_floor == 0.0:
        return
    floor, since_ms = soft_floor(raw, s.soft_floor, s.floor_since_ms, now_ms, p.unit, p.floor_half_life_ms)
    if floor > s.soft_floor:
        s.floors += 1
    s.soft_floor = floor
    s.floor_since_ms = since_ms


def _target(p: Records, b: Records, s: Records, latched: bool) -> None:
    """Ratio and floor, as ``target.hedge_target``."""
    lowest = 0.0 if p.holds_ratio else p.min_ratio
    if p.has_sizer == 0:
        s.sized, s.tilted = p.ratio, tilted_ratio(p, b, p.ratio)
    wanted = bounded_ratio(s.tilted, lowest, p.max_ratio)
    held = s.ratio if s.has_target != 0 else bounded_ratio(s.sized, lowest, p.max_ratio)
    now_ms = b.close_ms
    ratio = next_ratio(wanted, held, p.unit, lowest, p.max_ratio, now_ms - s.raised_ms, p.lower_after_ms)
    if s.has_target != 0 and ratio != held and p.max_cost_share < math.inf and not _pays_to_move(p, b, held, ratio):
        ratio = held
    floor = 1.0 if latched else s.soft_floor
    s.target_moved = 0
    if s.has_target != 0 and ratio == s.ratio and floor == s.floor:
        return
    if s.has_target != 0 and ratio > s.ratio:
        s.raised_ms = now_ms
    s.target_moved = 1
    s.has_target = 1
    s.ratio = ratio
    s.floor = floor
    s.min_ratio = ratio if p.holds_ratio else p.min_ratio


def tilted_ratio(p: Records, b: Records, sized: float) -> float:
    """What a sizer says, with what funding adds."""
    return float(sized + funding_tilt(p, b.funding_annual, p.inventory)) if p.funding_tilt != 0.0 else sized


def _pays_to_move(p: Records, b: Records, held: float, ratio: float) -> bool:
    quantity = tested_quantity(held, ratio, p.unit, abs(p.inventory))
    depth = b.bid_depth if (ratio > held) == (p.inventory > 0.0) else b.ask_depth
    fee, spread, impact = cost_parts(quantity, p.taker_fee, b.bid, b.ask, depth, b.volume_day, b.volatility)
    return is_worth(fee + spread + impact, b.volatility, p.max_cost_share)


def _margin(p: Records, s: Records, sigma: float, mark: float, held: float, liquidation: float) -> None:
    """The hard cap of this bar, the curve's cap in steps, and a cut when liquidation is too near."""
    no_increase = margin_distance(p.no_increase_distance, NO_INCREASE_SIGMAS, sigma)
    comfortable = 0.0
    if s.equity > 0.0:
        rate, _ = tier_at(p, s.equity / max(no_increase, 1e-9))
        comfortable = size_at_rate(s.equity, no_increase, rate, mark)
    hard = growth_limit(p.leverage, s.equity, mark, comfortable, held, p.most)
    cut = margin_distance(p.cut_distance, CUT_SIGMAS, sigma)
    cutting = liquidation <= cut or (s.margin_cut != 0 and liquidation < no_increase)
    if cutting and s.margin_cut == 0:
        s.cuts += 1
    s.margin_cut = 1 if cutting else 0
    s.reduce_to = comfortable if cutting else math.inf
    if liquidation <= no_increase:
        hard = min(hard, held)
    s.hard_cap = hard
    wanted = most_hedge(abs(p.inventory), s.ratio, s.floor, p.max_ratio, p.amplitude)
    s.cap = stepped_cap(s.cap, min(hard, s.reduce_to), held, p.most, wanted, abs(p.inventory))


def _posture(s: Records, latched: bool) -> None:
    if s.liquidated != s.liquidation_seen:
        s.liquidation_seen = s.liquidated
        s.halted = 1
    if s.halted != 0:
        s.posture = HALTED
    elif s.margin_cut != 0:
        s.posture = MARGIN_REDUCE
    elif latched:
        s.posture = DELTA_REDUCE
    else:
        s.posture = NORMAL
