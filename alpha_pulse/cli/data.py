"""The commands ``data download``, ``data list``, ``data check`` and ``data import``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import JsonOption, console, writable_folder
from alpha_pulse.errors import ConfigError, DataError, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alpha_pulse.market.store.checking import Examined
    from alpha_pulse.market.store.downloading import DownloadRequest, Fetched
    from alpha_pulse.market.store.importing import Proposal
    from alpha_pulse.market.store.series import Market, Series

data_app = typer.Typer(help="Candles, mark prices and funding for backtests: download, look at, check, import.", no_args_is_help=True)

ROOT = Path("var/data")
RootOption = Annotated[Path, typer.Option("--root", metavar="DIR", help="The folder of the store.")]
JumpOption = Annotated[float, typer.Option("--jump", metavar="SHARE", help="A move beyond this is listed, e.g. 0.1 for 10 %.")]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="OURS=THEIRS", help="What a file calls a column, e.g. open=Open; may be repeated."),
]
_JUMP = 0.10


@data_app.command()
def download(
    pair: Annotated[str, typer.Argument(metavar="PAIR", help="E.g. BTCUSDT.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From this time on, UTC, e.g. 2024-01-01.")],
    timeframe: Annotated[str, typer.Option("--timeframe", metavar="LENGTH", help="Of a bar, e.g. 1m, 5m, 1h.")] = "1m",
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to this time, UTC; without it, until now.")] = None,
    exchange: Annotated[str, typer.Option("--exchange", metavar="ID", help="The perpetual's exchange, as ccxt names it.")] = "binanceusdm",
    market: Annotated[
        list[str] | None, typer.Option("--market", metavar="NAME", help="spot, perp, mark, funding; may be repeated. [default: all]")
    ] = None,
    fill_gaps: Annotated[bool, typer.Option("--fill-gaps", help="Ask again for bars that are missing in between.")] = False,
    rest_url: Annotated[str | None, typer.Option("--rest-url", metavar="URL", help="Send every request here: a proxy, a mirror.")] = None,
    root: RootOption = ROOT,
) -> None:
    """Fetch an exchange's candles, mark prices and funding into the store, or go on where that stopped."""
    from alpha_pulse.domain.catalog import hedge_pair  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.market.store.downloading import MARKETS, DownloadRequest  # noqa: PLC0415 - as above

    request = DownloadRequest(
        pair=hedge_pair(pair),
        timeframe=timeframe,
        since_ms=moment(since, "--since"),
        until_ms=None if until is None else moment(until, "--until"),
        exchange_id=exchange,
        markets=tuple(dict.fromkeys(map(_market, market))) if market else MARKETS,
        fill_gaps=fill_gaps,
        rest_url=rest_url,
    )
    writable_folder(root, "--root")
    for one in _fetched(root, request):
        typer.echo(f"{one.series}: {'skipped, ' + one.skipped if one.skipped else one.written}")
    typer.echo(f"Stored in {root}. Look at it with: alpha-pulse data check {request.pair.name}")


def _fetched(root: Path, request: DownloadRequest) -> list[Fetched]:
    """Download with a progress bar a series, on standard error."""
    import asyncio  # noqa: PLC0415 - slow to import; --help does without
    import logging  # noqa: PLC0415 - as above

    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress, TaskID  # noqa: PLC0415 - as above

    from alpha_pulse.market.store.candle_store import CandleStore  # noqa: PLC0415 - as above
    from alpha_pulse.market.store.downloading import download  # noqa: PLC0415 - as above
    from alpha_pulse.runtime.clock import SystemClock  # noqa: PLC0415 - as above

    logging.getLogger("stamina").addHandler(logging.NullHandler())  # a request that is repeated is no news
    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[Series, TaskID] = {}
        waiting = bar.add_task(f"Asking {request.exchange_id}", total=None)

        def again(words: str) -> None:
            bar.update(waiting, description=words, visible=True)
            if not bar.console.is_terminal:  # where no bar is drawn
                bar.console.print(words)

        def told(series: Series, share: float) -> None:
            if series not in tasks:
                tasks[series] = bar.add_task(str(series), total=1.0)
            bar.update(tasks[series], completed=share)
            bar.update(waiting, visible=False)

        try:
            return asyncio.run(download(CandleStore(root), request, SystemClock(), on_progress=told, on_retry=again))
        except Transient as error:
            hint = "What had come is stored; the same command goes on from there"
            raise Transient(f"{request.exchange_id} did not give what was asked for. {hint}. The last error was: {error}") from error


