"""``alpha-pulse explain``: why the hedge is what it is, and whether the record still gives the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, JsonOption, SetOption, SymbolOption, console, load
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from alpha_pulse.settings import Settings


def explain(
    config: ConfigOption = None,
    symbol: SymbolOption = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="As of then, e.g. 2026-03-01T12:00 (UTC, market time).")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Decide every recorded target again and compare, bit for bit.")] = False,
    as_json: JsonOption = False,
    assignments: SetOption = None,
) -> None:
    """Why the hedge is what it is: every step that led to the ratio and the floor, now or at any time."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    moment = None if at is None else _time(at)
    settings = load(config, assignments).settings
    if verify:
        raise typer.Exit(asyncio.run(_verify(settings, symbol, as_json=as_json)))
    asyncio.run(_explain(settings, symbol, moment, as_json=as_json))


def _time(text: str) -> int:
    """ISO 8601, UTC where no zone is given, in milliseconds."""
    from datetime import UTC, datetime  # noqa: PLC0415 - this command alone needs it

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError("is no time.", field="--at", value=text, fix="write 2026-03-01T12:00, in UTC, or with a zone") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


async def _explain(settings: Settings, symbol: str | None, at_ms: int | None, *, as_json: bool) -> None:
    from alpha_pulse.cli.store import choose, database, short_name  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.hedging.state.why import target_in_force  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

    async with database(settings) as engine:
        bot = await choose(engine, SystemHost(), symbol=symbol, running=False)
        found = await target_in_force(engine, bot.account, bot.symbol, at_ms)
    name = short_name(bot.symbol)
    if found is None:
        when = "yet" if at_ms is None else "by then"
        raise ConfigError(f"{name} had decided nothing {when}.", field="--at" if at_ms is not None else "", fix="see `alpha-pulse status`")
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        typer.echo(json.dumps(found.as_json(name), indent=2, ensure_ascii=False))
        return
    from alpha_pulse.cli.why_table import print_why  # noqa: PLC0415 - slow to import; --help does without

    print_why(name, found, console())


async def _verify(settings: Settings, symbol: str | None, *, as_json: bool) -> int:
    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.cli.store import choose, database, short_name  # noqa: PLC0415 - as above
    from alpha_pulse.hedging.grid.again import decide_again  # noqa: PLC0415 - as above
    from alpha_pulse.hedging.state.why import recorded_targets  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.process import SystemHost  # noqa: PLC0415 - as above

    async with database(settings) as engine:
        bot = await choose(engine, SystemHost(), symbol=symbol, running=False)
        targets = await recorded_targets(engine, bot.account, bot.symbol)
    with Progress(console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal) as bar:
        kept = [target for target in targets if target.snapshot is not None]
        again = [(target, decide_again(target)) for target in bar.track(kept, description="Deciding again")]
    different = [(target.sequence, difference) for target, difference in again if difference]
    return _tell(short_name(bot.symbol), len(kept) - len(different), len(targets) - len(kept), different, as_json=as_json)


def _tell(name: str, same: int, without: int, different: list[tuple[int, str]], *, as_json: bool) -> int:
    """What came of deciding again; returns the exit code."""
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        found = [{"event": sequence, "difference": text} for sequence, text in different]
        typer.echo(json.dumps({"pair": name, "same": same, "different": found, "without_snapshot": without}, indent=2, ensure_ascii=False))
        return 1 if different or not same else 0
    for sequence, text in different:
        typer.echo(f"{name}: event {sequence} gives another target now: {text}", err=True)
    if different:
        return 1
    if not same:
        typer.echo(f"{name}: no snapshot is recorded, so nothing could be decided again ({without} targets without one).", err=True)
        return 1
    rest = f"; {without} of an older record have no snapshot" if without else ""
    typer.echo(f"{name}: {same} targets decided again from their snapshots, every one the same to the last bit{rest}.")
    return 0
