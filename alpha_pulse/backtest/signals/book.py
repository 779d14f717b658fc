"""What a path of the combined signal trades, what each trade costs, and what the account is worth after each bar."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alpha_pulse.backtest.bars import FloatArray
from alpha_pulse.backtest.signals.config import BacktestConfig
from alpha_pulse.domain.orders import Side

_ROUNDING: Final = 1e-12  # 0.3 − 0.2 is a move of 0.1


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade, booked in full when it was made. Money in quote units, quantities in base units."""

    decided: int
    """The bar whose signal asked for it."""
    bar: int
    """The bar at whose price it was made."""
    signal: float
    """The combined signal on ``decided``; 0 where ruin closed the position."""
    quantity: float
    """Signed: bought > 0."""
    reference_price: float
    """The price of ``bar``."""
    price: float
    """What it filled at: the reference price, worse by the slippage."""
    fee: float
    position: float
    """Signed, after the trade."""

    @property
    def side(self) -> Side:
        """BUY or SELL."""
        return Side.BUY if self.quantity > 0.0 else Side.SELL

    @property
    def slippage(self) -> float:
        """Paid beyond the reference price, never negative."""
        return self.quantity * (self.price - self.reference_price)

    @property
    def cost(self) -> float:
        """Fee and slippage."""
        return self.fee + self.slippage


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A position from flat to flat, or until it changed sides. ``closed`` is None while it is open; it then counts at the last price."""

    opened: int
    closed: int | None
    side: Side
    pnl: float
    """After all costs of the trades that made it."""


@dataclass(frozen=True, slots=True)
class Book:
    """The trades, and per bar after its trades: position [base units], equity = cash + position·price [quote units]; shape (bars,)."""

    trades: tuple[Trade, ...]
    positions: FloatArray
    equity: FloatArray
    ruined: bool
    """Equity was used up (leverage, or a short in a rally): the position was closed on that bar, and nothing traded again."""


def keep_book(prices: FloatArray, signal: FloatArray, config: BacktestConfig) -> Book:
    """Trade a combined signal, shape (bars,), each value in [−1, 1].

    The quantity is decided with what is known on the deciding bar i: signal·``position_size_pct``·equity_i/price_i is the position to
    have. It trades one bar later, or at once with ``execution="close"``; what is decided on the last bar then trades no more. Between
    trades the quantity is held.
    """
    trades = _trade_all(prices, signal, config)
    book = _mark(prices, trades, config)
    if float(book.equity.min()) > 0.0:
        return book
    end = int(np.argmax(book.equity <= 0.0))  # what was traded before is not changed by what came after
    kept = [trade for trade in trades if trade.bar < end or trade.decided < end == trade.bar]
    if kept and kept[-1].position != 0.0:
        kept.append(_trade((end, end), 0.0, (kept[-1].position, 0.0), float(prices[end]), config))
    return replace(_mark(prices, kept, config), ruined=True)


def decisions(signal: FloatArray, threshold: float) -> Iterator[int]:
    """The bars on which the signal has moved by ``threshold`` or more since the last such bar; it starts from 0."""
    last, least = 0.0, threshold - _ROUNDING
    for i, value in enumerate(signal.tolist()):
        if abs(value - last) >= least:
            last = value
            yield i


def _trade_all(prices: FloatArray, signal: FloatArray, config: BacktestConfig) -> list[Trade]:
    """Every trade, as if equity could not be used up."""
    delay = 1 if config.execution == "next" else 0
    price, strength = prices.tolist(), signal.tolist()
    cash, held = config.initial_capital, 0.0
    trades: list[Trade] = []
    for i in decisions(signal[: len(prices) - delay], config.rebalance_threshold):
        target = strength[i] * config.position_size_pct * (cash + held * price[i]) / price[i]
        if target != held:
            trade = _trade((i, i + delay), strength[i], (held, target), price[i + delay], config)
            cash -= trade.quantity * trade.price + trade.fee
            held = target
            trades.append(trade)
    return trades


def _trade(bars: tuple[int, int], signal: float, positions: tuple[float, float], reference: float, config: BacktestConfig) -> Trade:
    """The trade between two positions, with its costs."""
    before, after = positions
    quantity = after - before
    price = reference * (1.0 + math.copysign(config.slippage_rate, quantity))
    return Trade(*bars, signal, quantity, reference, price, abs(quantity) * price * config.fee_rate, after)


def _mark(prices: FloatArray, trades: Sequence[Trade], config: BacktestConfig) -> Book:
    """Position and equity after every bar. Cash is summed trade by trade, so that the curve is what the trades say."""
    cash, held = [config.initial_capital], [0.0]
    for trade in trades:
        cash.append(cash[-1] - (trade.quantity * trade.price + trade.fee))
        held.append(trade.position)
    # Two trades on one bar (ruin right after a trade) leave the first in force for no bar.
    lasting = np.diff([0, *(trade.bar for trade in trades), len(prices)])
    positions = np.repeat(held, lasting)
    return Book(tuple(trades), positions, np.repeat(cash, lasting) + positions * prices, ruined=False)


def round_trips(trades: Sequence[Trade], last_price: float) -> tuple[RoundTrip, ...]:
    """The trades as round trips; their PnL adds up to the account's. A trade that changes sides shares its costs by quantity."""
    trips: list[RoundTrip] = []
    opened, flow, before = 0, 0.0, 0.0
    for trade in trades:
        paid = -trade.quantity * trade.price - trade.fee  # cash that the trade brings
        crosses = before * trade.position < 0.0
        closing = paid * abs(before / trade.quantity) if crosses else paid
        if before == 0.0:
            opened, flow = trade.bar, 0.0
        flow += closing
        if before != 0.0 and (crosses or trade.position == 0.0):
            trips.append(RoundTrip(opened, trade.bar, _side(before), flow))
            opened, flow = trade.bar, paid - closing
        before = trade.position
    if before != 0.0:
        trips.append(RoundTrip(opened, None, _side(before), flow + before * last_price))
    return tuple(trips)


def _side(position: float) -> Side:
    return Side.BUY if position > 0.0 else Side.SELL
