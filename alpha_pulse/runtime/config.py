"""Settings of storage and logging."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from alpha_pulse.hedging.common.section import Section


class StoreSettings(Section):
    """Where events and the bot's memory are kept."""

    url: str = Field("sqlite+aiosqlite:///var/alpha_pulse.db", description="SQLAlchemy URL of the database [URL]")


class LoggingSettings(Section):
    """Where the log goes."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severity that is logged [name]")
    file: Path | None = Field(Path("logs/grid_hedge.log"), description="Log file, rotated daily; null = console only [file]")
    json_format: bool = Field(False, alias="json", description="One JSON object a line in the file, instead of text [true/false]")
