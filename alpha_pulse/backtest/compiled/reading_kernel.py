"""Reading a market, as a kernel: updates in, bars out, in the steps and by the functions of the live data provider."""

from __future__ import annotations

import math
from typing import Final, get_type_hints

import numpy as np

from alpha_pulse.backtest.compiled.values import Floats, Records
from alpha_pulse.market.columns import UpdateColumns
from alpha_pulse.market.provider import Running, take_bar
from alpha_pulse.market.sanity import Prices, is_sound

RUNNING: Final = np.dtype(
    [(name, "f8" if kind is float else "i8") for name, kind in get_type_hints(Running).items()]
    + [("hours", "i8"), ("rate", "f8"), ("interval", "f8")]
)
"""The fields of ``Running``, how many hourly candles have closed, and the last update's funding."""

HOUR: Final = np.dtype([(name, "f8") for name in ("high", "low", "close", "volume", "end_ms", "volatility", "rate", "interval")])
"""A closed hourly candle, with what was known of volatility and funding when it closed."""


def read_bars(memory: Records, updates: UpdateColumns, start: int, bars: Records, hours: Records) -> int:
    """Take the updates from number ``start`` on, up to one that nobody acts upon; its number, or how many there are.

    ``bars[i]`` is what update i leaves; its ``level_set`` is how many hourly candles had closed. ``hours`` has room for one candle a bar.
    What is read once an hour, and funding per year, are left to the caller.
    """
    running = memory[0]
    for i in range(start, len(updates.close_ms)):
        open_ms, close_ms = updates.open_ms[i], updates.close_ms[i]
        perp, mark = bar_at(updates.perp, i), bar_at(updates.mark, i)
        spot_out = math.isnan(updates.spot[0, i])
        spot = perp if spot_out else bar_at(updates.spot, i)
        index, bid, ask, rate, settled = (
            updates.index_price[i],
            updates.bid[i],
            updates.ask[i],
            updates.funding_rate[i],
            updates.settled_rate[i],
        )
        sound = is_sound(perp, mark, spot, index, bid, ask, rate, 0.0 if math.isnan(settled) else settled)
        if not sound or close_ms <= running.close_ms:
            return i
        late = 0 < running.hour_end <= open_ms
        if late:
            close_hour(running, hours)
        take_bar(running, open_ms, close_ms, perp)
        if late:
            note_knowledge(running, hours)
        running.rate, running.interval = rate, updates.funding_interval_h[i]
        if close_ms >= running.hour_end:
            close_hour(running, hours)
            note_knowledge(running, hours)
        bar = bars[i]
        bar.open_ms, bar.close_ms = open_ms, close_ms
        bar.open, bar.high, bar.low, bar.close, bar.volume = perp
        bar.mark_open, bar.mark_high, bar.mark_low, bar.mark_close = mark[0], mark[1], mark[2], mark[3]
        bar.reference = index if spot_out else spot[3]
        bar.bid, bar.ask = bid, ask
        bar.bid_depth, bar.ask_depth = updates.bid_depth[i], updates.ask_depth[i]
        bar.settled = settled
        bar.volatility = math.sqrt(running.variance)
        bar.anchor_ema = running.ema
        bar.level_set = running.hours
    return len(updates.close_ms)


def bar_at(table: Floats, i: int) -> Prices:
    """One bar of a table of them, shape (5, n)."""
    return table[0, i], table[1, i], table[2, i], table[3, i], table[4, i]


def close_hour(running: Records, hours: Records) -> None:
    """Write the hour's candle down."""
    hour = hours[running.hours]
    hour.high = running.high
    hour.low = running.low
    hour.close = running.close
    hour.volume = running.volume
    hour.end_ms = running.hour_end
    running.hours += 1
    running.hour_end = 0


def note_knowledge(running: Records, hours: Records) -> None:
    """Write down what the live path knows when it reads the hour that closed last: of one that closed late, a bar more."""
    hour = hours[running.hours - 1]
    hour.volatility = math.sqrt(running.variance)
    hour.rate = running.rate
    hour.interval = running.interval
