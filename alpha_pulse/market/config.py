"""Settings of the market data."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from alpha_pulse.hedging.common.section import Section


class FeedSettings(Section):
    """Where prices come from."""

    source: Literal["simulated", "recorded", "stored", "ccxt"] = Field(
        "simulated", description="Made up, from files, from the store of `data download`, or live [name]"
    )
    seed: Annotated[int, Field(ge=0)] = Field(7, description="Seed of the simulated market: the same seed, the same market [integer]")
    days: Annotated[float, Field(gt=0, le=3660)] | None = Field(
        None, description="Length of the market, from its first bar; null = endless when simulated, all when recorded [days]"
    )
    start_price: Annotated[float, Field(gt=0)] | None = Field(
        None, description="First price of the simulated market; null = a usual price of the coin [quote units]"
    )
    spot: Path | None = Field(None, description="Recorded spot candles [CSV or Parquet file]")
    perp: Path | None = Field(None, description="Recorded perpetual candles [CSV or Parquet file]")
    funding: Path | None = Field(None, description="Recorded funding rates; null = no funding is paid [CSV or Parquet file]")
    mark: Path | None = Field(None, description="Recorded mark-price candles; null = the perpetual's own price [CSV or Parquet file]")
    store: Path = Field(Path("var/data"), description="With source stored: the folder of the store [folder]")
    timeframe: str = Field("1m", description="With source stored: the length of a bar [name]")
    since: date | None = Field(None, description="With source stored: the first day, UTC; null = from the first bar [date]")
    until: date | None = Field(None, description="With source stored: the day before which it ends, UTC; null = all [date]")
    speed: Annotated[float, Field(ge=0)] = Field(
        60, description="`run` on simulated or recorded data: market seconds per second; 0 = as fast as possible [ratio]"
    )
    update_interval_s: Annotated[float, Field(ge=0, le=60)] = Field(
        1.0, description="A live market is looked at no more often than this; a fill is acted upon at once [s]"
    )
