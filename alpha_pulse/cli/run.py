"""Commands that run a bot: ``demo``, ``run``, ``version``."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse import __version__
from alpha_pulse.cli.options import (
    ConfigOption,
    FeedOption,
    Flags,
    FundingOption,
    MarkOption,
    ModeOption,
    PerpOption,
    SetOption,
    SpotOption,
    SymbolOption,
    console,
    load_pair,
    recorded,
    writable_folder,
)

if TYPE_CHECKING:
    from alpha_pulse.settings import Settings

DEMO_DAYS = "30"


def demo(
    config: ConfigOption = None,
    spot: SpotOption = None,
    perp: PerpOption = None,
    funding: FundingOption = None,
    mark: MarkOption = None,
    symbol: SymbolOption = None,
    inventory: Annotated[str | None, typer.Option("--inventory", metavar="COINS", help="Coins held. [default: 1]")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report and its data go.")] = Path("out/demo"),
    seed: Annotated[str | None, typer.Option("--seed", metavar="N", help="Seed of the simulated market. [default: 7]")] = None,
    days: Annotated[str | None, typer.Option("--days", metavar="N", help=f"Days of market. [default: {DEMO_DAYS} when simulated]")] = None,
    assignments: SetOption = None,
) -> None:
    """Hedge weeks of market in one go: a simulated one, or recorded candles."""
    flags: Flags = {
        "mode": ("demo", "paper"),
        "inventory.quantity": ("--inventory", inventory),
        "feed.seed": ("--seed", seed),
        "feed.days": ("--days", days),
        **recorded(spot, perp, funding, mark),
    }
    settings = _demo_settings(config, assignments, flags, symbol)
    writable_folder(out, "--out")

    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.demo import render, run_demo  # noqa: PLC0415 - as above

    what = "recorded candles" if settings.feed.source != "simulated" else f"{settings.feed.days:g} days of a simulated market"
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Hedging {what}", total=1.0)
        result = run_demo(settings, out=out, progress=lambda share: bar.update(task, completed=share))
    render(result, console())


def _demo_settings(config: str | None, assignments: list[str] | None, flags: Flags, symbol: str | None) -> Settings:
    """A demo needs no network, and an end; it shows one pair."""
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - pulls pydantic in, which --help does without

    settings = one_pair(load_pair(config, assignments, flags, symbol))
    if settings.feed.source == "ccxt":
        flags = flags | {"feed.source": ("demo", "simulated")}
    if settings.feed.source in {"simulated", "ccxt"} and settings.feed.days is None:
        flags = flags | {"feed.days": ("demo", DEMO_DAYS)}
    return one_pair(load_pair(config, assignments, flags, symbol))


def run(
    config: ConfigOption = None,
    mode: ModeOption = None,
    feed: FeedOption = None,
    symbol: SymbolOption = None,
    inventory: Annotated[str | None, typer.Option("--inventory", metavar="COINS", help="Coins held.")] = None,
    assignments: SetOption = None,
) -> None:
    """Run the bot until it is stopped."""
    flags: Flags = {
        "mode": ("--mode", mode),
        "feed.source": ("--feed", feed),
        "inventory.quantity": ("--inventory", inventory),
    }
    settings = load_pair(config, assignments, flags, symbol)

    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.bootstrap import run_bot  # noqa: PLC0415 - as above

    raise typer.Exit(asyncio.run(run_bot(settings)))


def version() -> None:
    """Print the version."""
    typer.echo(f"alpha-pulse {__version__} (Python {platform.python_version()}, {platform.system()})")