@data_app.command("list")
def list_series(
    pair: Annotated[str | None, typer.Argument(metavar="[PAIR]", help="Only this pair.")] = None,
    as_json: JsonOption = False,
    root: RootOption = ROOT,
) -> None:
    """What the store holds, series by series."""
    from alpha_pulse.cli.data_tables import stored_json, stored_table  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.domain.catalog import hedge_pair  # noqa: PLC0415 - as above
    from alpha_pulse.market.store.candle_store import CandleStore  # noqa: PLC0415 - as above

    corrupt: list[DataError] = []
    found = list(CandleStore(root).contents(None if pair is None else hedge_pair(pair).name, on_corrupt=corrupt.append))
    if as_json:
        typer.echo(stored_json(found))
    elif not found and not corrupt:
        typer.echo(f"There is nothing in {root} yet. Begin with: alpha-pulse data download BTCUSDT --since 2024-01-01")
    else:
        console().print(stored_table(found))
    _refuse(corrupt)


@data_app.command()
def check(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[PAIR|FILE]...", help="Pairs or files; without any, the whole store.")
    ] = None,
    market: Annotated[str | None, typer.Option("--market", metavar="NAME", help="Only this market; of a file, what it holds.")] = None,
    column: ColumnOption = None,
    jump: JumpOption = _JUMP,
    as_json: JsonOption = False,
    root: RootOption = ROOT,
) -> None:
    """List gaps, duplicates, impossible bars, bars without volume and jumps. Nothing is repaired."""
    from rich.console import Console  # noqa: PLC0415 - slow to import; --help does without
    from rich.progress import Progress  # noqa: PLC0415 - as above

    from alpha_pulse.cli.data_tables import examined_json, findings_table, verdict  # noqa: PLC0415 - as above

    if not 0.0 < jump < 10.0:  # noqa: PLR2004 - a price that grows elevenfold is no jump that anyone waits for
        raise ConfigError("must lie between 0 and 10.", field="--jump", value=jump, fix="write 0.1 for 10 %")
    named = dict(map(_assignment, column or []))
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Checking", total=None)
        examined: list[Examined] = []
        corrupt: list[DataError] = []
        for one in _examined(what or [], None if market is None else _market(market), named, jump, root, corrupt.append):
            examined.append(one)
            bar.update(task, description=f"Checked {one.name}")
    if as_json:
        typer.echo(examined_json(examined))
    elif not examined and not corrupt:
        typer.echo(f"There is nothing in {root} yet. Begin with: alpha-pulse data download BTCUSDT --since 2024-01-01")
    else:
        for one in examined:
            typer.echo(verdict(one))
            if one.findings:
                console().print(findings_table(one))
    _refuse(corrupt)
    raise typer.Exit(1 if any(one.refused for one in examined) else 0)


