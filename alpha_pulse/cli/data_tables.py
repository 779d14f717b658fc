"""Tables and JSON of the ``data`` commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from alpha_pulse.market.files import iso
from alpha_pulse.market.store.candle_store import Stored
from alpha_pulse.market.store.checking import Examined
from alpha_pulse.market.store.importing import Proposal
from alpha_pulse.market.store.series import COLUMNS, TIMESTAMP

_LISTED: Final = 20  # findings of one kind that are shown; the rest are counted
_KB: Final = 1000


def stored_table(found: Sequence[Stored]) -> Table:
    """One line for each series."""
    table = Table(title="Stored", title_justify="left", box=SIMPLE_HEAD)
    for heading in ("pair", "market", "timeframe", "from (UTC)", "to (UTC)", "rows", "missing", "files", "kB", "exchange"):
        table.add_column(heading, justify="right" if heading in {"rows", "missing", "files", "kB"} else "left", no_wrap=True)
    for one in found:
        table.add_row(
            one.series.pair,
            one.series.market.value,
            one.series.timeframe or "–",
            iso(one.first_ms),
            iso(one.last_ms),
            f"{one.rows:,}",
            "–" if one.missing is None else f"{one.missing:,}",
            str(one.files),
            f"{one.size / _KB:,.0f}",
            Text(one.exchange or "–"),
        )
    return table


def stored_json(found: Sequence[Stored]) -> str:
    """The same for programs; times in milliseconds UTC."""
    rows = [one._asdict() | {"series": one.series._asdict(), "missing": one.missing} for one in found]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def verdict(one: Examined) -> str:
    """What was found, on one line."""
    range_of = f"{one.rows:,} rows, {iso(one.first_ms)} .. {iso(one.last_ms)} UTC"
    unfit = f"; {one.unfit}, only on bars that divide the hour" if one.unfit else ""
    if not one.findings:
        return f"{one.name}: {range_of}, nothing found (jumps beyond {one.jump:.0%} would be listed){unfit}."
    counts: Counter[str] = Counter()
    for finding in one.findings:
        counts[finding.problem.value] += finding.count
    said = ", ".join(f"{count:,} × {problem}" for problem, count in counts.items())
    return f"{one.name}: {range_of}: {said}{unfit or ('; a run on it is refused' if one.refused else '')}."


def findings_table(one: Examined) -> Table:
    """Every finding with its time range and count; of many of one kind the first."""
    table = Table(box=SIMPLE_HEAD, caption=f"Jumps are moves beyond {one.jump:.0%}. Nothing was repaired.", caption_justify="left")
    for heading in ("problem", "from (UTC)", "to (UTC)", "rows"):
        table.add_column(heading, justify="right" if heading == "rows" else "left", no_wrap=True)
    shown: Counter[str] = Counter()
    for finding in one.findings:
        shown[finding.problem.value] += 1
        if shown[finding.problem.value] <= _LISTED:
            style = "red" if finding.problem.refused else ""
            table.add_row(finding.problem.value, iso(finding.first_ms), iso(finding.last_ms), f"{finding.count:,}", style=style)
    for problem, count in shown.items():
        if count > _LISTED:
            table.add_row(f"{problem}: {count - _LISTED:,} more runs (all with --json)", "", "", "", style="dim")
    return table


def examined_json(found: Sequence[Examined]) -> str:
    """The same for programs; times in milliseconds UTC."""
    return json.dumps([asdict(one) | {"refused": one.refused} for one in found], indent=2, ensure_ascii=False)


def proposal_table(proposal: Proposal) -> Table:
    """Which column of a file would be read as what, with its first value and the unit that it would be read in."""
    table = Table(title=Text(f"{proposal.path} as {proposal.series}"), title_justify="left", box=SIMPLE_HEAD)
    for heading in ("column", "in the file", "first value", "unit"):
        table.add_column(heading, overflow="fold")
    kind = proposal.series.market.kind
    units = {"timestamp": TIMESTAMP[kind]} | COLUMNS[kind]
    values = [iso(int(proposal.rows.time_ms[0])), *(f"{value:.10g}" for value in proposal.rows.columns[:, 0].tolist())]
    for name, value in zip(("timestamp", *proposal.series.market.columns), values, strict=True):
        theirs = proposal.columns.get(name)
        note = "" if theirs is None else " (guessed)" if name in proposal.guessed else " (given)"
        table.add_row(name, Text("–" if theirs is None else f"{theirs}{note}"), value, Text(units[name]))
    return table
