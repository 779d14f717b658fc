"""Made-up recordings for the store's tests."""

import numpy as np

from alpha_pulse.market.store.series import Market, Rows, Series, series_of

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
JAN = 1_704_067_200_000  # 2024-01-01 00:00 UTC
FEB = JAN + 31 * DAY
PERP = series_of("BTCUSDT", Market.PERP, "1m")
SPOT = series_of("BTCUSDT", Market.SPOT, "1m")
MARK = series_of("BTCUSDT", Market.MARK, "1m")
FUNDING = Series("BTCUSDT", Market.FUNDING)
TRADES = Series("BTCUSDT", Market.TRADES)
QUOTES = Series("BTCUSDT", Market.QUOTES)


def bars(count=10, *, start=JAN, step=MINUTE, price=100.0, volume=True):
    """Sound bars whose price rises a little."""
    close = price + 0.01 * np.arange(count)
    columns = [close, close + 0.5, close - 0.5, close + 0.01, np.full(count, 2.0)]
    return Rows(start + step * np.arange(count), np.array(columns if volume else columns[:4]))


def rates(count=6, *, start=JAN, rate=0.0001):
    return Rows(start + 8 * HOUR * np.arange(count), np.full((1, count), rate))


def csv_of(rows, path, header="timestamp,open,high,low,close,volume"):
    lines = [
        header,
        *(",".join([str(int(at)), *map(repr, values)]) for at, values in zip(rows.time_ms, rows.columns.T.tolist(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