@data_app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or Feather: candles, funding, trades or best bid and ask.")],
    pair: Annotated[str | None, typer.Option("--pair", metavar="PAIR", help="What it holds; without it, read from its name.")] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", metavar="NAME", help="spot, perp, mark, funding, trades, quotes, spot-trades or spot-quotes."),
    ] = None,
    column: ColumnOption = None,
    exchange: Annotated[str, typer.Option("--exchange", metavar="ID", help="Where it was recorded, as ccxt names it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    jump: JumpOption = _JUMP,
    root: RootOption = ROOT,
) -> None:
    """Store a file of yours. What its columns mean is guessed, shown, and confirmed by you."""
    from alpha_pulse.cli.data_tables import findings_table, proposal_table, verdict  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.market.store.candle_store import CandleStore  # noqa: PLC0415 - as above
    from alpha_pulse.market.store.importing import propose, store_proposal  # noqa: PLC0415 - as above

    named = dict(map(_assignment, column or []))
    with console().status(f"Reading {file}"):
        proposal = propose(file, pair=pair, market=None if market is None else _market(market), named=named, jump=jump)
    console().print(proposal_table(proposal))
    typer.echo(verdict(proposal.examined))
    if proposal.examined.findings:
        console().print(findings_table(proposal.examined))
    if not yes and proposal.guessed:
        _confirm(proposal)
    writable_folder(root, "--root")
    written = store_proposal(CandleStore(root), proposal, exchange=exchange)
    typer.echo(f"{proposal.series}: {written}. Stored in {root}.")


def moment(text: str, flag: str) -> int:
    """A time as it is typed, in milliseconds: ISO 8601, UTC where it names no zone.

    Raises:
        ConfigError: it is none.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError("is no time.", field=flag, value=text, fix="write 2024-01-01 or 2024-01-01T12:00") from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _market(name: str) -> Market:
    from alpha_pulse.market.store.series import Market  # noqa: PLC0415 - slow to import; --help does without

    try:
        return Market(name.strip().lower())
    except ValueError:
        raise ConfigError("is no market that is known here.", field="--market", value=name, fix=f"one of {', '.join(Market)}") from None


def _assignment(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not ours.strip() or not theirs.strip():
        raise ConfigError("is no assignment.", field="--column", value=text, fix="write --column open=Open")
    return ours.strip(), theirs.strip()


def _confirm(proposal: Proposal) -> None:
    """Ask at the terminal. Raises ``ConfigError`` where nobody is there to answer."""
    try:
        agreed = typer.confirm(f"Store it as {proposal.series}?")
    except typer.Abort:
        raise ConfigError(
            f"its columns are guessed and nobody confirmed them: {', '.join(proposal.guessed)}.",
            field=str(proposal.path),
            fix="run it at a terminal, or add --yes, or name each with --column OURS=THEIRS",
        ) from None
    if not agreed:
        raise typer.Exit(1)


def _refuse(corrupt: list[DataError]) -> None:
    """Name the files of the store that cannot be read, after everything else was shown."""
    for error in corrupt:
        typer.echo(f"alpha-pulse: {error}", err=True)
    if corrupt:
        raise typer.Exit(1)


def _examined(
    what: list[str], market: Market | None, named: dict[str, str], jump: float, root: Path, on_corrupt: Callable[[DataError], None]
) -> Iterator[Examined]:
    """What was asked for, one series or file after the other; of the store what can be read."""
    from alpha_pulse.domain.catalog import hedge_pair  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.market.store.candle_store import CandleStore  # noqa: PLC0415 - as above
    from alpha_pulse.market.store.checking import check_file, check_stored  # noqa: PLC0415 - as above

    store = CandleStore(root)
    for one in what or [""]:
        if one and (Path(one).exists() or Path(one).suffix):
            yield check_file(Path(one), market, named=named, jump=jump)
            continue
        name = hedge_pair(one).name if one else None
        corrupt: list[DataError] = []
        found = [stored.series for stored in store.contents(name, on_corrupt=corrupt.append) if market in {None, stored.series.market}]
        for error in corrupt:
            on_corrupt(error)
        if one and not found and not corrupt:
            raise ConfigError(f"the store in {root} holds nothing of it.", field="data", value=name, fix="see `alpha-pulse data list`")
        for series in found:
            try:
                yield check_stored(store, series, jump=jump)
            except DataError as error:
                on_corrupt(error)
