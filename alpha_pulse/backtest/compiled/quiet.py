"""The quiet zone as a kernel: bounds within which the next decisions send nothing and change nothing, and the run through them.

The bounds are those of ``grid.zone`` and ``risk.zone``. Two things are wider here: a node that holds no order may be crossed, and the
high-water mark may rise. Whole blocks of bars are passed by their extremes.
"""

from __future__ import annotations

import math

from alpha_pulse.backtest.compiled.risk import asked_with, score_with, step_with, tier_at, tier_number
from alpha_pulse.backtest.compiled.values import BLOCK, DELTA_REDUCE, EMA, FIXED, WIDE, WIDEST_BLOCK, Columns, Floats, Ints, Records
from alpha_pulse.backtest.compiled.venue import entry_price, quantity_of, refresh
from alpha_pulse.hedging.grid.curve import lots_to_buy, lots_to_sell
from alpha_pulse.hedging.grid.steps import volume_band
from alpha_pulse.hedging.grid.zone import anchor_edges, inside_band
from alpha_pulse.hedging.risk.inventory import loss_from_entry
from alpha_pulse.hedging.risk.margin import (
    CUT_SIGMAS,
    NO_INCREASE_SIGMAS,
    WIDEST,
    distance_between,
    margin_distance,
    price_at_maintenance,
    stepped_cap,
)
from alpha_pulse.hedging.risk.stop import stop_distance
from alpha_pulse.hedging.risk.target import most_hedge
from alpha_pulse.hedging.risk.zone import cap_room, floor_bounds, funding_bounds, stop_bounds

_HAIR = 1e-9
_STEP_HAIR = 1e-6  # of a step of the ratio
_REACH, _REACHES = 0.05, 4  # of price and volatility: how far around a bar the assessor's answer is looked up; then a quarter of it
_LAST_STEP = 4  # of what the assessor asks for
_SCARCELY_ANY = 1e-9  # a depth [quote units]; 0 is an unknown one
_AHEAD_MS = 86_400_000.0  # for how long the age of the inventory is looked ahead
_SHORT = 1e-6  # of the price at which an order reaches the minimum notional
_SPREAD = 0.1  # of a node: the spread within which one side of the book bounds the other
_NEARBY = 0.1  # of the mark: how far from it liquidation is followed, through the two tiers that may lie there


def find_quiet(p: Records, b: Records, run: Records) -> None:
    """Set the bounds after a decision that moved nothing in memory, or switch them off where something is close to changing."""
    s, q = run.state[0], run.quiet[0]
    q.on = 0
    busy = s.gap_since_ms != 0 or s.gap_lots != 0 or s.rejections != 0 or s.crowded != 0 or s.lately_refused != 0 or s.margin_cut != 0
    if busy or s.posture > DELTA_REDUCE:
        return
    refresh(p, run)
    if s.takers != 0 or not _cell(p, run):
        return
    q.low, q.high, q.mark_low, q.mark_high = s.buy_reach, s.sell_reach, s.mark_low, s.mark_high
    q.holds = 1 if s.lots != 0 else 0
    q.volume_low, q.volume_high = volume_band(s.volume_factor, p)
    step = p.step * (1.0 - _HAIR)
    q.sigma_low, q.sigma_high = s.volatility_held * (1.0 - step), s.volatility_held * (1.0 + step)
    q.reference_low = q.bid_depth_low = q.ask_depth_low = -math.inf
    q.reference_high = math.inf
    _watch_average(p, run)
    _watch_floor(p, s, q)
    _watch_ratio(p, b, s, q)
    _watch_stop(p, s, q)
    if p.has_assessor != 0 and not _watch_assessor(p, b, s, q):
        return
    if s.gap_short >= p.min_quantity_lots:  # a gap under a floor waits for a price at which it is worth an order
        q.mark_high = min(q.mark_high, p.min_notional / (s.gap_short * p.lot) * (1.0 - _SHORT))
    if not _watch_margin(p, b, s, q):
        return
    q.watches_nav = 1 if p.max_drawdown < math.inf and s.drawdown_latched == 0 else 0
    q.keeps = (1.0 - p.max_drawdown) * (1.0 + _HAIR)
    q.on = 1


