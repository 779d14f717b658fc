"""The ``doctor`` command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, FeedOption, Flags, JsonOption, ModeOption, SetOption, SymbolOption, console, load

if TYPE_CHECKING:
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
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """What would stop this configuration from running, or make it dangerous, each with its fix."""
    flags: Flags = {"mode": ("--mode", mode), "feed.source": ("--feed", feed), "symbol": ("--symbol", symbol)}
    settings = load(config, assignments, flags).settings

    from alpha_pulse.cli.examination import examine  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.hedging.risk.checkup import Severity  # noqa: PLC0415 - as above

    findings = examine(settings, price=price, volatility=volatility)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if as_json:
        import dataclasses  # noqa: PLC0415 - this branch alone needs it
        import json  # noqa: PLC0415 - as above

        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        _print(f"{settings.symbol}, {settings.mode}, {settings.feed.source} feed", findings)
        warnings = sum(finding.severity is Severity.WARNING for finding in findings)
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
