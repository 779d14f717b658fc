"""The command ``replay``: a finished run, lived through again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, JsonOption, SetOption, SymbolOption, console, load
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from alpha_pulse.backtest.rerun import Replayed
    from alpha_pulse.hedging.state.queries import BotStatus
    from alpha_pulse.hedging.state.runs import RunSpan
    from alpha_pulse.settings import Settings

LAST = "last"


def replay(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Number of the run (see --list), or last.")] = LAST,
    config: ConfigOption = None,
    symbol: SymbolOption = None,
    list_runs: Annotated[bool, typer.Option("--list", help="Print the runs that the store holds.")] = False,
    as_json: JsonOption = False,
    assignments: SetOption = None,
) -> None:
    """Live through a finished paper or live run again, under each fill rule: where it parts, and what it would have cost and made."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    settings = load(config, assignments).settings
    if list_runs:
        asyncio.run(_list(settings, symbol))
        return
    found = asyncio.run(_replay(settings, symbol, run))
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        from alpha_pulse.backtest.rerun_view import as_json as body  # noqa: PLC0415 - as above

        typer.echo(json.dumps(body(found), indent=2, ensure_ascii=False))
    else:
        _show(found)
    raise typer.Exit(1 if found.decided_otherwise else 0)


async def _list(settings: Settings, symbol: str | None) -> None:
    from alpha_pulse.cli.store import database, short_name  # noqa: PLC0415 - slow to import; --help does without

    async with database(settings) as engine:
        bot, spans = await _runs(engine, symbol)
    for span in spans:
        ended = f"ended: {span.ended}" if span.ended else ("running" if bot.running and span is spans[-1] else "did not say how it ended")
        typer.echo(f"{span.number:>4}  {short_name(bot.symbol)} ({bot.account}), {_span(span)}, {ended}")


def _span(span: RunSpan) -> str:
    from alpha_pulse.backtest.rerun_view import minute  # noqa: PLC0415 - slow to import; --help does without

    return f"{minute(span.first_ms)} to {minute(span.last_ms)} UTC" if span.last_ms else "no tick"


async def _runs(engine: AsyncEngine, symbol: str | None) -> tuple[BotStatus, Sequence[RunSpan]]:
    from alpha_pulse.cli.store import choose, short_name  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.hedging.state.runs import run_spans  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

    bot = await choose(engine, SystemHost(), symbol=symbol, running=False)
    spans = await run_spans(engine, bot.account, bot.symbol)
    if not spans:
        raise ConfigError(f"the store holds no run of {short_name(bot.symbol)}.", fix="see `alpha-pulse status`")
    return bot, spans


async def _replay(settings: Settings, symbol: str | None, run: str) -> Replayed:
    from loguru import logger  # noqa: PLC0415 - slow to import; --help does without
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.backtest.recorded_run import read_recorded_run  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.rerun import replay_run  # noqa: PLC0415 - as above
    from alpha_pulse.cli.store import database  # noqa: PLC0415 - as above

    logger.remove()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Replaying", total=1.0)
        async with database(settings) as engine:
            bot, spans = await _runs(engine, symbol)
            recorded = await read_recorded_run(engine, bot.account, bot.symbol, _chosen(run, spans))
        return await replay_run(recorded, settings.paper, progress=lambda share: bar.update(task, completed=share))


def _chosen(run: str, spans: Sequence[RunSpan]) -> RunSpan:
    if run.strip().lower() == LAST:
        return spans[-1]
    for span in spans:
        if run.strip() == str(span.number):
            return span
    known = "1" if len(spans) == 1 else f"1 … {spans[-1].number}"
    raise ConfigError(
        "is no run of this store.", field="RUN", value=run, fix=f"give {known}, or last; `alpha-pulse replay --list` shows them"
    )


def _show(found: Replayed) -> None:
    from alpha_pulse.backtest.backtest_console import print_grids  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.backtest.rerun_view import decisions_line, minute, replay_grids  # noqa: PLC0415 - as above

    ticks, number = found.run.ticks, found.run.span.number
    first, last = minute(ticks[0].market.close_ms), minute(ticks[-1].market.close_ms)
    screen = console()
    screen.print(f"{found.run.pair} ({found.run.account}), run {number}: {len(ticks):,} ticks, {first} to {last} UTC", style="bold")
    screen.print(decisions_line(found), markup=False, highlight=False)
    print_grids(replay_grids(found), screen)
    screen.print("\nWhat the record does not hold", style="bold")
    for limit in found.limits:
        screen.print(f"- {limit}", markup=False, highlight=False)
