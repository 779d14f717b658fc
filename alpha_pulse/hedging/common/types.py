"""The values that flow through one tick: market and position in, target and orders out, memory from tick to tick.

Units: prices in quote per base unit, quantities in base units of the perpetual, ratios and rates as fractions, times in
milliseconds UTC. ``Decimal`` where a person or a venue reads it, ``float`` where statistics and the kernel compute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from alpha_pulse.domain.instrument import ZERO, Instrument, exact
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Order, OrderRequest, OrderType, Purpose, Side, TimeInForce
from alpha_pulse.domain.position import Account
from alpha_pulse.hedging.common.advice import Advice
from alpha_pulse.hedging.common.portfolio import PortfolioView


class Indicators(NamedTuple):
    """What the market's history says. Every number names its unit; the same object returns until one of them changed.

    A named tuple, like the market data: a new one is made for every bar of a replay.
    """

    volatility_day: float  # standard deviation of log returns over one day (EWMA)
    volatility_day_range: float  # the same by Yang–Zhang from hourly bars; 0 until there are enough
    atr: float  # average true range of hourly bars, quote units; 0 until there are enough
    volume_ratio: float  # last hours' volume over its longer average; 1 = usual
    trend: float  # −1 … +1, direction and strength
    anchor_ema: float  # exponential average price, for ``anchor: ema``
    supports: tuple[float, ...] = ()  # prices below, nearest first
    resistances: tuple[float, ...] = ()  # prices above, nearest first
    ready: bool = False  # enough history was seen for the estimates to stand on their own
    momentum: float = 0.0  # mean log return per day over up to 20 days
    zscore: float = 0.0  # price against its mean over up to 20 days, in standard deviations
    volatility_rank: float = 0.5  # share of the last 90 days on which volatility was not above now's
    funding_annual: float = 0.0  # expected funding per year, smoothed; positive pays a short
    residuals: tuple[float, ...] = ()  # daily returns over the volatility known before each, oldest first: the tails
    volume_day: float = 0.0  # of the perpetual, base units a day over the last two weeks; 0 until there is enough


@dataclass(frozen=True, slots=True)
class MarketState:
    """Everything about the market that a calculator may want, frozen. ``raw`` holds the feed's floats; the properties give Decimals."""

    symbol: str
    raw: MarketUpdate
    indicators: Indicators
    stale_reason: str = ""  # not empty: nothing may be quoted on this market

    @property
    def now_ms(self) -> int:
        """When this was known."""
        return self.raw.close_ms

    @property
    def mid(self) -> float:
        """Middle of the perpetual's bid and ask, as a float."""
        return 0.5 * (self.raw.bid + self.raw.ask)

    @property
    def reference(self) -> float:
        """Price of the inventory: the spot's last price, or the index while spot is out."""
        spot = self.raw.spot
        return spot.close if spot is not None else self.raw.index_price

    @property
    def bid(self) -> Decimal:
        """Best bid of the perpetual."""
        return exact(self.raw.bid)

    @property
    def ask(self) -> Decimal:
        """Best ask of the perpetual."""
        return exact(self.raw.ask)

    @property
    def last(self) -> Decimal:
        """Last traded price of the perpetual."""
        return exact(self.raw.perp.close)

    @property
    def mark(self) -> Decimal:
        """Mark price: stops, liquidation, NAV and funding use it."""
        return exact(self.raw.mark.close)

    @property
    def index(self) -> Decimal:
        """Index price."""
        return exact(self.raw.index_price)

    @property
    def spot(self) -> Decimal | None:
        """Last spot price, or None while spot is out."""
        return None if self.raw.spot is None else exact(self.raw.spot.close)

    @property
    def funding_rate(self) -> Decimal:
        """Expected rate at the next settlement, fraction of notional; positive pays a short."""
        return exact(self.raw.funding_rate)

    @property
    def funding_interval_hours(self) -> float:
        """Hours between settlements (1, 4 or 8)."""
        return self.raw.funding_interval_h

    @property
    def next_funding_ms(self) -> int:
        """When funding settles next."""
        return self.raw.next_funding_ms

    @property
    def volatility_day(self) -> float:
        """Standard deviation of log returns over one day, as a fraction."""
        return self.indicators.volatility_day

    @property
    def volume(self) -> float:
        """Volume of the last step, base units."""
        return self.raw.perp.volume

    @property
    def depth(self) -> tuple[float, float]:
        """Notional within 1 % of mid on the (bid, ask) side, quote units; 0 = unknown."""
        return self.raw.bid_depth, self.raw.ask_depth

    @property
    def supports(self) -> tuple[float, ...]:
        """Support prices, nearest first."""
        return self.indicators.supports

    @property
    def resistances(self) -> tuple[float, ...]:
        """Resistance prices, nearest first."""
        return self.indicators.resistances


