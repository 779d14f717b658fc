"""The readings as a table for people and as JSON for programs, and on which machine they were taken."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from alpha_pulse import __version__
from benchmarks.figures import Figure, Reading


def machine() -> dict[str, Any]:
    """Processor, cores, Python and what else the machine was doing."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu(Path("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "alpha_pulse": __version__,
        "load_before": load,  # processes that wanted a core in the minute before; figures suffer when it is near the number of cores
    }


def machine_line(about: Mapping[str, Any]) -> str:
    """One line that says what the figures were taken on."""
    load = "" if about["load_before"] is None else f", load {about['load_before']:.1f} before"
    return f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, {about['system']}{load}"


def _cpu(info: Path) -> str:
    """The processor's name; what Python knows of it where Linux does not tell."""
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def table(readings: Sequence[Reading], *, quick: bool) -> Table:
    """One row a figure."""
    title = "Benchmarks: QUICK, too short to be compared" if quick else "Benchmarks"
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    drawn.add_column("figure", no_wrap=True)
    for name in ("median", "min", "max"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("unit", no_wrap=True)
    drawn.add_column("goal", justify="right", no_wrap=True)
    drawn.add_column("met", no_wrap=True)
    drawn.add_column("beside")
    for reading in readings:
        figure, values = reading.figure, reading.values
        cells = [number(cell) for cell in (reading.value, min(values), max(values))] if values else ["not measured", "", ""]
        beside = figure.beside if values else reading.missing
        drawn.add_row(figure.name, *cells, figure.unit, _goal(figure), _met(reading, quick=quick), beside)
    return drawn


def number(value: float | None) -> str:
    """Three digits that count, and thousands apart."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _goal(figure: Figure) -> str:
    return "" if figure.goal is None else f"{'≥' if figure.better == 'more' else '≤'} {figure.goal:,g}"


def _met(reading: Reading, *, quick: bool) -> str:
    if quick or reading.met is None:
        return ""
    if reading.met:
        return "[green]yes[/]"
    least, value = reading.figure.least, reading.value
    serves = least is not None and value is not None and value >= least
    return f"[yellow]no (≥ {least:,g})[/]" if serves else "[red]no[/]"


def as_json(readings: Sequence[Reading], about: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
    """Everything that was measured, each repeat, and what it includes."""
    rows = [
        {
            "name": reading.figure.name,
            "value": reading.value,
            "unit": reading.figure.unit,
            "goal": reading.figure.goal,
            "better": reading.figure.better,
            "least": reading.figure.least,
            "met": None if quick else reading.met,
            "repeats": list(reading.values),
            "includes": reading.figure.includes,
            "beside": reading.figure.beside,
            **({} if reading.values else {"not_measured": reading.missing}),
        }
        for reading in readings
    ]
    return {"machine": dict(about), "quick": quick, "figures": rows}
