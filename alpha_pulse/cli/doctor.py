"""The ``doctor`` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alpha_pulse.cli.options import ConfigOption, FeedOption, Flags, JsonOption, ModeOption, SetOption, SymbolOption, console, load_pair

if TYPE_CHECKING:
    from alpha_pulse.cli.examination import Examination
    from alpha_pulse.hedging.risk.checkup import Finding

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(
    config: ConfigOption = None,
    mode: ModeOption = None,
    feed: FeedOption = None,
    symbol: SymbolOption = None,
    price: Annotated[float | None, typer.Option("--price", metavar="PRICE", min=1e-12, help="Assume this price, quote units.")] = None,
    volatility: Annotated[
        float | None, typer.Option("--volatility", metavar="FRACTION", min=1e-6, max=1.0, help="Assume this σ a day. [default: 0.03]")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the exchange; by default its account is read, and nothing changed.")
    ] = False,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What would stop this configuration from running, or make it dangerous, each with its fix; with several pairs, pair by pair."""
    flags: Flags = {"mode": ("--mode", mode), "feed.source": ("--feed", feed)}
    settings = load_pair(config, assignments, flags, symbol)

    from alpha_pulse.cli.examination import examination  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.hedging.risk.checkup import Severity  # noqa: PLC0415 - as above
    from alpha_pulse.settings import each_pair  # noqa: PLC0415 - pulls pydantic in, which --help does without

    found = [(one, examination(one, price=price, volatility=volatility, online=not offline)) for one in each_pair(settings)]
    severities = [finding.severity for _, examined in found for finding in examined.findings]
    errors, warnings = severities.count(Severity.ERROR), severities.count(Severity.WARNING)
    if as_json:
        _print_json([(one.symbol, examined) for one, examined in found])
    else:
        for one, examined in found:
            _print(f"{one.symbol}, {one.mode}, {one.feed.source} feed", examined.findings)
            _print_shocks(examined)
        typer.echo(f"{errors} errors, {warnings} warnings.")
    raise typer.Exit(1 if errors else 0)


def _print(title: str, findings: Sequence[Finding]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - slow to import; --help does without
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("", "topic", "what", "fix"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        severity = Text(finding.severity.value, style=_STYLES[finding.severity.value])
        table.add_row(severity, finding.topic, Text(finding.what), Text(finding.fix))  # as text: [units] are no markup
    console().print(table)


def _print_shocks(examined: Examination) -> None:
    from rich.text import Text  # noqa: PLC0415 - slow to import; --help does without

    from alpha_pulse.cli.shock_table import shock_tables  # noqa: PLC0415 - as above
    from alpha_pulse.hedging.risk.shocks import SHOCK_NOTES, reading  # noqa: PLC0415 - as above

    if examined.shocks is None:
        typer.echo(f"No shock table: {examined.no_shocks}")
        return
    out = console()
    for table in shock_tables(examined.shocks, out):
        out.print(table)
    out.print(Text(reading(examined.shocks)))
    out.print(Text(SHOCK_NOTES, style="dim"))
    out.print()


def _print_json(found: Sequence[tuple[str, Examination]]) -> None:
    """One pair as an object; several as an object of them by symbol."""
    import json  # noqa: PLC0415 - this branch alone needs it

    shown = {symbol: _as_json(examined) for symbol, examined in found}
    typer.echo(json.dumps(shown if len(found) > 1 else _as_json(found[0][1]), indent=2, ensure_ascii=False))


def _as_json(examined: Examination) -> dict[str, Any]:
    import dataclasses  # noqa: PLC0415 - only --json needs it

    from alpha_pulse.hedging.risk.shocks import as_json  # noqa: PLC0415 - slow to import; --help does without

    return {
        "findings": [dataclasses.asdict(finding) for finding in examined.findings],
        "shocks": None if examined.shocks is None else as_json(examined.shocks),
        "shocks_unavailable": examined.no_shocks,
    }
