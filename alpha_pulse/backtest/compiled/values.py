"""What the kernels work on: settings as numbers, columns of a market, and records that are changed in place.

Prices and money are quote units, quantities base units, lots and ticks whole numbers, times milliseconds UTC. Field names are those of
the live path's own types wherever a live function reads them: that is what lets one function serve both.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

from alpha_pulse.hedging.risk.inventory_config import RiskConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Records = Any
"""A numpy array of records: numpy's stubs do not know their fields."""

TAKE, STOPPED, REST = 0, 1, 2  # what an order waits for, as ``matching.book.Kind``
GRID, REBALANCE, FLOOR, STOP = 0, 1, 2, 3  # purposes
POST_ONLY, IOC, GTC = 0, 1, 2
RECENTRE, FIXED, EMA = 0, 1, 2  # what the anchor does
NORMAL, DELTA_REDUCE, MARGIN_REDUCE, HALTED = 0, 1, 2, 3  # postures, ever narrower
PURPOSES: Final = ("grid", "rebalance", "floor", "stop")

Tiers = tuple[tuple[float, float, float], ...]
"""(largest notional, maintenance rate, maintenance amount), ascending."""

MOST_TIERS: Final = 12
MOST_LEVELS: Final = 200  # nodes a side, the most that ``grid.num_levels`` allows
_NODES: Final = 2 * MOST_LEVELS + 1
_SLOTS: Final = _NODES + 15  # orders that can be live, and fills of one bar: nodes, the gap's order, stops
_LEVELS_KNOWN: Final = 12  # supports and resistances that are known at a time


class Params(NamedTuple):
    """One set of settings, with the instrument's rules. What is switched off is infinite or zero, as its comment says."""

    inventory: float  # S, base units, signed
    inventory_units: int  # S in a unit that divides it and the lot
    lot_units: int
    lot: float
    lot_num: float  # the lot as a fraction of two exact floats: lots·num/den is the float nearest to the exact quantity
    lot_den: float
    tick: float
    tick_num: float
    tick_den: float
    min_quantity: float
    min_quantity_lots: int
    min_notional: float
    maker_fee: float
    taker_fee: float
    num_levels: int
    grid_spacing_pct: float
    volatility_multiple: float
    min_price_distance: float  # 0 = off
    geometric: bool
    anchor_rule: int
    own_ladder: bool  # the grid is the user's: it is asked on every bar
    volume_adjust: float
    snap: float
    step: float
    ratio: float
    has_sizer: bool  # the ratio is not a constant: it comes with each bar
    min_ratio: float
    holds_ratio: bool  # min_ratio was not given: never less than the pipeline's own ratio
    max_ratio: float
    amplitude: float
    amplitude_adverse: float
    band_under: float
    band_over: float
    escalate_after_ms: float
    funding_tilt: float
    funding_tilt_full: float
    lower_after_ms: float
    max_cost_share: float
    unit: float
    most: float  # largest position that the user allows
    leverage: float  # the smaller of the user's and the venue's
    max_drawdown: float  # inf = off
    has_stop: bool
    stop_loss_pct: float
    stop_volatility_multiple: float
    var_limit: float  # 0 = not given
    var_limit_pct: float  # 0 = off
    z: float
    var_horizon_days: float
    floor_half_life_ms: float
    no_increase_distance: float
    cut_distance: float
    max_active_orders: int
    max_depth_share: float
    tolerance_ticks: int
    max_slippage: float
    beyond: int  # ticks that the market must trade past an order
    queue_share: float  # 0 = volume does not limit fills
    slippage_bps: float
    leverage_limit: float  # the venue's own
    wallet: float  # at the start; NaN = |S| at the first reference price
    has_assessor: bool
    acquired_ms: float  # inf = a holder's coins do not turn over
    entry_price: float  # of the inventory; 0 = the first price seen
    tiers: Tiers
    scores: tuple[float, ...]  # the numbers of ``RiskConfig``, in its order


_WHOLE_FIELDS: Final = {"close_ms", "row", "open_ms", "level_set"}

BAR: Final = np.dtype(
    [
        (name, "i8" if name in _WHOLE_FIELDS else "f8")
        for name in (
            # what a quiet bar is told by comes first, so that it costs few lines of the processor's cache
            "low", "high", "mark_low", "mark_high", "bid", "ask", "volatility", "close_ms",
            "volume_ratio",
            "funding_annual",  # expected rate per year
            "anchor_ema",
            "reference",  # of the inventory: spot, or the index while spot is out
            "bid_depth", "ask_depth",  # 0 where unknown
            "settled",  # NaN where no funding settles
            "row", "open_ms", "level_set",
            "open", "close", "volume", "mark_open", "mark_close",
            "volume_day",
        )
    ]
)  # fmt: skip

