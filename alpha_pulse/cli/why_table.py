"""A target as a table for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from alpha_pulse.hedging.state.why import RecordedTarget

_FLOORS = {"inventory risk", "VaR floor", "portfolio VaR", "advice", "slow fall", "latches"}


def print_why(pair: str, found: RecordedTarget, console: Console) -> None:
    """Ratio and floor, each step that led to them, and what the grid and the caps make of them now."""
    target = found.target
    console.print(f"[bold]{pair}: hedge ratio {target.ratio:.1%}, floor {target.floor:.1%}[/bold], in force since {_when(found.ts_ms)}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (("of", "left"), ("step", "left"), ("before", "right"), ("after", "right"), ("why", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich spells out the literals
    before = ""
    for step in target.contributions:
        kind = "floor" if step.name in _FLOORS else "ratio"
        moved = step.before != step.after
        shown = f"{step.after:.1%}"
        table.add_row(
            kind if kind != before else "",
            step.name,
            f"{step.before:.1%}",
            f"[bold]{shown}[/bold]" if moved else shown,
            escape(step.reason),
            style=None if moved or step.name == "sizer" else "dim",
        )
        before = kind
    console.print(table)
    if found.last_tick is not None:
        console.print(_now(found.last_tick))


def _now(tick: Mapping[str, Any]) -> str:
    """What became of the target at the last recorded tick."""
    price, inventory, wanted = tick["market"]["perp"]["close"], float(tick["inventory"]), tick["target_position"] + 0.0
    held = float(tick["account"]["position"]["quantity"])
    share = f" ({-wanted / inventory + 0.0:.1%} of the inventory)" if inventory else ""
    asked = f"the grid around {tick['anchor']:,.2f} asks for {wanted:+.6g}{share}; held is {held:+.6g}."
    lines = [f"At {_when(tick['ts_ms'])}, price {price:,.2f}: {asked}"]
    cap = tick.get("max_abs_position")
    if cap is not None and abs(wanted) >= cap * (1.0 - 1e-6) and wanted:
        lines.append(f"A cap of {cap:.6g} (margin or max_position_size) binds: it beats ratio and floor.")
    if tick["reasons"]:
        lines.append(f"Risk state {tick['risk_state'].upper()}: {escape(', '.join(tick['reasons']))}.")
    return "\n".join(lines)


def _when(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
