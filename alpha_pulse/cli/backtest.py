"""The command ``backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, Flags, SetOption, SymbolOption, console, load_pair, recorded, writable_folder
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from alpha_pulse.settings import Settings


def _file(name: str, what: str) -> object:
    return typer.Option(f"--{name}", metavar="FILE", help=what)


def backtest(
    config: ConfigOption = None,
    spot: Annotated[str | None, _file("spot", "Recorded spot candles (CSV, or Parquet with the backtest extra).")] = None,
    perp: Annotated[str | None, _file("perp", "Recorded candles of the perpetual.")] = None,
    funding: Annotated[str | None, _file("funding", "Recorded funding rates.")] = None,
    mark: Annotated[str | None, _file("mark", "Recorded mark-price candles.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="DATE", help="First day, of candles in the store.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="DATE", help="The day before which to end.")] = None,
    timeframe: Annotated[str | None, typer.Option("--timeframe", metavar="NAME", help="Of candles in the store. [default: 1m]")] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="DIR", help="The store of `data download`. [default: var/data]")] = None,
    symbol: SymbolOption = None,
    inventory: Annotated[str | None, typer.Option("--inventory", metavar="COINS", help="Coins held.")] = None,
    engine: Annotated[str, typer.Option("--engine", metavar="NAME", help="replay (the bot itself) or compiled (its twin).")] = "replay",
    fill_rule: Annotated[
        str | None, typer.Option("--fill-rule", metavar="NAME", help="touch, through or queue. [default: paper.fill_rule]")
    ] = None,
    one_rule: Annotated[bool, typer.Option("--one-rule", help="Do not run the other two fill rules for comparison.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report and its data go.")] = Path("out/backtest"),
    export: Annotated[
        str | None, typer.Option("--export", metavar="FORMAT", help="Write every bar, fill and figure as csv, parquet or json too.")
    ] = None,
    assignments: SetOption = None,
) -> None:
    """Run the bot on recorded candles: what it would have done, cost and protected from, under each fill rule.

    The candles come from files, or with --since, --until, --timeframe or --store from what `alpha-pulse data download` keeps.
    """
    flags: Flags = {
        "mode": ("backtest", "paper"),
        "inventory.quantity": ("--inventory", inventory),
        "paper.fill_rule": ("--fill-rule", fill_rule),
        **recorded(spot, perp, funding, mark),
        **_stored(since, until, timeframe, store),
    }
    settings = load_pair(config, assignments, flags, symbol)
    _check_market(settings)

    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.backtest_console import render  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.engines import check_engine  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.export import check_format  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.run import run_backtest  # noqa: PLC0415 - as above
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - as above

    settings = one_pair(settings)
    chosen = check_engine(engine)
    form = None if export is None else check_format(export)
    writable_folder(out, "--out")
    what = "Hedging" if one_rule else "Hedging under three fill rules"
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        found = run_backtest(
            settings,
            out=out,
            engine=chosen,
            every_rule=not one_rule,
            export=form,
            progress=lambda share: bar.update(task, completed=share),
        )
    render(found, console())


def _stored(since: str | None, until: str | None, timeframe: str | None, store: str | None) -> Flags:
    """The flags that mean candles of the store; one of them is enough."""
    given: Flags = {
        "feed.since": ("--since", since),
        "feed.until": ("--until", until),
        "feed.timeframe": ("--timeframe", timeframe),
        "feed.store": ("--store", store),
    }
    return given | {"feed.source": ("--since, --until, --timeframe, --store", "stored")} if any((since, until, timeframe, store)) else given


def _check_market(settings: Settings) -> None:
    """A backtest needs a market that is there and ends."""
    feed = settings.feed
    if feed.source == "ccxt":
        raise ConfigError("a live market has not happened yet.", field="feed.source", value="ccxt", fix="give --spot and --perp")
    if feed.source == "simulated" and feed.days is None:
        fix = "give --spot and --perp; on a made-up market: --set feed.days=30"
        raise ConfigError("there is no market to run on.", field="feed", fix=fix)
