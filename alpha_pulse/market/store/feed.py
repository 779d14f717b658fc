"""A recorded feed over the candle store, for whichever pair it is opened."""

from __future__ import annotations

from pathlib import Path

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.ranges import nothing_stored, pair_ranges
from alpha_pulse.market.store.series import Market, series_of


class StoredFeed(RecordedFeed):
    """As ``RecordedFeed``, with the candles of the store under ``root``; only the months that are needed are opened.

    Args:
        root: the store's folder.
        timeframe: of the candles, e.g. ``1m``.
        start_ms: the first bar that is delivered [ms UTC]; None = the first stored. What lies before it warms indicators up.
        end_ms: bars that open at or after this are left out [ms UTC].
        days: the length, from the first bar; None = all.
    """

    def __init__(
        self, root: Path, timeframe: str, *, start_ms: int | None = None, end_ms: int | None = None, days: float | None = None
    ) -> None:
        super().__init__(root, root, start_ms=start_ms, end_ms=end_ms, days=days)
        self._root, self._timeframe = root, timeframe

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Look up the pair's files, read and check them.

        Raises:
            ConfigError: the store does not hold the pair, or nothing in the range.
            DataError: a file cannot be trusted, or the files do not belong together.
        """
        self._spot, self._perp, self._funding, self._mark = pair_ranges(
            self._root, pair.name, self._timeframe, self._start_ms, self._end_ms
        )
        await super().open(pair, instrument, resume_after_ms=resume_after_ms)
        if self._start_ms is not None and self._rows is not None and not (self._rows.open_ms[: self._rows.stop] >= self._start_ms).any():
            series = series_of(pair.name, Market.PERP, self._timeframe)
            raise nothing_stored(CandleStore(self._root), series, self._start_ms, self._end_ms)