def _cell(p: Records, run: Records) -> bool:
    """Bid and ask between which the ladder stands and no gap opens: as far as the next node with an order, else to the next node."""
    s, n = run.state[0], 2 * p.num_levels + 1
    sell_low, sell_high = s.first_sell - 1, s.first_sell
    while sell_low >= 0 and lots_to_sell(s.key_low, run.nodes[sell_low].target, p.lot) < run.nodes[sell_low].min_lots:
        sell_low -= 1
    while sell_high < n and lots_to_sell(s.key_low, run.nodes[sell_high].target, p.lot) < run.nodes[sell_high].min_lots:
        sell_high += 1
    buy_high, buy_low = s.first_buy + 1, s.first_buy
    while buy_high < n and lots_to_buy(s.key_high, run.nodes[buy_high].target, p.lot) < run.nodes[buy_high].min_lots:
        buy_high += 1
    while buy_low >= 0 and lots_to_buy(s.key_high, run.nodes[buy_low].target, p.lot) < run.nodes[buy_low].min_lots:
        buy_low -= 1
    if _set_cell(p, run, sell_low, sell_high, buy_low, buy_high):
        return True
    return _set_cell(p, run, s.first_sell - 1, s.first_sell, s.first_buy, s.first_buy + 1)


def _set_cell(p: Records, run: Records, sell_low: int, sell_high: int, buy_low: int, buy_high: int) -> bool:
    """The bounds between these nodes; False where the gap would not be closed all over them. As ``DefaultGridCalculator.cell``."""
    q, curve, n = run.quiet[0], run.curve[0], 2 * p.num_levels + 1
    lowest, highest = anchor_edges(curve, p.anchor_rule == FIXED)
    q.bid_low = max(lowest, run.nodes[sell_low].sell_ticks * p.tick if sell_low >= 0 else 0.0)
    q.bid_high = (run.nodes[sell_high].sell_ticks - 0.5) * p.tick if sell_high < n else math.inf
    q.ask_low = (run.nodes[buy_low].buy_ticks + 0.5) * p.tick if buy_low >= 0 else 0.0
    q.ask_high = min(highest, run.nodes[buy_high].buy_ticks * p.tick if buy_high < n else math.inf)
    reach = _SPREAD * curve.spacing * curve.anchor  # where the book is wider than this it is looked at bar by bar
    q.bid_low, q.ask_high = max(q.bid_low, q.ask_low - reach), min(q.ask_high, q.bid_high + reach)
    held = quantity_of(p, run.state[0].lots)
    return bool(inside_band(p, curve, held, q.bid_low) and inside_band(p, curve, held, q.ask_high))


def _watch_ratio(p: Records, b: Records, s: Records, q: Records) -> None:
    """Between which annual rates of funding the ratio stays; with a sizer, between which of its answers. As ``target.next_ratio``."""
    q.tilted_low, q.tilted_high = -math.inf, math.inf
    if p.has_sizer == 0:
        q.annual_low, q.annual_high = funding_bounds(p, s, p.ratio, p.inventory)
        return
    q.annual_low, q.annual_high = -math.inf, math.inf
    near = p.unit * (1.0 - _STEP_HAIR)
    lowest = 0.0 if p.holds_ratio else p.min_ratio
    if p.max_ratio >= s.ratio + near:
        q.tilted_high = s.ratio + near
    if s.raised_ms + p.lower_after_ms > b.close_ms:
        q.until_ms = min(q.until_ms, s.raised_ms + p.lower_after_ms)
    elif lowest <= s.ratio - near:
        q.tilted_low = s.ratio - near


def _watch_average(p: Records, run: Records) -> None:
    """Between which averages the anchor stays, with anchor: ema."""
    q, curve = run.quiet[0], run.curve[0]
    q.ema_low, q.ema_high = -math.inf, math.inf
    if p.anchor_rule == EMA:
        q.ema_low = curve.anchor / (1.0 + curve.spacing) * (1.0 + _HAIR)
        q.ema_high = curve.anchor * (1.0 + curve.spacing) * (1.0 - _HAIR)


def _watch_floor(p: Records, s: Records, q: Records) -> None:
    low, high, until = floor_bounds(s.soft_floor, s.floor_since_ms, p.unit, p.floor_half_life_ms, s.asked)
    q.until_ms = until
    q.strain_low, q.strain_high = -math.inf, math.inf
    per_value = p.z * math.sqrt(p.var_horizon_days)
    if p.var_limit > 0.0:
        per = per_value * abs(p.inventory) / p.var_limit
        q.strain_low, q.strain_high = low / per, high / per
    elif p.var_limit_pct > 0.0:
        per = per_value / p.var_limit_pct
        q.sigma_low, q.sigma_high = max(q.sigma_low, low / per), min(q.sigma_high, high / per)


