"""A range of a stored series as a recording, and a pair of the store as a feed. Only the months of the range are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.files import Candles, Floats, Funding, checked_candles, checked_funding, iso, refuse_few
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.series import DAY_MS, Market, Series, series_of

WARM_UP_MS: Final = 125 * DAY_MS
"""What a replay reads before its first bar, so that indicators stand where a live bot's would: as much as a live feed reads."""


def nothing_stored(store: CandleStore, series: Series, since_ms: int | None, until_ms: int | None) -> ConfigError:
    """The error of a range for which the store has nothing: it says what there is instead."""
    known = store.stored(series)
    between = ("" if since_ms is None else f" from {iso(since_ms)}") + ("" if until_ms is None else f" until {iso(until_ms)}")
    fix = f"alpha-pulse data download {series.pair} --timeframe {series.timeframe or '1m'} --since DATE"
    if known is None:
        return ConfigError(f"the store in {store.root} holds no {series}.", field="data", fix=fix)
    held = f"{iso(known.first_ms)} .. {iso(known.last_ms)}"
    return ConfigError(f"the store in {store.root} holds no {series}{between}, only {held}.", field="data", fix=f"ask for that, or {fix}")


_T = TypeVar("_T", Candles, Funding)


@dataclass(frozen=True, slots=True)
class StoredRange:
    """The rows of a stored series with ``since_ms`` ≤ time < ``until_ms``: a ``Recording``, read and checked anew each time it is asked."""

    store: CandleStore
    series: Series
    since_ms: int | None = None
    until_ms: int | None = None

    def __str__(self) -> str:
        return str(self.store.folder(self.series))

    def candles(self, *, volume: bool = True) -> Candles:
        """Checked candles. ``volume=False``: the series may be mark prices, whose volume is 0.

        Raises:
            ConfigError: there is nothing in the store for this range, or pyarrow is missing.
            DataError: a file is corrupt, or a row cannot be trusted; says its time.
        """
        table = self._table()
        if table.shape[0] == 5 and not volume:  # noqa: PLR2004 - time and four prices
            table = np.vstack((table, np.zeros(table.shape[1])))
        return self._checked(table, lambda: checked_candles(self, table, step_ms=self.series.step_ms))

    def funding(self) -> Funding:
        """Checked funding rates. Raises as ``candles``."""
        table = self._table()
        return self._checked(table, lambda: checked_funding(self, table))

    def _table(self) -> Floats:
        rows = self.store.read(self.series, self.since_ms, self.until_ms)
        if not len(rows.time_ms):
            raise nothing_stored(self.store, self.series, self.since_ms, self.until_ms)
        return refuse_few(self, np.vstack((rows.time_ms.astype(np.float64), rows.columns)))

    def _checked(self, table: Floats, check: Callable[[], _T]) -> _T:
        """Name a bad row by its time: row numbers mean nothing across files."""
        try:
            return check()
        except DataError as error:
            if error.row is None:
                raise
            when = iso(int(table[0, error.row - 1]))
            fix = f"see `alpha-pulse data check {self.series.pair}`"
            raise DataError(f"{error.problem.rstrip('.')} (at {when}).", path=str(self), fix=fix) from error


def stored_feed(
    store: CandleStore | Path | str,
    pair: str,
    timeframe: str,
    *,
    start_ms: int | None = None,
    end_ms: int | None = None,
    warm_up_ms: int = WARM_UP_MS,
) -> RecordedFeed:
    """A feed over a pair of the store. Nothing is read before it is opened, and then only the months that it needs.

    Args:
        store: the store, or its folder.
        pair: in any spelling, e.g. ``BTCUSDT``.
        timeframe: e.g. ``1m``.
        start_ms: the first bar that is delivered [ms]; None = the first stored.
        end_ms: bars that open at or after this are left out [ms].
        warm_up_ms: bars this long before ``start_ms`` warm indicators up, as far as there are any.

    Raises:
        ConfigError: no spot candles or no perpetual's candles of the pair are stored, or the range is empty.
    """
    return RecordedFeed(*pair_ranges(store, pair, timeframe, start_ms, end_ms, warm_up_ms=warm_up_ms), start_ms=start_ms, end_ms=end_ms)


def pair_ranges(
    store: CandleStore | Path | str,
    pair: str,
    timeframe: str,
    start_ms: int | None = None,
    end_ms: int | None = None,
    *,
    warm_up_ms: int = WARM_UP_MS,
) -> tuple[StoredRange, StoredRange, StoredRange | None, StoredRange | None]:
    """Spot, perpetual, funding and mark prices of a pair, the last two where there are any. Arguments and errors as ``stored_feed``."""
    store = store if isinstance(store, CandleStore) else CandleStore(store)
    ranges = stored_ranges(store, pair, timeframe, None if start_ms is None else start_ms - warm_up_ms, end_ms)
    for market in (Market.SPOT, Market.PERP):
        if market not in ranges:
            raise nothing_stored(store, series_of(hedge_pair(pair).name, market, timeframe), start_ms, end_ms)
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise ConfigError("ends before it starts.", field="data", value=f"{iso(start_ms)} .. {iso(end_ms)}", fix="give a later end")
    return ranges[Market.SPOT], ranges[Market.PERP], ranges.get(Market.FUNDING), ranges.get(Market.MARK)


def stored_ranges(
    store: CandleStore, pair: str, timeframe: str, since_ms: int | None = None, until_ms: int | None = None
) -> dict[Market, StoredRange]:
    """What the store holds of a pair for a replay, cut to a range: spot, perp, mark, funding, each only where there are files for it.

    Funding begins a day earlier, so that the rate in force at the first bar is known.

    Raises:
        ConfigError: the pair or the timeframe is none.
    """
    name = hedge_pair(pair).name
    found = {}
    for market in (Market.SPOT, Market.PERP, Market.MARK, Market.FUNDING):
        series = series_of(name, market, timeframe)
        since = since_ms - DAY_MS if since_ms is not None and market is Market.FUNDING else since_ms
        if store.files(series, since, until_ms):
            found[market] = StoredRange(store, series, since, until_ms)
    return found
