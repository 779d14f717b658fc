"""The ``doctor`` command."""

from __future__ import annotations

from typing import Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, FeedOption, JsonOption, ModeOption, SetOption, SymbolOption, console, load


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
    flags: dict[str, tuple[str, str | None]] = {"mode": ("--mode", mode), "feed.source": ("--feed", feed), "symbol": ("--symbol", symbol)}
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
        from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - slow to import; --help does without
        from rich.table import Table  # noqa: PLC0415 - as above

        styles = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
        table = Table(title=f"{settings.symbol}, {settings.mode}, {settings.feed.source} feed", title_justify="left", box=SIMPLE_HEAD)
        for heading in ("", "topic", "what", "fix"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            severity = finding.severity
            table.add_row(f"[{styles[severity]}]{severity.value}[/]", finding.topic, finding.what, finding.fix)
        console().print(table)
        warnings = sum(finding.severity is Severity.WARNING for finding in findings)
        typer.echo(f"{errors} errors, {warnings} warnings.")
    raise typer.Exit(1 if errors else 0)
