"""Commands about settings: ``init`` and ``config show``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.cli.options import ConfigOption, FeedOption, Flags, JsonOption, ModeOption, SetOption, SymbolOption, console, load
from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from alpha_pulse.settings import Settings

config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)

Ask = Callable[[str, str | None], str]
"""Puts a question, with a default or without, and returns the answer."""

_QUESTIONS: dict[str, str] = {
    "symbol": "Which pair is hedged? (e.g. BTCUSDT)",
    "inventory.quantity": "How many coins do you hold?",
    "mode": "Mode: paper, recommendation or real?",
    "hedge.ratio": "Which share of them should be hedged? (0.5 = half)",
    "feed.source": "Where do prices come from: simulated, recorded or ccxt?",
}


def init(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")] = Path("hedge.yaml"),
    symbol: SymbolOption = None,
    inventory: Annotated[str | None, typer.Option("--inventory", metavar="COINS", help="Coins held.")] = None,
    mode: ModeOption = None,
    ratio: Annotated[str | None, typer.Option("--ratio", metavar="FRACTION", help="Share of the inventory to hedge; 0.5 is half.")] = None,
    feed: FeedOption = None,
    spot: Annotated[str | None, typer.Option("--spot", metavar="FILE", help="Spot candles, with --feed recorded.")] = None,
    perp: Annotated[str | None, typer.Option("--perp", metavar="FILE", help="Perpetual candles, with --feed recorded.")] = None,
    exchange: Annotated[str | None, typer.Option("--exchange", metavar="ID", help="ccxt id of the exchange.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a commented configuration; asks on a terminal for what no flag says."""
    if output.exists() and not force:
        raise ConfigError("exists already.", field="--output", value=str(output), fix="name another file, or add --force")
    flags: Flags = {
        "symbol": ("--symbol", symbol),
        "inventory.quantity": ("--inventory", inventory),
        "mode": ("--mode", mode),
        "hedge.ratio": ("--ratio", ratio),
        "feed.source": ("--feed", feed),
        "feed.spot": ("--spot", spot),
        "feed.perp": ("--perp", perp),
        "exchange.id": ("--exchange", exchange),
    }
    settings = _chosen(flags)
    if sys.stdin.isatty():
        try:
            settings = asked(flags, settings, lambda question, default: str(typer.prompt(question, default=default)))
        except typer.Abort:  # Ctrl-C or Ctrl-D at a question
            raise typer.Exit(130) from None

    from alpha_pulse.cli.template import render  # noqa: PLC0415 - pulls pydantic in, which --help does without

    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(render(settings), encoding="utf-8")
    typer.echo(f"Wrote {output}. Next: alpha-pulse doctor --config {output}, then alpha-pulse run --config {output}")


def _chosen(flags: Flags) -> Settings:
    """Defaults under the flags alone: the environment of this shell does not belong in a file."""
    from alpha_pulse.settings import load_settings  # noqa: PLC0415 - pulls pydantic in, which --help does without

    given = {key: value for key, (_, value) in flags.items() if value is not None}
    if "inventory.quantity" not in given:  # the file will name it, which is what real mode asks for
        given["inventory.quantity"] = "1.0"
    return load_settings(None, given, {}, flags={key: flag for key, (flag, _) in flags.items()}).settings


def asked(flags: Flags, settings: Settings, ask: Ask) -> Settings:
    """Ask for what no flag said, again until the answer can be used; the answers join ``flags``."""
    for key, question in _QUESTIONS.items():
        flag, given = flags[key]
        if given is not None:
            continue
        section, _, name = key.rpartition(".")
        default = getattr(getattr(settings, section) if section else settings, name)
        while True:
            answer = ask(question, str(default))
            flags[key] = (flag, answer)
            extra = _asked_files(flags, ask) if key == "feed.source" and answer == "recorded" else {}
            try:
                settings = _chosen(flags | extra)
            except ConfigError as error:
                typer.echo(f"  {error}", err=True)
                continue
            flags |= extra
            break
    return settings


def _asked_files(flags: Flags, ask: Ask) -> Flags:
    """The files of a recorded feed."""
    asked: Flags = {}
    for name in ("spot", "perp"):
        flag, given = flags[f"feed.{name}"]
        asked[f"feed.{name}"] = (flag, given or ask(f"File of {name} candles", None))
    return asked


@config_app.callback()
def _config() -> None:
    """Look at the settings."""


@config_app.command()
def show(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Every effective setting, its unit, and where it came from."""
    loaded = load(config, assignments)
    if as_json:
        import json  # noqa: PLC0415 - this branch alone needs it

        rows = {e.key: {"value": e.json_value, "unit": e.unit, "source": e.source} for e in loaded.effective}
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    from rich.table import Table  # noqa: PLC0415 - slow to import; --help does without
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(title="Settings in force", title_justify="left", caption="A dim row is a default.", caption_justify="left")
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("unit")
    table.add_column("from", overflow="fold")
    for entry in loaded.effective:
        style = "dim" if entry.source == "default" else "bold"
        table.add_row(entry.key, Text(entry.shown), entry.unit, Text(entry.source), style=style)  # as text: brackets are no markup
    console().print(table)