@dataclass(frozen=True, slots=True)
class Contribution:
    """One step of the pipeline that leads to a ratio or a floor: why the hedge is what it is."""

    name: str
    before: float
    after: float
    reason: str
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HedgeTarget:
    """How much to hedge: ``ratio`` h at the anchor, bounded by [min_ratio, max_ratio], never under ``floor`` f."""

    ratio: float
    floor: float
    min_ratio: float
    max_ratio: float
    contributions: tuple[Contribution, ...] = ()
    raised_ms: int = 0  # when the ratio last rose; 0 = not since it was set


@dataclass(frozen=True, slots=True)
class CurveParameters:
    """The hedge curve (docs/reference/formulas.md), in floats for the kernel. It changes only in steps: else the same object returns."""

    anchor: float  # A, quote units
    spacing: float  # s, fraction
    levels: int  # n, nodes a side
    geometric: bool
    ratio: float  # h
    floor: float  # f
    min_ratio: float  # h_min
    max_ratio: float  # h_max
    amplitude: float  # a_fav
    amplitude_adverse: float  # a_adv
    inventory: float  # S, base units, signed
    max_abs_position: float  # min(max(margin cap, |F|), max_position_size) as quantised for this curve; math.inf = not binding
    neutral_size: float = 0.0  # M, only with S = 0
    snapped: tuple[tuple[int, float], ...] = ()  # (node, price): nodes moved to a support or resistance


@dataclass(frozen=True, slots=True)
class PositionState:
    """What a calculator may know about the account. Perpetual quantities are signed."""

    symbol: str
    instrument: Instrument
    inventory: Decimal  # S
    perpetual: Decimal  # F
    target: HedgeTarget
    curve: CurveParameters
    entry_price: Decimal
    inventory_entry_price: Decimal
    mark: float
    wallet: Decimal
    realized_pnl: Decimal
    fees_paid: Decimal
    funding_received: Decimal
    pending: Decimal = ZERO  # what an order that closes a gap may still add to F, signed
    stop_trigger: float = 0.0  # no unwinding node rests at or beyond it; 0 = no stop

    @property
    def lowest(self) -> Decimal:
        """Where F may stand before any sell of the ladder fills: sells start from here."""
        return self.perpetual + min(self.pending, ZERO)

    @property
    def highest(self) -> Decimal:
        """Where F may stand before any buy of the ladder fills: buys start from here."""
        return self.perpetual + max(self.pending, ZERO)

    @property
    def anchor(self) -> float:
        """Anchor price A of the curve."""
        return self.curve.anchor

    @property
    def unrealized_pnl(self) -> Decimal:
        """PnL of the open perpetual position at mark, quote units."""
        return self.perpetual * (exact(self.mark) - self.entry_price) if self.perpetual else ZERO

    @property
    def net_delta(self) -> Decimal:
        """Inventory plus perpetual, base units."""
        return self.inventory + self.perpetual


@dataclass(frozen=True, slots=True)
class GridLevel:
    """One rung that a calculator wants: a post-only limit order. Quantity > 0 in base units."""

    side: Side
    price: Decimal
    quantity: Decimal
    node: int = 0


@dataclass(frozen=True, slots=True)
class DesiredOrder:
    """An order that should be live after this tick, before it has an id."""

    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    purpose: Purpose
    node: int = 0
    time_in_force: TimeInForce = TimeInForce.POST_ONLY
    trigger_price: Decimal | None = None
    reduce_only: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The smallest change from open to desired orders."""

    keep: tuple[Order, ...]
    cancel: tuple[Order, ...]
    place: tuple[OrderRequest, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing to send."""
        return not self.cancel and not self.place


class RiskState(StrEnum):
    """Postures, from free to stopped. None of them is the venue's reduceOnly flag."""

    NORMAL = "normal"
    DELTA_REDUCE = "delta_reduce"  # only orders that shrink |S + F|
    MARGIN_REDUCE = "margin_reduce"  # only orders that shrink |F|
    HALTED = "halted"  # nothing new; the stop stays