BLOCK, WIDE, WIDEST_BLOCK = 8, 32, 160
"""Bars that are looked at together while nothing happens: ever larger blocks, each a multiple of the one before. Eight hours of minutes,
from one funding to the next, are three of the largest."""

BLOCK_OF_BARS: Final = np.dtype(
    [
        (name, "f4")
        for name in (
            "low", "high", "mark_low", "mark_high", "bid_low", "bid_high", "ask_low", "ask_high", "sigma_low", "sigma_high",
            "volume_low", "volume_high", "annual_low", "annual_high", "ema_low", "ema_high", "strain_low", "strain_high",
            "reference_low", "reference_high", "bid_depth_low", "ask_depth_low", "last_ms",
            "tilted_low", "tilted_high",
        )
    ]
)  # fmt: skip
"""The extremes of a block, rounded outward; strain is σ·reference, what an absolute VaR limit is held against; tilted is what a sizer says,
0 where none is asked."""

LEVEL_SET: Final = np.dtype([("count", "i8"), ("price", "f8", (_LEVELS_KNOWN,))])
"""Supports then resistances, nearest first."""


class Columns(NamedTuple):
    """A market: ``bars`` of BAR, their extremes in three sizes of block, the rows at which funding settles, and what valuing reads."""

    bars: Records
    blocks: Records
    wide: Records
    widest: Records
    level_sets: Records
    settlements: Ints
    mark: Floats
    reference: Floats
    sized: Floats = np.empty(0)
    """What the sizer says at each bar; empty with a constant one."""
    tilted: Floats = np.empty(0)
    """The same after the funding tilt."""


class Regime(NamedTuple):
    """Volatility and volume as the grid uses them."""

    volatility: float
    volume_factor: float


class GridRule(NamedTuple):
    """The settings of the grid as the live path names them."""

    spacing: str
    grid_spacing_pct: float
    volatility_multiple: float
    min_price_distance: float
    num_levels: int


ORDER: Final = np.dtype(
    [
        ("sequence", "i8"),
        ("kind", "i8"),
        ("sign", "i8"),
        ("purpose", "i8"),
        ("tif", "i8"),
        ("node", "i8"),
        ("ticks", "i8"),
        ("trigger_ticks", "i8"),
        ("lots", "i8"),
        ("filled", "i8"),
        ("keep", "i8"),  # of the plan at hand
        ("reach", "f8"),
        ("trigger", "f8"),
    ]
)

WISH: Final = np.dtype(
    [(name, "i8") for name in ("purpose", "sign", "tif", "node", "ticks", "lots", "missing", "approved", "laid")]
    + [("price", "f8"), ("away", "f8")]
)

OWN_LEVEL: Final = np.dtype([(name, "f8") for name in ("sign", "price", "quantity", "node")])
"""What a ladder of the user's own writes: −1 sells and +1 buys, price > 0, quantity > 0 in base units, node as in ``GridLevel``."""

REJECTION: Final = np.dtype([(name, "i8") for name in ("purpose", "sign", "node", "tries", "until_ms")])

FILL: Final = np.dtype(
    [(name, "i8") for name in ("row", "ts_ms", "sign", "ticks", "lots", "purpose", "node", "taker", "liquidation")]
    + [(name, "f8") for name in ("price", "quantity", "fee", "reference")]
)

FUNDING: Final = np.dtype([("row", "i8"), ("ts_ms", "i8"), ("rate", "f8"), ("mark", "f8"), ("quantity", "f8"), ("amount", "f8")])

STRETCH: Final = np.dtype(
    [("row", "i8"), ("posture", "i8"), ("latched", "i8")]
    + [(name, "f8") for name in ("position", "entry", "wallet", "ratio", "floor", "anchor", "spacing", "cap")]
)

NODE: Final = np.dtype([("sell_ticks", "i8"), ("buy_ticks", "i8"), ("min_lots", "i8"), ("target", "f8"), ("snapped", "f8")])

CURVE: Final = np.dtype(
    [
        ("anchor", "f8"),
        ("spacing", "f8"),
        ("levels", "i8"),
        ("geometric", "?"),
        ("ratio", "f8"),
        ("floor", "f8"),
        ("min_ratio", "f8"),
        ("max_ratio", "f8"),
        ("amplitude", "f8"),
        ("amplitude_adverse", "f8"),
        ("inventory", "f8"),
        ("max_abs_position", "f8"),
        ("neutral_size", "f8"),
    ]
)
"""The fields of ``CurveParameters``."""

