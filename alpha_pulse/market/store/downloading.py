"""Candles, mark prices and funding of an exchange into the store: page by page, going on where it stopped.

A bar is stored once it has closed, by our clock and by the exchange's. Whatever ends a download, what has come by then is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.market.files import iso, whole_minutes
from alpha_pulse.market.store.candle_store import CandleStore, Written
from alpha_pulse.market.store.series import DAY_MS, Market, Rows, Series, month_end, month_of, month_start, series_of
from alpha_pulse.market.store.sources import Backoff, ExchangeReader, Page, Source

MARKETS: Final = (Market.SPOT, Market.PERP, Market.MARK, Market.FUNDING)
"""What exchanges keep records of, and what is downloaded where nothing else is said."""

_TAIL_MS: Final = DAY_MS  # of a month that is not complete: read again, for an exchange may correct its latest bars
_ROWS_AT_ONCE: Final = 10_000  # kept in memory before they are stored

OnProgress = Callable[[Series, float], None]
"""Told of a series and the share of it that is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What to download: times ``since_ms`` ≤ t < ``until_ms`` [ms]; ``until_ms`` None = until now."""

    pair: HedgePair
    timeframe: str
    since_ms: int
    until_ms: int | None = None
    exchange_id: str = "binanceusdm"
    markets: tuple[Market, ...] = MARKETS
    fill_gaps: bool = False  # ask again for what is missing between the first and the last stored row
    rest_url: str | None = None  # every request goes to this host instead


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one series. ``skipped`` says why nothing was asked for; "" = it was."""

    series: Series
    written: Written
    skipped: str = ""


async def download(
    store: CandleStore,
    request: DownloadRequest,
    clock: Clock,
    *,
    on_progress: OnProgress | None = None,
    on_retry: Callable[[str], None] | None = None,
    backoff: Backoff | None = None,
) -> list[Fetched]:
    """Bring the store up to date, series by series.

    Of each series what is missing before the first stored row is fetched, then what comes after the last one; of a last month that is
    not complete, its last day is read again. Rows that differ from the stored ones take their place and are counted.

    Args:
        store: where it goes.
        request: what is wanted.
        clock: tells which bars have closed; a real one.
        on_progress: told of every page.
        on_retry: told, in words, of every request that failed and is made again.
        backoff: how failed requests are repeated.

    Raises:
        ConfigError: the exchange, the pair or the timeframe does not exist there, or the store holds another exchange's prices.
        DataError: a file to merge with is corrupt.
        Transient: the exchange did not answer, however often it was asked.
        Fatal: the exchange refuses to talk to us.
    """
    wrong = [market for market in request.markets if market not in MARKETS]
    if wrong:
        raise ConfigError("is not downloaded, only imported.", field="--market", value=wrong[0].value, fix=f"one of {', '.join(MARKETS)}")
    reader = ExchangeReader(request.exchange_id, request.pair, rest_url=request.rest_url, backoff=backoff, on_retry=on_retry)
    try:
        now_ms = await reader.time_ms(clock)
        until_ms = now_ms if request.until_ms is None else min(request.until_ms, now_ms)
        if until_ms <= request.since_ms:
            raise ConfigError(
                "there is nothing yet.", field="--since", value=iso(request.since_ms), fix=f"give a time before {iso(until_ms)}"
            )
        fetched = []
        for market in request.markets:
            series = series_of(request.pair.name, market, request.timeframe)
            source = await reader.source(series)
            if isinstance(source, str):
                fetched.append(Fetched(series, Written(), skipped=source))
            else:
                fetching = Fetching(store, series, source, now_ms, on_progress or _nobody)
                fetched.append(Fetched(series, await fetching.fetch(request.since_ms, until_ms, fill_gaps=request.fill_gaps)))
        return fetched
    finally:
        await reader.close()


def wanted_ranges(store: CandleStore, series: Series, since_ms: int, until_ms: int, *, fill_gaps: bool = False) -> list[tuple[int, int]]:
    """The ranges of time [ms] that have to be asked for, so that the store holds ``since_ms`` ≤ t < ``until_ms``.

    Raises:
        ConfigError: pyarrow is missing.
        DataError: a file is corrupt.
    """
    stored = store.stored(series)
    if stored is None:
        return [(since_ms, until_ms)]
    ranges = [(since_ms, min(stored.first_ms, until_ms))]
    step = series.step_ms or 1
    if fill_gaps and series.step_ms:
        times = store.read(series, since_ms, until_ms).time_ms
        gaps = np.flatnonzero(np.diff(times) > step).tolist()
        ranges += [(int(times[i]) + step, int(times[i + 1])) for i in gaps]
    month, following = month_of(stored.last_ms), stored.last_ms + step
    if following < until_ms:
        complete = series.step_ms is not None and following >= month_end(month)
        again = following if complete else max(month_start(month), stored.last_ms - _TAIL_MS)
        ranges.append((max(again, since_ms), until_ms))
    return [(start, stop) for start, stop in ranges if start < stop]


class Fetching:
    """One series on its way from a source into the store."""

    def __init__(self, store: CandleStore, series: Series, source: Source, now_ms: int, on_progress: OnProgress) -> None:
        self._store, self._series, self._source = store, series, source
        self._now_ms, self._on_progress = now_ms, on_progress
        self._waiting: Page = []
        self._written = Written()

    async def fetch(self, since_ms: int, until_ms: int, *, fill_gaps: bool = False) -> Written:
        """Everything that is missing of a range."""
        first = max(since_ms, self._source.listed_ms)
        try:
            for start, stop in wanted_ranges(self._store, self._series, first, until_ms, fill_gaps=fill_gaps):
                await self._range(start, stop, since_ms, until_ms)
        finally:
            self._flush()
        self._on_progress(self._series, 1.0)
        return self._written

    async def _range(self, cursor: int, stop: int, since_ms: int, until_ms: int) -> None:
        while cursor < stop:
            page = sorted(row for row in await self._source.page(cursor) if row[0] >= cursor)
            new = [row for row in page if row[0] < stop]
            self._waiting += [row for row in new if self._closed(row[0])]
            if len(self._waiting) >= _ROWS_AT_ONCE:
                self._flush()
            if len(new) < len(page):
                break  # the exchange had nothing else before the end
            cursor = int(new[-1][0]) + self._source.step_ms if new else await self._source.skip(cursor)
            self._on_progress(self._series, min(1.0, (cursor - since_ms) / (until_ms - since_ms)))

    def _closed(self, time_ms: float) -> bool:
        """A settlement is over when it happens, a bar when the next one begins."""
        return time_ms + (self._series.step_ms or 0) <= self._now_ms

    def _flush(self) -> None:
        if self._waiting:
            table = np.array(self._waiting).T
            times = np.rint(table[0]).astype(np.int64)
            times = whole_minutes(times) if self._series.market is Market.FUNDING else times
            self._waiting = []
            self._written = self._written.plus(self._store.write(self._series, Rows(times, table[1:]), exchange=self._source.exchange_id))


def _nobody(_: Series, __: float) -> None:
    """Nobody wants to know."""