def _watch_assessor(p: Records, b: Records, s: Records, q: Records) -> bool:
    """Prices, volatilities and depths between which the inventory assessor asks for the same; False where none were found.

    Its score rises with volatility, with price over depth and with age: where the most and the least that it could say agree, they bound.
    """
    price, sigma, long = b.reference, b.volatility, p.inventory > 0.0
    depth = b.bid_depth if long else b.ask_depth
    step, _ = step_with(p, price, sigma, depth, b.close_ms, loss_from_entry(p.inventory, price, s.entry))
    for k in range(_REACHES):
        reach = _REACH * 0.25**k
        low, high, until = price * (1.0 - reach), price * (1.0 + reach), b.close_ms + _AHEAD_MS
        calm, wild = sigma * (1.0 - reach), sigma * (1.0 + reach)
        thin = _thinnest(p, high, wild, until, step)
        if 0.0 < depth < thin:
            continue
        losses = loss_from_entry(p.inventory, low, s.entry), loss_from_entry(p.inventory, high, s.entry)
        most = asked_with(p, high, wild, thin, until, max(losses[0], losses[1]))
        least = asked_with(p, low, calm, 0.0, b.close_ms, min(losses[0], losses[1]))
        if most == least == s.asked:
            q.reference_low, q.reference_high = low, high
            q.sigma_low, q.sigma_high = max(q.sigma_low, calm), min(q.sigma_high, wild)
            q.bid_depth_low, q.ask_depth_low = (thin, -math.inf) if long else (-math.inf, thin)
            if p.acquired_ms < math.inf:
                q.until_ms = min(q.until_ms, until)
            return True
    return False


def _thinnest(p: Records, price: float, sigma: float, now_ms: float, step: int) -> float:
    """Down to which depth the score stays under what the next step begins with; infinity where only an unknown one does."""
    config = p.scores[0]
    if step == _LAST_STEP:
        return _SCARCELY_ANY
    begins = (config.reduce_score, config.hedge_partial_score, config.hedge_full_score, config.liquidate_score)[step]
    room = begins * (1.0 - _HAIR) - score_with(p, price, sigma, math.inf, now_ms)
    if room <= 0.0:
        return math.inf
    if room > config.liquidity_weight:
        return _SCARCELY_ANY
    return float(config.liquidity_weight * abs(p.inventory) * price / room)


def _watch_stop(p: Records, s: Records, q: Records) -> None:
    distance = stop_distance(p, s.volatility_held) if p.has_stop else 0.0
    low, high = stop_bounds(s.stop_latched != 0, s.stop_reference, distance, p.inventory > 0.0)
    q.mark_low, q.mark_high = max(q.mark_low, low), min(q.mark_high, high)


def _watch_margin(p: Records, b: Records, s: Records, q: Records) -> bool:
    """Marks between which neither the cap of the curve moves nor margin cuts; False where that cannot be told."""
    mark, position, entry = b.mark_close, quantity_of(p, s.lots), entry_price(p, s)
    wanted = most_hedge(abs(p.inventory), s.ratio, s.floor, p.max_ratio, p.amplitude)
    if s.lots != 0 and _watch_liquidation(p, s, q, mark, position, entry):
        held = abs(position)  # all that may be held now, whatever equity does
        return bool(s.cap == stepped_cap(s.cap, held, held, p.most, wanted, abs(p.inventory)))
    equity = max(0.0, s.cash + position * (mark - entry))
    rate, _ = tier_at(p, 2.0 * equity / p.no_increase_distance)
    margin = (1.0 + WIDEST * p.no_increase_distance) * (1.0 + rate) - 1.0
    low, high = cap_room(s.cap, wanted, p.leverage, abs(position), abs(p.inventory), margin, p.most)
    if math.isnan(low):
        return False
    _bound_equity(q, s.cash - position * entry, position - low * (1.0 + _HAIR), 1.0)
    _bound_equity(q, s.cash - position * entry, position - high * (1.0 - _HAIR), -1.0)
    return True


