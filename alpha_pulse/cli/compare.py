"""The command ``compare-sizers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, Flags, SetOption, SymbolOption, console, load_pair, recorded
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alpha_pulse.backtest.compare import Compared, Protection
    from alpha_pulse.settings import Settings

SIZERS = "constant,spline,signal,blend"
_LEAST_DAYS = "60"


def compare_sizers(
    config: ConfigOption = None,
    sizers: Annotated[str, typer.Option("--sizers", metavar="NAMES", help="Values of hedge.sizer, with commas between them.")] = SIZERS,
    spot: Annotated[str | None, typer.Option("--spot", metavar="FILE", help="Recorded spot candles.")] = None,
    perp: Annotated[str | None, typer.Option("--perp", metavar="FILE", help="Recorded candles of the perpetual.")] = None,
    funding: Annotated[str | None, typer.Option("--funding", metavar="FILE", help="Recorded funding rates.")] = None,
    mark: Annotated[str | None, typer.Option("--mark", metavar="FILE", help="Recorded mark-price candles.")] = None,
    symbol: SymbolOption = None,
    assignments: SetOption = None,
) -> None:
    """Run the bot once with each sizer on the same market: what each costs, and what it protects from."""
    flags: Flags = {
        "mode": ("compare-sizers", "paper"),
        **recorded(spot, perp, funding, mark),
    }
    settings = _settings(config, assignments, flags, symbol)
    names = [name.strip() for name in sizers.split(",") if name.strip()]
    if not names:
        raise ConfigError("names no sizer.", field="--sizers", value=sizers, fix=f"write {SIZERS}")
    for name in names:  # every one must be readable before the first one runs
        load_pair(config, assignments, flags | {"hedge.sizer": ("--sizers", name)}, symbol)

    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    from loguru import logger  # noqa: PLC0415 - as above
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.compare import compare  # noqa: PLC0415 - as above

    logger.remove()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"Hedging with {len(names)} sizers", total=1.0)
        found = asyncio.run(compare(settings, names, lambda share: bar.update(task, completed=share)))
    console().print(_table(settings.symbol, found))
    console().print(_reading(found), highlight=False)


def _settings(config: str | None, assignments: list[str] | None, flags: Flags, symbol: str | None) -> Settings:
    """Settings of a hedge on a market that ends."""
    settings = load_pair(config, assignments, flags, symbol)
    if settings.feed.source == "ccxt":
        raise ConfigError("a live market cannot be run twice.", field="feed.source", value="ccxt", fix="give --spot and --perp")
    if settings.feed.source == "simulated" and settings.feed.days is None:
        settings = load_pair(config, assignments, flags | {"feed.days": ("compare-sizers", _LEAST_DAYS)}, symbol)
    if settings.inventory.stated_coins() == 0:
        raise ConfigError("a neutral grid protects nothing.", field="inventory.quantity", value=0, fix="give the coins that are held")
    return settings


def _table(pair: str, found: Sequence[Compared]) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - slow to import; --help does without
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(title=f"{pair}, {found[0].windows} windows of 30 days", title_justify="left", box=SIMPLE_HEAD)
    headings = ("sizer", "average\nhedge", "worst tenth\nof windows", "worst\nwindow", "mean\nwindow", "max\ndrawdown",
                "timing\na month", "funding\na year", "fees\na year", "fills")  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "sizer" else "right", no_wrap=True)
    free = found[0].unhedged
    table.add_row("no hedge", "0.0 %", *_protection(free), "", "", "", "")
    for one in found:
        rates = (f"{one.timing_per_month:+.2%}", f"{one.funding_per_year:+.2%}", f"{-one.fees_per_year:+.2%}", f"{one.fills:,}")
        table.add_row(one.name, f"{one.average_ratio:.1%}", *_protection(one.hedged), *rates)
        table.add_row("  static, as large", f"{one.average_ratio:.1%}", *_protection(one.static), "", "", "", "", style="dim")
    return table


def _protection(path: Protection) -> tuple[str, str, str, str]:
    fall = "–" if path.max_drawdown is None else f"{-path.max_drawdown:.1%}"
    return f"{path.worst_decile:+.1%}", f"{path.worst_window:+.1%}", f"{path.mean_window:+.2%}", fall


def _reading(found: Sequence[Compared]) -> str:
    """What the columns are, and what they do not say."""
    dear = [one.name for one in found if one.timing_per_month < 0.0]
    said = f"Timing cost money with {', '.join(dear)}." if dear else "Timing cost nothing with any of them on these data."
    return (
        "Fractions of the inventory's value. Worst tenth: the windows in which the unhedged holder lost most. Max drawdown counts the\n"
        f"wallet too. Static: the same average hedge from the first bar on, a size known only afterwards. {said}"
    )
