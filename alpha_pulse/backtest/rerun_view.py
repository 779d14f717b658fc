"""A replayed run as tables and sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from alpha_pulse.backtest.grids import Grid
from alpha_pulse.backtest.rerun import Books, Divergence, Replayed
from alpha_pulse.backtest.tables import NONE, money, number


def replay_grids(found: Replayed) -> list[Grid]:
    """The run beside itself under each rule, and the first tick on which each parts from it."""
    rules = [again.rule for again in found.reruns]
    all_books = [found.recorded, *(again.books for again in found.reruns)]
    lines: tuple[tuple[str, Callable[[Books], str]], ...] = (
        ("Fills", lambda b: f"{b.fills:,}"),
        ("  of them maker", lambda b: f"{b.maker_fills:,}"),
        ("Bought", lambda b: f"{b.bought.normalize():f}"),
        ("Sold", lambda b: f"{b.sold.normalize():f}"),
        ("Fees", lambda b: money(-float(b.fees))),
        ("Slippage", lambda b: money(-float(b.slippage))),
        ("Funding", lambda b: money(float(b.funding))),
        ("Hedge PnL", lambda b: money(b.pnl)),
        ("Position at the last tick", lambda b: number(float(b.position), 8, trim=True)),
    )
    rows: list[tuple[str, ...]] = [(label, *(show(books) for books in all_books)) for label, show in lines]
    rows.append(("Hedge PnL against the run", "", *(money(again.books.pnl - found.recorded.pnl) for again in found.reruns)))
    rows.append(("Ticks that decide otherwise", "", *(f"{again.differing:,} of {len(found.run.ticks):,}" for again in found.reruns)))
    rows.append(("First of them", "", *(_when(again.first) for again in found.reruns)))
    parted = [
        Grid(
            f"Where {again.rule} parts from the run: tick {again.first.tick:,}, {_when(again.first)} UTC",
            ("", "in the run", "replayed"),
            again.first.differences,
        )
        for again in found.reruns
        if again.first is not None
    ]
    return [Grid("The run, and again under each fill rule", ("", "recorded", *rules), tuple(rows)), *parted]


def decisions_line(found: Replayed) -> str:
    """What came of deciding every recorded target again."""
    total = found.decided_again + len(found.decided_otherwise)
    rest = f"; {found.without_snapshot} have no snapshot" if found.without_snapshot else ""
    if not total:
        return f"No target could be decided again{rest}."
    if found.decided_otherwise:
        event, text = found.decided_otherwise[0]
        return f"{len(found.decided_otherwise)} of {total} recorded targets are decided otherwise now, first event {event}: {text}{rest}."
    return f"All {total} recorded targets are decided again from their snapshots, the same to the last bit{rest}."


def as_json(found: Replayed) -> dict[str, Any]:
    """For a machine: money as exact strings where it was booked so."""
    return {
        "pair": found.run.pair,
        "run": found.run.span.number,
        "ticks": len(found.run.ticks),
        "targets": {
            "same": found.decided_again,
            "different": [{"event": event, "difference": text} for event, text in found.decided_otherwise],
            "without_snapshot": found.without_snapshot,
        },
        "recorded": _books(found.recorded),
        "replayed": {
            again.rule: {
                **_books(again.books),
                "differing_ticks": again.differing,
                "first_divergence": None
                if again.first is None
                else {
                    "time_ms": again.first.ts_ms,
                    "tick": again.first.tick,
                    "differences": [
                        {"what": what, "recorded": before, "replayed": after} for what, before, after in again.first.differences
                    ],
                },
            }
            for again in found.reruns
        },
        "not_recorded": list(found.limits),
    }


def _books(books: Books) -> dict[str, Any]:
    exact = {name: f"{getattr(books, name):f}" for name in ("bought", "sold", "fees", "slippage", "funding", "position")}
    return {"fills": books.fills, "maker_fills": books.maker_fills, **exact, "pnl": round(books.pnl, 8)}


def _when(first: Divergence | None) -> str:
    return NONE if first is None else minute(first.ts_ms)


def minute(ts_ms: int) -> str:
    """A market time, UTC, to the minute."""
    return f"{datetime.fromtimestamp(ts_ms / 1000, UTC):%Y-%m-%d %H:%M}"
