"""Commands beside a running bot: ``status``, ``stop``, ``resume``, ``flatten``, ``kill``, ``tickets``, ``audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from alpha_pulse.cli.options import ConfigOption, JsonOption, SetOption, SymbolOption, console, load

if TYPE_CHECKING:
    from alpha_pulse.hedging.state.queries import BotStatus
    from alpha_pulse.settings import Settings

tickets_app = typer.Typer(help="Orders that recommendation mode asks a person to place.", no_args_is_help=True)
audit_app = typer.Typer(help="Check what was recorded.", no_args_is_help=True)

_POLL_S = 0.2


def status(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Every bot of this store: what it holds, what it wants, how it does."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.cli.store import status_rows  # noqa: PLC0415 - as above

    settings = load(config, assignments).settings
    rows = asyncio.run(status_rows(settings))
    if as_json:
        import dataclasses  # noqa: PLC0415 - this branch alone needs it
        import json  # noqa: PLC0415 - as above

        typer.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2, ensure_ascii=False))
    elif not rows:
        typer.echo("No bot has run here yet. Start one with: alpha-pulse run")
    else:
        from alpha_pulse.cli.tables import status_table  # noqa: PLC0415 - slow to import; --help does without
        from alpha_pulse.runtime.clock import SystemClock  # noqa: PLC0415 - as above

        console().print(status_table(rows, SystemClock().now_ms()))


def stop(
    config: ConfigOption = None,
    symbol: SymbolOption = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for it.", min=0)] = 60.0,
    assignments: SetOption = None,
) -> None:
    """Stop a running bot: it cancels its grid and says what it leaves."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    settings = load(config, assignments).settings
    raise typer.Exit(asyncio.run(_stop(settings, symbol, timeout)))


async def _stop(settings: Settings, symbol: str | None, timeout: float) -> int:  # noqa: ASYNC109 - a wait, not a cancellation
    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.cli.store import choose, database, short_name  # noqa: PLC0415 - as above
    from alpha_pulse.hedging.state.queries import post_command, read_status  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.clock import SystemClock  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

    host, clock = SystemHost(), SystemClock()
    async with database(settings) as engine:
        bot = await choose(engine, host, symbol=symbol, running=True)
        name = short_name(bot.symbol)
        await post_command(engine, bot.account, bot.symbol, "stop", now_ms=clock.now_ms())
        if bot.holder is None or host.is_running(bot.holder.process) is None:
            typer.echo(f"Asked {name} to stop. It runs on another host, so look at `alpha-pulse status` there.")
            return 0
        deadline = clock.now_ms() + 1000 * timeout
        with Console(stderr=True).status(f"Waiting for {name} (pid {bot.holder.process.pid}) to stop"):
            while True:
                now = [b for b in await read_status(engine, host) if (b.account, b.symbol) == (bot.account, bot.symbol)][0]  # noqa: RUF015 - a bot is never forgotten
                if not now.running:
                    typer.echo(await _left_behind(engine, now, name))
                    return 0
                if clock.now_ms() >= deadline:
                    typer.echo(f"{name} has not stopped after {timeout:g} s; it will when its current tick ends.", err=True)
                    return 1
                await clock.sleep(_POLL_S)


async def _left_behind(engine: Any, bot: BotStatus, name: str) -> str:
    """What a stopped bot leaves at the venue."""
    from alpha_pulse.cli.store import last_event  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.domain.events import EventKind  # noqa: PLC0415 - as above

    last = await last_event(engine, bot, EventKind.STOPPED)
    stopped = {} if last is None else last.payload
    quantity = bot.position.quantity
    side = "short" if quantity < 0 else "long"
    position = f"a {side} of {abs(quantity)} at {bot.position.entry_price:.2f} stays open" if quantity else "no position is open"
    orders = f"{stopped.get('cancelled', 0)} orders cancelled, {stopped.get('left', 0)} left"
    return f"{name} stopped ({stopped.get('reason', 'ended')}): {orders}; {position}."


def resume(config: ConfigOption = None, symbol: SymbolOption = None, assignments: SetOption = None) -> None:
    """Release the stop's, the drawdown's and any halt's latch of a bot, running or not: it hedges by its curve again."""
    _post(config, assignments, symbol, "resume", "")
    typer.echo("Asked to resume: the latches are released with the next tick, and the grid re-anchors.")