_WHOLE: Final = (
    # the venue
    "lots", "sequence", "orders", "takers", "stale", "budget", "liquidated", "settled_row", "settlement", "book_version", "account_version",
    "stop_filled",
    # memory
    "seen", "has_target", "has_curve", "raised_ms", "floor_since_ms", "stop_latched", "drawdown_latched", "liquidation_seen", "halted",
    "margin_cut", "posture", "gap_since_ms", "rejections", "target_moved", "curve_version",
    # the ladder and the plan that stand
    "table_version", "first_sell", "first_buy", "key_low", "key_high", "levels", "wishes",
    "wished_gap", "wished_posture", "wished_rejections", "crowded",
    "level_set", "settled", "settled_book", "settled_account", "settled_curve",
    # the gap of this tick
    "gap_short", "gap_lots", "gap_sign", "gap_ticks", "gap_purpose", "gap_tif",
    # counters
    "fills", "bar_fills", "fundings", "bar_fundings", "stretches", "ticks", "recentres", "stops_fired", "stops_latched",
    "drawdowns_latched", "partial_fills", "liquidations", "rejected", "refused", "lately_refused", "cuts", "floors", "maker_fills",
)  # fmt: skip

_REAL: Final = (
    "cash", "cost", "realized", "fees", "funding", "wallet_start",
    "buy_reach", "sell_reach", "stop_low", "stop_high", "mark_low", "mark_high", "liquidation_low", "liquidation_high",
    "high_water_mark", "debt", "asked", "entry",
    "soft_floor", "stop_reference", "cap", "ratio", "floor", "min_ratio", "volatility_held", "volume_factor",
    "key_trigger", "settled_trigger",
    # of this tick
    "sized", "tilted", "hard_cap", "reduce_to", "stop_distance", "equity", "trigger",
    # sums
    "turnover", "nav", "nav_start", "peak", "trough", "max_drawdown", "max_drawdown_quote",
)  # fmt: skip

QUIET: Final = np.dtype(
    [("on", "i8"), ("holds", "i8"), ("watches_nav", "i8"), ("until_ms", "f8")]
    + [
        (name, "f8")
        for name in (
            "low", "high", "mark_low", "mark_high", "bid_low", "bid_high", "ask_low", "ask_high", "sigma_low", "sigma_high",
            "volume_low", "volume_high", "annual_low", "annual_high", "ema_low", "ema_high", "strain_low", "strain_high",
            "reference_low", "reference_high", "bid_depth_low", "ask_depth_low", "keeps", "tilted_low", "tilted_high",
        )
    ]
)  # fmt: skip
"""Bounds within which nothing happens; strict but for bid and ask. ``keeps``: the share of the high-water mark that must be kept."""

STATE: Final = np.dtype(
    [(name, "i8") for name in _WHOLE]
    + [(name, "f8") for name in _REAL]
    + [("sent_orders", "i8", (len(PURPOSES),)), ("sent_lots", "i8", (len(PURPOSES),))]
)


SCORES: Final = np.dtype([(field.name, "f8") for field in fields(RiskConfig)])
"""The inventory assessor's numbers, under the names that its formulas read."""

_NESTED: Final = {"tiers", "scores"}

PARAMS: Final = np.dtype(
    [(name, "f8" if kind is float else "i8") for name, kind in get_type_hints(Params).items() if name not in _NESTED]
    + [("tiers", "f8", (MOST_TIERS, 3)), ("scores", SCORES, (1,))]
)

RUN: Final = np.dtype(
    [
        ("state", STATE, (1,)),
        ("curve", CURVE, (1,)),
        ("quiet", QUIET, (1,)),
        ("levels_known", LEVEL_SET, (1,)),
        ("orders", ORDER, (_SLOTS,)),
        ("nodes", NODE, (_NODES,)),
        ("levels", WISH, (_NODES,)),  # the ladder
        ("asked", OWN_LEVEL, (_NODES,)),  # by a ladder of the user's own
        ("asked_before", OWN_LEVEL, (_NODES,)),
        ("wishes", WISH, (_NODES + 1,)),  # what should be live, the stop apart
        ("rejections", REJECTION, (2 * _SLOTS,)),
        ("fills", FILL, (_SLOTS,)),  # of this bar
        ("funding", FUNDING, (1,)),  # of this bar
    ]
)
"""Everything that a run changes while it goes, in one record: a kernel is handed one pointer."""


class Notes(NamedTuple):
    """What a run writes down. Empty arrays: nothing of the kind is wanted."""

    fills: Records
    funding: Records
    stretches: Records
    path: Floats  # net worth after each bar


def new_run() -> Records:
    """Empty books."""
    return records(RUN, 1)


def params_record(params: Params) -> Records:
    """The settings as a record."""
    made = records(PARAMS, 1)
    for name, value in zip(Params._fields, params, strict=True):
        made[name][0] = value
    return made


def records(dtype: np.dtype[Any], count: int) -> Records:
    """Zeroed records whose fields are attributes."""
    return np.zeros(count, dtype).view(np.recarray)
