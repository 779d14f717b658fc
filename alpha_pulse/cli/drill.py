"""The command ``drill``: a user's own settings through every outage, on a fake exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, Flags, JsonOption, SetOption, SymbolOption, console, load_pair
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alpha_pulse.fake_exchange.drill_run import Outcome
    from alpha_pulse.fake_exchange.drills import Scenario
    from alpha_pulse.settings import Settings

_DEFAULT_COINS = "1.0"


def drill(
    config: ConfigOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="This outage alone; may be repeated.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the outages and run none.")] = False,
    patient: Annotated[
        bool, typer.Option("--patient/--quick", help="Wait as long as the settings say, or as short as a rehearsal can. [default: quick]")
    ] = False,
    as_json: JsonOption = False,
    symbol: SymbolOption = None,
    assignments: SetOption = None,
) -> None:
    """Rehearse outages on your own settings: real-mode code, a fake exchange on this machine, no real keys, no money."""
    from alpha_pulse.fake_exchange.drill_run import chosen  # noqa: PLC0415 - slow to import; --help does without

    scenarios = chosen(only or [])
    if listing:
        for scenario in scenarios:
            typer.echo(f"{scenario.name:<18}  {scenario.what}")
        return
    settings = drilled_settings(config, assignments, symbol)
    raise typer.Exit(perform(settings, scenarios, patient=patient, as_json=as_json))


def drilled_settings(config: str | None, assignments: list[str] | None, symbol: str | None) -> Settings:
    """The settings of one pair as real mode on a live market would read them; of several pairs the first. Coins that are not given count
    as the default. Raises ``ConfigError``.
    """
    from alpha_pulse.hedging.common.problems import problems_of  # noqa: PLC0415 - as above
    from alpha_pulse.settings import one_pair  # noqa: PLC0415 - as above

    flags: Flags = {"mode": ("drill", "real"), "feed.source": ("drill", "ccxt")}
    try:
        return one_pair(load_pair(config, assignments, flags, symbol))
    except ConfigError as error:
        if not any(p.field.endswith("inventory.quantity") and p.value is None for p in problems_of(error)):
            raise
        assumed = flags | {"inventory.quantity": ("drill", _DEFAULT_COINS)}
        try:
            return one_pair(load_pair(config, assignments, assumed, symbol))
        except ConfigError:
            raise error from None


def perform(settings: Settings, scenarios: Sequence[Scenario], *, patient: bool = False, as_json: bool = False) -> int:
    """Run the outages and print what came of them; 1 if an invariant broke, else 0. Raises ``ConfigError``."""
    import asyncio  # noqa: PLC0415 - as above
    import json  # noqa: PLC0415 - as above
    import logging  # noqa: PLC0415 - as above

    from loguru import logger  # noqa: PLC0415 - as above
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.fake_exchange.drill_run import run_drills  # noqa: PLC0415 - as above

    logger.remove()
    logging.getLogger("stamina").addHandler(logging.NullHandler())  # retries are what a drill is full of
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Drilling", total=len(scenarios))
        done = iter(range(len(scenarios)))

        def began(scenario: Scenario) -> None:
            bar.update(task, description=f"Drilling {scenario.name}", completed=next(done))

        outcomes = asyncio.run(run_drills(settings, scenarios, patient=patient, began=began))
    broken = sum(not outcome.held for outcome in outcomes)
    if as_json:
        document = {"symbol": settings.symbol, "patient": patient, "broken": broken, "drills": [o.as_json() for o in outcomes]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        console().print(_table(settings, outcomes))
        console().print(_reading(outcomes), highlight=False, soft_wrap=True, markup=False)
        if settings.exchange.id != "binanceusdm":
            typer.echo(f"The fake exchange is Binance-like; what is peculiar to {settings.exchange.id} was not rehearsed.")
    return 1 if broken else 0


def _table(settings: Settings, outcomes: Sequence[Outcome]) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as above
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(title=f"{settings.symbol}: outages on a fake exchange", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("outage", no_wrap=True)
    table.add_column("what was done", ratio=3, overflow="fold")
    table.add_column("what the bot did", ratio=4, overflow="fold")
    for heading in ("orders lost\n/ doubled", "position\nbot / venue", "longest without\nstop / quotes"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for one in outcomes:
        broken = ", ".join(dict.fromkeys(problem[0] for problem in one.broken))
        table.add_row(
            one.name,
            escape(one.what),
            escape(one.did),
            f"{one.lost} / {one.doubled}",
            f"{one.position.normalize():f} /\n{one.venue_position.normalize():f}",
            f"{one.unprotected_s:.1f} s /\n{one.without_quotes_s:.1f} s",
            f"[red]broke {broken}[/]" if broken else "[green]held[/]",
        )
    return table


def _reading(outcomes: Sequence[Outcome]) -> str:
    """The invariants in words, and which of them broke how."""
    from alpha_pulse.fake_exchange.drill_run import INVARIANTS  # noqa: PLC0415 - as above

    lines = []
    for letter, words in INVARIANTS.items():
        checked = sum(letter in one.checked for one in outcomes)
        problems = [f"    {one.name}: {problem.partition(': ')[2]}" for one in outcomes for problem in one.broken if problem[0] == letter]
        state = "broken" if problems else f"held in {checked} of {checked}" if checked else "not tried"
        lines += [f"  {letter}  {words}: {state}", *problems]
    return "\n".join(["Invariants", *lines])
