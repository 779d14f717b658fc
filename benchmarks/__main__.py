"""``python -m benchmarks``: measure every figure, print the table, write the JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Reading
from benchmarks.report import as_json, machine, machine_line, table
from benchmarks.runs import FULL, QUICK, measurements


def main() -> None:
    """Parse, measure, report. An unmet goal is no failure: it is in the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure every figure that the README claims.")
    parser.add_argument("--quick", action="store_true", help="a few simulated days, once: that it runs, not how fast")
    parser.add_argument("--json", type=Path, default=Path("out/bench.json"), metavar="FILE", help="where the JSON goes [out/bench.json]")
    parser.add_argument("--only", default="", metavar="WORD", help="only figures with this in their name")
    arguments = parser.parse_args()
    about, progress = machine(), Console(stderr=True)
    readings: list[Reading] = []
    for measurement in measurements():
        if any(arguments.only in figure.name for figure in measurement.figures):
            progress.print(f"measuring {measurement.figures[0].name} …", style="dim")
            found = measurement.readings(QUICK if arguments.quick else FULL)
            readings += [reading for reading in found if arguments.only in reading.figure.name]
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print(table(readings, quick=arguments.quick))
    console.print(machine_line(about), highlight=False)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    document = as_json(readings, about, quick=arguments.quick)
    arguments.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"JSON: {arguments.json.resolve()}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
