"""A hedging grid in the plainest Python, written from the design's page alone: slow, and independent of everything that it checks.

It knows a constant ratio, a geometric grid of fixed spacing, the anchors `fixed` and `recentre`, bands and gaps, fees, funding and the fill
rules `touch` and `through`. It has no stop, no floor and no limit that binds: those settings must be off. Every close it throws its
orders away and lays new ones, which is the same thing as keeping them where no queue is modelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from alpha_pulse.domain.market import MarketUpdate

Trade = tuple[int, int, float, float]


@dataclass
class Rules:
    coins: Fraction  # S > 0
    ratio: float
    min_ratio: float
    max_ratio: float
    favourable: float
    adverse: float
    spacing: float
    nodes: int
    is_fixed: bool
    band_under: float
    band_over: float
    tick: Fraction
    lot: Fraction
    least_value: float  # of an order
    maker_fee: Fraction
    taker_fee: Fraction
    slippage: float  # fraction of price
    most_slippage: float
    through: bool


@dataclass
class Order:
    sign: int
    ticks: int
    lots: int
    takes: bool


@dataclass
class NaiveGrid:
    rules: Rules
    cash: Fraction
    lots: int = 0
    cost: Fraction = Fraction(0)
    anchor: float = 0.0
    gap_since: int = 0
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)

    def run(self, updates: Sequence[MarketUpdate]) -> None:
        for update in updates:
            if update.settled_rate is not None:
                self.cash -= self.lots * self.rules.lot * exactly(update.mark.open) * exactly(update.settled_rate)
            self.take_at_open(update)
            self.travel(update)
            self.decide(update)

    # --- the venue ----------------------------------------------------------------------------------------------------
    def trade(self, order: Order, ticks: int, fee: Fraction, update: MarketUpdate) -> None:
        """Cash pays for everything at once: position at cost, so that cash here is the wallet less what the position cost."""
        r = self.rules
        value = order.lots * r.lot * ticks * r.tick
        self.cash -= order.sign * value + value * fee
        self.lots += order.sign * order.lots
        self.trades.append((update.close_ms, order.sign, float(ticks * r.tick), float(order.lots * r.lot)))
        self.orders.remove(order)

    def take_at_open(self, update: MarketUpdate) -> None:
        r = self.rules
        for order in [order for order in self.orders if order.takes]:
            half = 0.5 * (update.ask - update.bid)
            paid = update.perp.open + order.sign * (half + update.perp.open * r.slippage)
            ticks = math.ceil(paid / float(r.tick) - 1e-6) if order.sign > 0 else math.floor(paid / float(r.tick) + 1e-6)
            if order.sign * (order.ticks * float(r.tick) - update.perp.open) - half >= update.perp.open * r.slippage:
                self.trade(order, order.sign * min(order.sign * ticks, order.sign * order.ticks), r.taker_fee, update)
            else:
                self.orders.remove(order)

    def travel(self, update: MarketUpdate) -> None:
        """Open, nearer extreme, other extreme, close; on the way every order that is reached, in the order of the way."""
        bar, r = update.perp, self.rules
        low_first = bar.open - bar.low <= bar.high - bar.open
        stations = [bar.open, *((bar.low, bar.high) if low_first else (bar.high, bar.low)), bar.close]
        for start, end in pairwise(stations):
            beyond = 1 if r.through else 0
            reached = []
            for order in self.orders:
                place = (order.ticks - order.sign * beyond) * float(r.tick)
                near = 1e-6 * float(r.tick)
                if min(start, end) <= place + near if order.sign > 0 else max(start, end) >= place - near:
                    reached.append((abs(place - start), order))
            for _, order in sorted(reached, key=lambda one: one[0]):
                self.trade(order, order.ticks, r.maker_fee, update)

    # --- the bot ------------------------------------------------------------------------------------------------------
    def node(self, k: int) -> float:
        return self.anchor * math.exp(k * math.log1p(self.rules.spacing))

    def target(self, x: float) -> float:
        r = self.rules
        x = max(-1.0, min(1.0, x))
        share = r.ratio + r.favourable * max(x, 0.0) + r.adverse * min(x, 0.0)
        return -float(r.coins) * min(max(share, r.min_ratio), r.max_ratio, 1.0)

    def decide(self, update: MarketUpdate) -> None:
        r, tick, lot = self.rules, float(self.rules.tick), float(self.rules.lot)
        mid = 0.5 * (update.bid + update.ask)
        passed = self.anchor > 0.0 and not self.node(-r.nodes - 1) < mid < self.node(r.nodes + 1)
        if self.anchor == 0.0 or (passed and not r.is_fixed):
            self.anchor = round(mid / tick) * tick
        gap = self.gap_order(update, mid)
        self.orders = [] if gap is None else [gap]
        low = self.lots - (gap.lots if gap is not None and gap.sign < 0 else 0)
        high = self.lots + (gap.lots if gap is not None and gap.sign > 0 else 0)
        placed = 0
        for k in range(-r.nodes, r.nodes + 1):  # upwards: sells
            ticks = math.ceil(self.node(k) / tick - 1e-7)
            if ticks > math.floor(update.bid / tick + 1e-7):
                total = max(0, low - math.ceil(self.target(k / r.nodes) / lot - 1e-7))
                placed = self.lay(-1, ticks, total, placed, k)
        placed = 0
        for k in range(r.nodes, -r.nodes - 1, -1):  # downwards: buys
            ticks = math.floor(self.node(k) / tick + 1e-7)
            if ticks < math.ceil(update.ask / tick - 1e-7):
                total = max(0, math.floor(self.target(k / r.nodes) / lot + 1e-7) - high)
                placed = self.lay(1, ticks, total, placed, k)

    def lay(self, sign: int, ticks: int, total: int, placed: int, k: int) -> int:
        """One rung; what is under the minimum is carried outward."""
        if (total - placed) * float(self.rules.lot) * self.node(k) < self.rules.least_value or total == placed:
            return placed
        self.orders.append(Order(sign, ticks, total - placed, takes=False))
        return total

    def gap_order(self, update: MarketUpdate, mid: float) -> Order | None:
        r, tick = self.rules, float(self.rules.tick)
        step = float(r.coins) * max(r.favourable, r.adverse) / r.nodes
        away = self.target(math.log(mid / self.anchor) / (r.nodes * math.log1p(r.spacing))) - self.lots * float(r.lot)
        band = max((r.band_under if away < 0.0 else r.band_over) * float(r.coins), 1.5 * step)
        if abs(away) <= (band if self.gap_since == 0 else max(0.5 * step, float(r.lot))):
            self.gap_since = 0
            return None
        lots = int(abs(away) / float(r.lot) + 1e-7)
        if lots * float(r.lot) * update.mark.close < r.least_value:
            self.gap_since = 0
            return None
        self.gap_since = self.gap_since or update.close_ms
        if update.close_ms - self.gap_since < 30_000:  # patiently at the touch, then as a taker
            touch = math.ceil(update.ask / tick - 1e-7) if away < 0.0 else math.floor(update.bid / tick + 1e-7)
            return Order(-1 if away < 0.0 else 1, touch, lots, takes=False)
        if away < 0.0:
            return Order(-1, math.ceil(update.bid * (1.0 - r.most_slippage) / tick - 1e-7), lots, takes=True)
        return Order(1, math.floor(update.ask * (1.0 + r.most_slippage) / tick + 1e-7), lots, takes=True)


def exactly(value: float) -> Fraction:
    return Fraction(repr(value))
