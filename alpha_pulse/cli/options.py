"""Options that several commands share, and how flags become overrides of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from alpha_pulse.settings import LoadedSettings, Settings

ConfigOption = Annotated[str | None, typer.Option("--config", "-c", metavar="FILE", help="YAML settings; without it, the defaults.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. --set hedge.ratio=0.6.")]
ModeOption = Annotated[str | None, typer.Option("--mode", metavar="MODE", help="paper, recommendation or real.")]
FeedOption = Annotated[str | None, typer.Option("--feed", metavar="SOURCE", help="simulated, recorded or ccxt.")]
SymbolOption = Annotated[str | None, typer.Option("--symbol", metavar="PAIR", help="The hedge pair, e.g. BTCUSDT.")]
SpotOption = Annotated[
    str | None, typer.Option("--spot", metavar="FILE", help="Recorded spot candles (CSV, or Parquet with the backtest extra).")
]
PerpOption = Annotated[str | None, typer.Option("--perp", metavar="FILE", help="Recorded candles of the perpetual.")]
FundingOption = Annotated[str | None, typer.Option("--funding", metavar="FILE", help="Recorded funding rates.")]
MarkOption = Annotated[str | None, typer.Option("--mark", metavar="FILE", help="Recorded mark-price candles.")]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="DATE", help="First day, of candles in the store.")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="DATE", help="The day before which to end.")]
TimeframeOption = Annotated[str | None, typer.Option("--timeframe", metavar="NAME", help="Of candles in the store. [default: 1m]")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

Flags = dict[str, tuple[str, str | None]]
"""By dotted key: the flag's name and what it was given; None where it was left out."""

NULL = "null"


def load(config: str | None, assignments: list[str] | None = None, flags: Flags | None = None) -> LoadedSettings:
    """Read the settings under the flags of a command.

    Args:
        config: the YAML file, if one was given.
        assignments: what ``--set`` was given.
        flags: the command's own flags.

    Raises:
        ConfigError: naming place, field, value and fix of everything that is wrong.
    """
    from alpha_pulse.settings import load_settings  # noqa: PLC0415 - pulls pydantic in, which --help does without

    values: dict[str, str | None] = {}
    typed: dict[str, str] = {}
    for assignment in assignments or []:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError("is no assignment.", field="--set", value=assignment, fix="write --set KEY=VALUE, e.g. --set hedge.ratio=0.6")
        values[key.strip()], typed[key.strip()] = _given(value), "--set"
    for key, (flag, given) in (flags or {}).items():
        if given is not None:
            values[key], typed[key] = _given(given), flag
    return load_settings(config, values, flags=typed)


def recorded(spot: str | None, perp: str | None, funding: str | None, mark: str | None) -> Flags:
    """The flags that name recorded candles: one of them is enough to mean a recorded market."""
    files: Flags = {
        "feed.spot": ("--spot", spot),
        "feed.perp": ("--perp", perp),
        "feed.funding": ("--funding", funding),
        "feed.mark": ("--mark", mark),
    }
    return files | {"feed.source": ("--spot, --perp", "recorded")} if any((spot, perp, funding, mark)) else files


def past_market(files: Flags, *, since: str | None, until: str | None, timeframe: str | None, store: str | None = None) -> Flags:
    """The flags of a market of the past: the ``files`` of ``recorded``, or candles of the store, which one of the others means.

    Raises:
        ConfigError: both are given.
    """
    asked: Flags = {
        "feed.since": ("--since", since),
        "feed.until": ("--until", until),
        "feed.timeframe": ("--timeframe", timeframe),
        "feed.store": ("--store", store),
    }
    of_store = ", ".join(flag for flag, value in asked.values() if value is not None)
    if not of_store:
        return files
    of_files = ", ".join(flag for key, (flag, value) in files.items() if value is not None and key != "feed.source")
    if of_files:
        raise ConfigError(
            f"the market is either files or a range of the store, and {of_store} means the store.",
            field=of_files,
            fix=f"leave out {of_store}, or {of_files}; to shorten a file: --set feed.days=30",
        )
    return asked | {"feed.source": (of_store, "stored")}


def load_pair(config: str | None, assignments: list[str] | None, flags: Flags, symbol: str | None) -> Settings:
    """Settings where ``--symbol`` names the pair: one of the listed ones, or the pair itself where none are listed.

    Raises:
        ConfigError: as ``load``, or the pair is not among those listed.
    """
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - pulls pydantic in, which --help does without

    settings = load(config, assignments, flags).settings
    if symbol is None:
        return settings
    return one_pair(settings, symbol) if settings.pairs else load(config, assignments, flags | {"symbol": ("--symbol", symbol)}).settings


def _given(value: str) -> str | None:
    """``null`` on the command line is YAML's null."""
    return None if value.strip().lower() == NULL else value.strip()


def console() -> Console:
    """Standard output. Away from a terminal nothing is cut off at 80 columns."""
    from rich.console import Console  # noqa: PLC0415 - only commands that print tables need it

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=200)


def writable_folder(folder: Path, flag: str) -> None:
    """Make a folder for results, or say why it cannot be.

    Raises:
        ConfigError: it is a file, or may not be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError("is a file, not a folder.", field=flag, value=str(folder), fix="name a folder") from None
    except OSError as error:
        raise ConfigError(
            f"cannot be made: {error.strerror}.", field=flag, value=str(folder), fix="name a folder that you may write to"
        ) from None
