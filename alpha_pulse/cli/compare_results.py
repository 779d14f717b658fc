"""The command ``compare``: two finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alpha_pulse.cli.options import JsonOption, console


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of a finished run.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another.")],
    everything: Annotated[bool, typer.Option("--all", help="Every figure that differs, not the main ones alone.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the tables as a page too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Two finished runs beside each other: settings, figures and fills that differ."""
    from alpha_pulse.backtest.run_diff import diff_runs, read_run  # noqa: PLC0415 - slow to import; --help does without
    from alpha_pulse.backtest.run_diff_view import diff_grids, diff_html  # noqa: PLC0415 - as above
    from alpha_pulse.backtest.writers import write_text  # noqa: PLC0415 - as above

    diff = diff_runs(read_run(a), read_run(b))
    grids = diff_grids(diff, everything=everything)
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        write_text(html, diff_html(diff, grids))
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        typer.echo(json.dumps(diff.as_json(), indent=2, ensure_ascii=False))
        return
    from alpha_pulse.backtest.backtest_console import print_grids  # noqa: PLC0415 - as above

    if not diff.settings:
        typer.echo("The settings are the same.")
    print_grids(grids, console())
    if html is not None:
        typer.echo(f"\nPage: {html}")
