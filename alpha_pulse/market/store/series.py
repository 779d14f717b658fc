"""What the store knows: markets, their columns with units, timeframes, months."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from alpha_pulse.errors import ConfigError
from alpha_pulse.market.files import HOUR_MS, MINUTE_MS, Floats, Stamps

DAY_MS: Final = 24 * HOUR_MS

TIMEFRAMES: Final = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "1d": DAY_MS,
}
"""Length of a bar by its name [ms]. The bot itself runs on bars of an hour and less."""

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Kind(StrEnum):
    """What a row is."""

    CANDLES = "candles"
    FUNDING = "funding"
    TRADES = "trades"
    QUOTES = "quotes"


class Market(StrEnum):
    """What is recorded of a pair. Trades and quotes are the perpetual's where nothing else is said."""

    SPOT = "spot"
    PERP = "perp"
    MARK = "mark"
    FUNDING = "funding"
    TRADES = "trades"
    QUOTES = "quotes"
    SPOT_TRADES = "spot-trades"
    SPOT_QUOTES = "spot-quotes"

    @property
    def kind(self) -> Kind:
        """What its rows are."""
        match self:
            case Market.FUNDING:
                return Kind.FUNDING
            case Market.TRADES | Market.SPOT_TRADES:
                return Kind.TRADES
            case Market.QUOTES | Market.SPOT_QUOTES:
                return Kind.QUOTES
            case _:
                return Kind.CANDLES

    @property
    def columns(self) -> tuple[str, ...]:
        """Its columns after ``timestamp``, in their order. Mark prices have no volume."""
        every = tuple(COLUMNS[self.kind])
        return every[:-1] if self is Market.MARK else every


COLUMNS: Final[dict[Kind, dict[str, str]]] = {
    Kind.CANDLES: dict.fromkeys(("open", "high", "low", "close"), "quote units per base unit") | {"volume": "base units"},
    Kind.FUNDING: {"rate": "fraction of notional per interval; above 0 longs pay shorts"},
    Kind.TRADES: {
        "price": "quote units per base unit",
        "quantity": "base units",
        "buyer_is_maker": "true: the seller took; null: not known",
    },
    Kind.QUOTES: {
        "bid": "quote units per base unit",
        "bid_quantity": "base units; null: not known",
        "ask": "quote units per base unit",
        "ask_quantity": "base units; null: not known",
    },
}
"""By kind of row: the columns after ``timestamp``, each with its unit."""

TIMESTAMP: Final[dict[Kind, str]] = {
    Kind.CANDLES: "milliseconds since the epoch, UTC, at which the bar opens",
    Kind.FUNDING: "milliseconds since the epoch, UTC, of the settlement, rounded to the minute",
    Kind.TRADES: "milliseconds since the epoch, UTC",
    Kind.QUOTES: "milliseconds since the epoch, UTC",
}
"""By kind of row: the unit of ``timestamp``."""

MAY_LACK: Final = frozenset({"buyer_is_maker", "bid_quantity", "ask_quantity"})
"""Columns whose values may be unknown (NaN here, null in the file)."""


class Series(NamedTuple):
    """One recorded series. ``pair`` as ``BTCUSDT``; ``timeframe`` is empty for what has none (funding, trades, quotes)."""

    pair: str
    market: Market
    timeframe: str = ""

    @property
    def step_ms(self) -> int | None:
        """Length of a bar [ms]; None for what has no timeframe."""
        return TIMEFRAMES[self.timeframe] if self.timeframe else None

    @property
    def once(self) -> bool:
        """Whether a time can have one row only. Several trades happen in one millisecond, and so do quotes."""
        return self.market.kind in {Kind.CANDLES, Kind.FUNDING}

    def __str__(self) -> str:
        return " ".join(filter(None, (self.pair, self.market.value, self.timeframe)))


def series_of(pair: str, market: Market, timeframe: str = "") -> Series:
    """A series, its timeframe checked and left out where the market has none.

    Raises:
        ConfigError: candles without a timeframe that is known here.
    """
    if market.kind is not Kind.CANDLES:
        return Series(pair, market)
    if timeframe not in TIMEFRAMES:
        raise ConfigError(
            "is no timeframe that is known here.", field="--timeframe", value=timeframe, fix=f"one of {', '.join(TIMEFRAMES)}"
        )
    return Series(pair, market, timeframe)


class Rows(NamedTuple):
    """Rows of a series. ``columns`` has one row for each of ``market.columns``; a value that is not known is NaN."""

    time_ms: Stamps
    columns: Floats


def month_of(ms: int) -> str:
    """The month of a time, UTC: ``2024-01``."""
    return datetime.fromtimestamp(ms / 1000.0, UTC).strftime("%Y-%m")


def month_start(month: str) -> int:
    """When a month begins [ms UTC]. Raises ``ValueError`` for what is none."""
    found = _MONTH.fullmatch(month)
    if found is None:
        raise ValueError(month)
    return int(datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC).timestamp()) * 1000


def month_end(month: str) -> int:
    """When the month after it begins [ms UTC]."""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]), 12)
    return int(datetime(year, number + 1, 1, tzinfo=UTC).timestamp()) * 1000