@dataclass(frozen=True, slots=True)
class RiskMemory:
    """What risk remembers from tick to tick. The same object returns while nothing in it changed."""

    high_water_mark: float = 0.0  # of the NAV, quote units; 0 before the first tick
    inventory: Decimal | None = None  # last seen S; None before the first tick
    deposits: Decimal = ZERO  # wallet deposits already accounted for
    debt: float = 0.0  # with a short inventory: its value when it was taken on (≤ 0), so that only its change counts
    soft_floor: float = 0.0  # the floor without latches: rises at once, decays slowly
    floor_since_ms: int = 0  # since when nobody asks for the soft floor as it stands, or when it last fell; 0 = it is asked for
    stop_reference: float = 0.0  # highest anchor since the last latch (lowest for S < 0); 0 = the next anchor
    stop_latched: bool = False
    portfolio_latched: bool = False  # the drawdown of all pairs together reached its limit
    portfolio_drawdown: float = 0.0  # of all pairs together as last seen, fraction: a restart goes on from it
    flattened: bool = False  # the user asked to remove the hedge: no position and no stop until resumed
    hedge_by: str = ""  # the assessor's instrument, held against flapping; empty where spot is never sold
    latched_below: bool = True  # the stop that latched lies below its reference: released when mark is back above
    liquidation_seen: bool = False  # the venue's liquidation has halted the bot already; resuming may clear that
    drawdown_latched: bool = False
    halted: str = ""  # why; not empty until the user resumes
    margin_cut: bool = False  # the position was cut and liquidation is still near
    cap: float = math.inf  # margin cap as the curve uses it: moves in steps; inf = not binding
    state: RiskState = RiskState.NORMAL
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know, raised once while it lasts. ``text`` says what to do."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What risk says about a snapshot."""

    target: HedgeTarget
    memory: RiskMemory
    max_abs_position: float  # base units; the hard cap of this snapshot
    reduce_to: float  # cut |F| to this many base units at once; inf = no cut
    stop_distance: float  # fraction of the reference; 0 = no stop wanted
    value_at_risk: float  # of the unhedged inventory, quote units
    nav: float  # adjusted for flows, quote units
    drawdown: float  # from the high-water mark, fraction
    liquidation_distance: float  # how far mark may move against the perpetual, fraction; inf = it cannot be liquidated
    alerts: tuple[Alert, ...] = ()
    most: float = math.inf  # base units; limits that no order may pass, the stop included: position size, share of the portfolio

    @property
    def state(self) -> RiskState:
        """The posture of this tick."""
        return self.memory.state


@dataclass(frozen=True, slots=True)
class Rejection:
    """The venue refused an order of this kind, so often in a row, and is not asked again before ``until_ms``."""

    purpose: Purpose
    side: Side
    node: int
    tries: int
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class BotState:
    """The bot's whole memory from tick to tick. Orders are not in it: the venue knows them."""

    generation: int = 0  # of client order ids; rises with each order placed
    curve: CurveParameters | None = None  # None before the first tick
    volatility_held: float = 0.0  # σ_day as the spacing and the stop use it: moves in steps
    volume_factor: float = 1.0  # spacing multiplier of the volume regime, held
    target: HedgeTarget | None = None
    risk: RiskMemory = RiskMemory()
    gap_since_ms: int = 0  # when the gap outside the band was first seen; 0 = none
    inventory_entry_price: Decimal = ZERO
    fills_booked: int = 0  # how many of the venue's fills of this pair are booked
    funding_booked: int = 0
    alerts: tuple[str, ...] = ()  # keys of alerts that still last, so that each is raised once
    unknown: tuple[OrderRequest, ...] = ()  # sent, outcome unknown: count as live and as filled
    rejected: tuple[Rejection, ...] = ()  # what the venue refused, and until when it is not asked again
    settings_digest: str = ""  # a change of settings resets the hysteresis


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision may see. Frozen: the same snapshot always gives the same decision."""

    tick_id: str
    market: MarketState
    instrument: Instrument
    inventory: Decimal  # S, base units of the perpetual
    account: Account
    open_orders: tuple[Order, ...]
    state: BotState
    stop_filled: bool = False  # the resting stop filled since the last tick
    dead_man_switch: bool = False  # the venue cancels resting grid orders if the bot dies
    by_hand: bool = False  # a person carries the orders out (recommendation mode): they should not change with every tick
    advice: Advice | None = None  # of a language model, still valid; it may raise the floor a little
    portfolio: PortfolioView | None = None  # all pairs of this process, where there are several


@dataclass(frozen=True, slots=True)
class BrokerCapabilities:
    """What a broker can do that changes decisions."""

    executes: bool  # False: recommendation mode, a person executes
    dead_man_switch: bool  # resting grid orders are cancelled by the venue if the bot dies (the stop is spared)
    simulated: bool  # the venue lives in this process: no other party can trade on it