def _watch_liquidation(p: Records, s: Records, q: Records, mark: float, position: float, entry: float) -> bool:
    """Marks between which liquidation stays farther than where growth ends, or stays nearer, but no cut is due; whether it is nearer."""
    q.mark_low, q.mark_high = max(q.mark_low, mark * (1.0 - _NEARBY)), min(q.mark_high, mark * (1.0 + _NEARBY))
    notional = abs(position) * mark
    first, last = tier_number(p, notional * (1.0 - _NEARBY)), tier_number(p, notional * (1.0 + _NEARBY))
    one = price_at_maintenance(s.cash, position, entry, p.tiers[first, 1], p.tiers[first, 2])
    other = price_at_maintenance(s.cash, position, entry, p.tiers[last, 1], p.tiers[last, 2])
    near, far = (min(one, other), max(one, other)) if position < 0.0 else (max(one, other), min(one, other))
    doubt = _HAIR if last - first <= 1 else math.inf
    ends = margin_distance(p.no_increase_distance, NO_INCREASE_SIGMAS, q.sigma_low) - doubt
    cuts = margin_distance(p.cut_distance, CUT_SIGMAS, q.sigma_high) + doubt
    is_near = distance_between(mark, far, position) < ends and distance_between(mark, near, position) > cuts
    if is_near:
        _keep_between(q, _mark_at(near, cuts, position), _mark_at(far, ends, position), position)
    else:
        grows = margin_distance(p.no_increase_distance, NO_INCREASE_SIGMAS, q.sigma_high) + doubt
        _keep_between(q, _mark_at(near, grows, position), 0.0 if position < 0.0 else math.inf, position)
    return bool(is_near)


def _mark_at(liquidation: float, distance: float, position: float) -> float:
    """The mark from which liquidation lies so far away."""
    if position < 0.0:
        return liquidation / (1.0 + distance)
    return liquidation / (1.0 - distance) if distance < 1.0 or liquidation <= 0.0 else math.inf


def _keep_between(q: Records, towards: float, away: float, position: float) -> None:
    """Bound the mark on the side where the position loses, and on the other."""
    low, high = (away, towards) if position < 0.0 else (towards, away)
    q.mark_low, q.mark_high = max(q.mark_low, low), min(q.mark_high, high)


def _bound_equity(q: Records, free: float, slope: float, sign: float) -> None:
    """Marks at which sign·(free + slope·mark) > 0: equity is a line in mark."""
    if math.isinf(slope):
        return
    if sign * slope > 0.0:
        q.mark_low = max(q.mark_low, -free / slope * (1.0 + _HAIR) if -free / slope > 0.0 else 0.0)
    elif sign * slope < 0.0:
        q.mark_high = min(q.mark_high, -free / slope * (1.0 - _HAIR))
    elif sign * free <= 0.0:
        q.mark_high = -math.inf


def said_at(column: Floats, i: int) -> float:
    """What a sizer says at a bar, or 0 where none is asked."""
    return float(column[i]) if len(column) > 0 else 0.0


def is_quiet(b: Records, tilted: float, q: Records) -> bool:
    """Whether a bar lies within the bounds, with what a sizer says there."""
    return bool(
        b.low > q.low
        and b.high < q.high
        and b.mark_low > q.mark_low
        and b.mark_high < q.mark_high
        and q.bid_low <= b.bid <= q.bid_high
        and q.ask_low <= b.ask <= q.ask_high
        and q.sigma_low < b.volatility < q.sigma_high
        and q.volume_low < b.volume_ratio < q.volume_high
        and q.annual_low < b.funding_annual < q.annual_high
        and q.ema_low < b.anchor_ema < q.ema_high
        and q.strain_low < b.volatility * b.reference < q.strain_high
        and q.reference_low < b.reference < q.reference_high
        and (b.bid_depth >= q.bid_depth_low or b.bid_depth == 0.0)
        and (b.ask_depth >= q.ask_depth_low or b.ask_depth == 0.0)
        and b.close_ms < q.until_ms
        and q.tilted_low < tilted < q.tilted_high
    )


