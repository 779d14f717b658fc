"""The shock table's cells, as the console and the report both show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpha_pulse.backtest.tables import NONE, number, percent
from alpha_pulse.hedging.risk.shocks import ShockState, ShockTable, price_text
from alpha_pulse.hedging.risk.shocks import percent as signed_percent

SHOCK_COLUMNS = ("perpetual", "hedge", "NAV", "change", "to liquidation", "leverage", "top up")
SHOCK_CASES = ("bot dead", "bot alive")


@dataclass(frozen=True, slots=True)
class ShockLine:
    """One row; ``dead`` and ``alive`` hold a cell for each of ``SHOCK_COLUMNS``."""

    move: str
    price: str
    unhedged: str
    dead: tuple[str, ...]
    alive: tuple[str, ...]


def shock_title(table: ShockTable) -> str:
    """What is shocked, in which units."""
    units = f"perpetual in {table.base}, prices and money in {table.quote}"
    return f"If price moves at once from {price_text(table.price)} ({units}; σ {percent(table.volatility_day, 1)} a day)"


def shock_lines(table: ShockTable) -> list[ShockLine]:
    """The shock table in words and numbers."""
    return [
        ShockLine(
            move=signed_percent(row.move),
            price=price_text(row.price),
            unhedged=NONE if row.unhedged_change is None else percent(row.unhedged_change, 1, plus=True),
            dead=_cells(row.dead),
            alive=_cells(row.alive),
        )
        for row in table.rows
    ]


def _cells(state: ShockState) -> tuple[str, ...]:
    away = "cannot be" if math.isinf(state.distance) and state.position else NONE if not state.position else percent(state.distance, 0)
    return (
        number(state.position, 4, trim=True),
        NONE if state.hedge_ratio is None else percent(state.hedge_ratio, 1),
        number(state.nav, 0 if abs(state.nav) >= 10_000 else 2),  # noqa: PLR2004 - cents of a fortune say nothing
        NONE if state.nav_change is None else percent(state.nav_change, 1, plus=True),
        away if state.liquidated_at is None else f"liquidated at {price_text(state.liquidated_at)}",
        "∞" if math.isinf(state.leverage) else f"{number(state.leverage, 2)} ×",
        number(state.top_up, 0),
    )
