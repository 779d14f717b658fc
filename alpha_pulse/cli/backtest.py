"""The command ``backtest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import (
    ConfigOption,
    Flags,
    FundingOption,
    MarkOption,
    PerpOption,
    SetOption,
    SinceOption,
    SpotOption,
    SymbolOption,
    TimeframeOption,
    UntilOption,
    console,
    load_pair,
    past_market,
    recorded,
    writable_folder,
)
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from alpha_pulse.settings import Settings


def backtest(
    config: ConfigOption = None,
    spot: SpotOption = None,
    perp: PerpOption = None,
    funding: FundingOption = None,
    mark: MarkOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    timeframe: TimeframeOption = None,
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
    monte_carlo: Annotated[
        int, typer.Option("--monte-carlo", metavar="N", help="Run on N resampled markets too: how much of the result was the path.")
    ] = 0,
    block_days: Annotated[
        float | None, typer.Option("--block-days", metavar="DAYS", help="Mean length of their blocks. [default: from the data]")
    ] = None,
    monte_carlo_seed: Annotated[int, typer.Option("--monte-carlo-seed", help="Equal seeds give equal markets.")] = 42,
    assignments: SetOption = None,
) -> None:
    """Run the bot on recorded candles: what it would have done, cost and protected from, under each fill rule.

    The candles come from files, or with --since, --until, --timeframe or --store from what `alpha-pulse data download` keeps.
    """
    flags: Flags = {
        "mode": ("backtest", "paper"),
        "inventory.quantity": ("--inventory", inventory),
        "paper.fill_rule": ("--fill-rule", fill_rule),
        **past_market(recorded(spot, perp, funding, mark), since=since, until=until, timeframe=timeframe, store=store),
    }
    settings = load_pair(config, assignments, flags, symbol)
    _check_market(settings)

    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.backtest_console import render  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.engines import check_engine  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.export import check_format  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.monte_carlo import MonteCarloPlan  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.run import run_backtest  # noqa: PLC0415 - as above
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - as above

    settings = one_pair(settings)
    chosen = check_engine(engine)
    form = None if export is None else check_format(export)
    plan = MonteCarloPlan(monte_carlo, block_days, monte_carlo_seed) if monte_carlo else None
    if plan is not None:
        plan.check()
    writable_folder(out, "--out")
    what = "Hedging" if one_rule else "Hedging under three fill rules"
    what += f", and on {monte_carlo:,} markets" if monte_carlo else ""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        found = run_backtest(
            settings,
            out=out,
            engine=chosen,
            every_rule=not one_rule,
            export=form,
            monte_carlo=plan,
            progress=lambda share: bar.update(task, completed=share),
        )
    render(found, console())


def _check_market(settings: Settings) -> None:
    """A backtest needs a market that is there and ends."""
    feed = settings.feed
    if feed.source == "ccxt":
        raise ConfigError("a live market has not happened yet.", field="feed.source", value="ccxt", fix="give --spot and --perp")
    if feed.source == "simulated" and feed.days is None:
        fix = "give --spot and --perp; on a made-up market: --set feed.days=30"
        raise ConfigError("there is no market to run on.", field="feed", fix=fix)