def _block_is_quiet(k: Records, q: Records) -> bool:
    """Whether every bar of a block does."""
    return bool(
        k.low > q.low
        and k.high < q.high
        and k.mark_low > q.mark_low
        and k.mark_high < q.mark_high
        and q.bid_low <= k.bid_low
        and k.bid_high <= q.bid_high
        and q.ask_low <= k.ask_low
        and k.ask_high <= q.ask_high
        and q.sigma_low < k.sigma_low
        and k.sigma_high < q.sigma_high
        and q.volume_low < k.volume_low
        and k.volume_high < q.volume_high
        and q.annual_low < k.annual_low
        and k.annual_high < q.annual_high
        and q.ema_low < k.ema_low
        and k.ema_high < q.ema_high
        and q.strain_low < k.strain_low
        and k.strain_high < q.strain_high
        and q.reference_low < k.reference_low
        and k.reference_high < q.reference_high
        and k.bid_depth_low >= q.bid_depth_low
        and k.ask_depth_low >= q.ask_depth_low
        and k.last_ms < q.until_ms
        and q.tilted_low < k.tilted_low
        and k.tilted_high < q.tilted_high
    )


def pass_quiet(p: Records, m: Columns, first: int, last: int, run: Records, path: Floats) -> int:
    """Value the bars from ``first`` on while they are quiet; the first that is not, or ``last``. Funding is booked bar by bar."""
    q, bars, blocks, wide, widest, tilted = run.quiet[0], m.bars, m.blocks, m.wide, m.widest, m.tilted
    stop = _next_settlement(m.settlements, first, last, run.state[0]) if q.holds != 0 else last
    end = first
    whole = (first // BLOCK + 1) * BLOCK  # what is left of a block is quiet where all of it is
    if first < stop and first % BLOCK != 0 and whole <= stop and _block_is_quiet(blocks[first // BLOCK], q):
        end = whole
    while end < stop:
        if end % WIDEST_BLOCK == 0 and end + WIDEST_BLOCK <= stop and _block_is_quiet(widest[end // WIDEST_BLOCK], q):
            end += WIDEST_BLOCK
        elif end % WIDE == 0 and end + WIDE <= stop and _block_is_quiet(wide[end // WIDE], q):
            end += WIDE
        elif end % BLOCK == 0 and end + BLOCK <= stop and _block_is_quiet(blocks[end // BLOCK], q):
            end += BLOCK
        elif is_quiet(bars[end], said_at(tilted, end), q):
            end += 1
        else:
            break
    return value_bars(p, m.mark, m.reference, first, end, run, path)


def _next_settlement(settlements: Ints, first: int, last: int, s: Records) -> int:
    """The next row from ``first`` on whose funding is not booked yet, or ``last``."""
    while s.settlement < len(settlements) and (settlements[s.settlement] < first or settlements[s.settlement] == s.settled_row):
        s.settlement += 1
    return min(last, int(settlements[s.settlement])) if s.settlement < len(settlements) else last


def value_bars(p: Records, mark: Floats, reference: Floats, first: int, last: int, run: Records, path: Floats) -> int:
    """Net worth after each bar on books that stand still, and how far it lies under its peak; ends early near the limit of drawdown."""
    s, q = run.state[0], run.quiet[0]
    cash, position, entry, debt, inventory = s.cash, quantity_of(p, s.lots), entry_price(p, s), s.debt, p.inventory
    peak, trough, top, worth = s.peak, s.trough, s.high_water_mark, s.nav
    watches, keeps_path = q.watches_nav != 0, len(path) > 0
    least = top * q.keeps
    i = first
    while i < last:
        worth = cash + position * (mark[i] - entry) + inventory * reference[i]
        if watches:
            if worth - debt > top:
                top = worth - debt
                least = top * q.keeps
            elif worth - debt <= least:
                break
        if worth > peak:
            _note_drawdown(s, peak, trough)
            peak = trough = worth
        elif worth < trough:
            trough = worth
        if keeps_path:
            path[i] = worth
        i += 1
    s.peak, s.trough, s.high_water_mark, s.nav = peak, trough, top, worth
    return i


def _note_drawdown(s: Records, peak: float, trough: float) -> None:
    """The way from a peak to the lowest point after it."""
    s.max_drawdown_quote = max(s.max_drawdown_quote, peak - trough)
    if peak > 0.0:
        s.max_drawdown = max(s.max_drawdown, 1.0 - trough / peak)


def close_drawdown(run: Records) -> None:
    """Count the drawdown that is not over."""
    s = run.state[0]
    _note_drawdown(s, s.peak, s.trough)