def flatten(
    config: ConfigOption = None,
    symbol: SymbolOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    assignments: SetOption = None,
) -> None:
    """Remove the hedge: a running bot closes its perpetual position at once and opens nothing until `alpha-pulse resume`."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    settings = load(config, assignments).settings

    async def post() -> str:
        from alpha_pulse.cli.store import choose, database, short_name  # noqa: PLC0415 - slow to import; --help does without
        from alpha_pulse.hedging.state.queries import post_command  # noqa: PLC0415 - as above
        from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

        host = SystemHost()
        async with database(settings) as engine:
            bot = await choose(engine, host, symbol=symbol, running=True)
            quantity, name = bot.position.quantity, short_name(bot.symbol)
            position = f"a {'short' if quantity < 0 else 'long'} of {abs(quantity)}" if quantity else "no position"
            typer.echo(f"This removes the hedge of {name} ({position}): it is closed at the market, grid and stop are cancelled,")
            typer.echo("and your inventory carries the whole price risk until you run `alpha-pulse resume`.")
            if not yes and not typer.confirm("Remove the hedge?"):
                raise typer.Exit(1)
            await post_command(engine, bot.account, bot.symbol, "flatten", "", now_ms=host.now_ms())
        return name

    name = asyncio.run(post())
    typer.echo(f"Asked {name} to flatten: it acts with its next tick. `alpha-pulse status` shows what is left.")


def kill(config: ConfigOption = None, symbol: SymbolOption = None, assignments: SetOption = None) -> None:
    """Halt a bot at once: its grid is withdrawn, its position and its stop stay, and it refuses to trade until `alpha-pulse resume`."""
    name = _post(config, assignments, symbol, "kill", "")
    typer.echo(f"Asked {name} to halt and end; running or not, it places nothing until `alpha-pulse resume`.")


def _post(config: str | None, assignments: list[str] | None, symbol: str | None, name: str, argument: str) -> str:
    """Leave a command for the one bot that is meant; returns its short name."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    settings = load(config, assignments).settings

    async def post() -> str:
        from alpha_pulse.cli.store import choose, database, short_name  # noqa: PLC0415 - slow to import; --help does without
        from alpha_pulse.hedging.state.queries import post_command  # noqa: PLC0415 - as above
        from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

        host = SystemHost()
        async with database(settings) as engine:
            bot = await choose(engine, host, symbol=symbol, running=False)
            await post_command(engine, bot.account, bot.symbol, name, argument, now_ms=host.now_ms())
        return short_name(bot.symbol)

    return asyncio.run(post())


# --- tickets ------------------------------------------------------------------------------------------------------
TicketId = Annotated[str, typer.Argument(metavar="TICKET", help="Id of the ticket, or enough of its beginning.")]


@tickets_app.command("list")
def list_(
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed tickets too.")] = False,
    as_json: JsonOption = False,
    assignments: SetOption = None,
) -> None:
    """Tickets that wait for a person, newest first."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.cli.tickets import read_tickets  # noqa: PLC0415 - as above

    settings = load(config, assignments).settings
    found = asyncio.run(read_tickets(settings, everything=everything))
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        typer.echo(json.dumps([{**t.ticket, "account": t.account, "status": t.status} for t in found], indent=2, ensure_ascii=False))
    elif not found:
        typer.echo("No tickets." if everything else "No open tickets.")
    else:
        from alpha_pulse.cli.tables import ticket_table  # noqa: PLC0415 - slow to import; --help does without

        console().print(ticket_table(found))


@tickets_app.command()
def accept(ticket: TicketId, config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Say that the order is placed, or will be."""
    _answer(config, assignments, ticket, "accept")


@tickets_app.command()
def reject(ticket: TicketId, config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Say that the order will not be placed."""
    _answer(config, assignments, ticket, "reject")


@tickets_app.command()
def done(
    ticket: TicketId,
    price: Annotated[str, typer.Option("--price", metavar="PRICE", help="Average price of the fill, quote units.")],
    quantity: Annotated[str, typer.Option("--quantity", metavar="QUANTITY", help="What was filled, base units.")],
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Report the fill: the position and the books follow it."""
    from alpha_pulse.cli.tickets import positive  # noqa: PLC0415 - slow to import; --help does without

    _answer(config, assignments, ticket, "done", f" {positive('--price', price)} {positive('--quantity', quantity)}")


def _answer(config: str | None, assignments: list[str] | None, ticket: str, verdict: str, report: str = "") -> None:
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.cli.tickets import answer  # noqa: PLC0415 - as above

    settings = load(config, assignments).settings
    full_id = asyncio.run(answer(settings, ticket, verdict, report))
    typer.echo(f"{verdict} {full_id}: the bot takes it up with its next tick.")


# --- audit --------------------------------------------------------------------------------------------------------
@audit_app.callback()
def _audit() -> None:
    """Check what was recorded."""


@audit_app.command()
def verify(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Recompute the hash chain of every bot's events, and everything that follows from them."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    settings = load(config, assignments).settings

    async def check() -> int:
        from alpha_pulse.cli.store import database, short_name  # noqa: PLC0415 - slow to import; --help does without
        from alpha_pulse.hedging.state.audit import verify as recompute  # noqa: PLC0415 - as above
        from alpha_pulse.hedging.state.queries import read_status  # noqa: PLC0415 - as above
        from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

        async with database(settings) as engine:
            problems = await recompute(engine)
            for problem in problems:
                event = f" event {problem.sequence}:" if problem.sequence else ""
                typer.echo(f"{short_name(problem.symbol)} ({problem.account}):{event} {problem.reason}", err=True)
            if problems:
                return 1
            bots = await read_status(engine, SystemHost())
        typer.echo(f"Intact: {sum(bot.events for bot in bots)} events of {len(bots)} bots, every link recomputed.")
        return 0

    raise typer.Exit(asyncio.run(check()))


@audit_app.command()
def decisions() -> None:
    """Recompute the hash chain of a service's decisions, in the database that HE_DB_DSN names."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    async def check() -> int:
        from alpha_pulse.service.log.audit import verify as recompute  # noqa: PLC0415 - slow to import; --help does without
        from alpha_pulse.service.log.database import open_database  # noqa: PLC0415 - as above
        from alpha_pulse.service.settings import load_service_settings  # noqa: PLC0415 - as above

        database = await open_database(load_service_settings().db_dsn, field="HE_DB_DSN")
        try:
            problems = await recompute(database.engine)
        finally:
            await database.dispose()
        for problem in problems:
            typer.echo(problem, err=True)
        if not problems:
            typer.echo("Intact: every decision's link recomputed.")
        return 1 if problems else 0

    raise typer.Exit(asyncio.run(check()))
