"""The shock table: what an account is worth, and how far from liquidation it stands, after price has moved. Floats, quote units, pure.

Here is the arithmetic and its words. What trades on the way, with the bot alive and dead, is for whoever walks the price there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.margin import liquidation_distance, top_up_for_distance

SHOCKS: Final = (-0.5, -0.4, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""The moves of the table, fractions of the price now."""

SHOCK_NOTES: Final = (
    "Mark, spot and perpetual move together, straight to the new price; volatility and signals stay as they are, and nothing is paid "
    "for funding. Resting orders fill at their own prices. The stop fills where it triggers, less the paper venue's slippage; a market "
    "that jumps past it fills it at the worse price that it jumps to. Fees are counted. Bot dead: what rests at the venue fills, nobody "
    "re-centres, tops up or cuts. Bot alive: price moves 1 % at a time, and the bot acts after each."
)
"""What the figures rest on."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held while everything trades at one price. Base and quote units."""

    inventory: float  # S, signed
    wallet: float  # cash in the perpetual wallet
    position: float  # F, signed
    entry: float  # average entry price of F; 0 when flat
    price: float  # of mark, spot and perpetual
    debt: float = 0.0  # with a short inventory: what it was worth when it was taken on (≤ 0), so that only its change counts

    @property
    def equity(self) -> float:
        """Wallet and unrealised PnL of the perpetual: W + F·(P − E)."""
        return self.wallet + self.position * (self.price - self.entry)

    @property
    def nav(self) -> float:
        """Net worth: equity and coins, less the debt. For coins owed only the change of their value counts, as in the bot's drawdown."""
        return self.equity + self.inventory * self.price - self.debt


@dataclass(frozen=True, slots=True)
class ShockState:
    """One case of one row."""

    position: float  # F, base units, signed
    hedge_ratio: float | None  # −F/S; None without inventory
    nav: float  # quote units
    nav_change: float | None  # fraction of the NAV before the move; None where that was not positive
    distance: float  # from here to liquidation, fraction of price; inf = it cannot be liquidated
    leverage: float  # |F|·P/equity; inf = nothing is left to carry the position
    top_up: float  # cash that brings the distance back to the alert's, quote units; 0 = none needed
    liquidated_at: float | None = None  # the price at which the venue closed the position on the way; None = it did not
    stop_expired: bool = False  # the stop triggered and the wallet did not carry it: the venue dropped it


@dataclass(frozen=True, slots=True)
class ShockRow:
    """One move. Prices in quote units, moves and changes as fractions."""

    move: float
    price: float
    unhedged_nav: float  # the same wallet and coins without a perpetual
    unhedged_change: float | None
    dead: ShockState
    alive: ShockState


@dataclass(frozen=True, slots=True)
class ShockTable:
    """The whole table, rows from the deepest fall to the highest rise."""

    base: str
    quote: str
    price: float  # before the move
    inventory: float  # S, base units, signed
    nav: float  # before the move, quote units
    volatility_day: float  # σ that the bot's rules see on the way
    alert_distance: float  # that a top-up restores, fraction of price
    dead_liquidation_up: float | None  # price at which a rally liquidates what is held with the bot dead; None = none does
    dead_liquidation_down: float | None  # the same for a fall
    rows: tuple[ShockRow, ...]


def measure(holdings: Holdings, start_nav: float, instrument: Instrument, alert_distance: float) -> ShockState:
    """What holdings come to after a move.

    Args:
        holdings: at the new price.
        start_nav: NAV before the move, quote units.
        instrument: its margin tiers.
        alert_distance: the distance to liquidation that a top-up restores, fraction of price.

    Raises:
        ConfigError: a number is not finite, or the price is not positive.
    """
    for name in ("inventory", "wallet", "position", "entry", "price", "debt"):
        number: float = getattr(holdings, name)
        if not math.isfinite(number) or (name == "price" and number <= 0.0):
            fix = "give a positive price" if name == "price" else "give a finite number"
            raise ConfigError("cannot be measured.", field=name, value=number, fix=fix)
    size, price = abs(holdings.position), holdings.price
    notional = size * price
    return ShockState(
        position=holdings.position,
        hedge_ratio=-holdings.position / holdings.inventory + 0.0 if holdings.inventory else None,
        nav=holdings.nav,
        nav_change=change(holdings.nav, start_nav),
        distance=liquidation_distance(holdings.wallet, holdings.position, holdings.entry, instrument, price),
        leverage=0.0 if not size else notional / holdings.equity if holdings.equity > 0.0 else math.inf,
        top_up=top_up_for_distance(holdings.equity, size, alert_distance, instrument, price) if size else 0.0,
    )


def change(nav: float, start_nav: float) -> float | None:
    """The change of a NAV as a fraction of what it was; None where that says nothing."""
    return nav / start_nav - 1.0 if start_nav > 0.0 else None


def reading(table: ShockTable) -> str:
    """How to read the table: what the venue would do with nobody watching, and what the bot makes of it."""
    return f"With the bot dead {_dead(table)}. With the bot alive {_alive(table)}."


def _dead(table: ShockTable) -> str:
    sides = (("short", table.dead_liquidation_up), ("long", table.dead_liquidation_down))
    survived = [
        f"the {side} survives {percent(at / table.price - 1.0)} and is liquidated at {price_text(at)} {table.quote}"
        for side, at in sides
        if at is not None
    ]
    text = "; ".join(survived) or "no move liquidates the position"
    expired = next((row for row in sorted(table.rows, key=lambda row: abs(row.move)) if row.dead.stop_expired), None)
    return f"{text}; by {percent(expired.move)} the stop has fired and expired, for the wallet does not carry it" if expired else text


def _alive(table: ShockTable) -> str:
    lost = next((row.alive.liquidated_at for row in table.rows if row.alive.liquidated_at is not None), None)
    reach = f"nothing is liquidated from {percent(table.rows[0].move)} to {percent(table.rows[-1].move)}"
    text = reach if lost is None else f"it is liquidated at {price_text(lost)} {table.quote}"
    changes = [(row.alive.nav_change, row) for row in table.rows if row.alive.nav_change is not None]
    nav_change, worst = min(changes, key=lambda pair: (round(pair[0], 4), abs(pair[1].move)), default=(0.0, None))
    if worst is None or round(nav_change, 4) >= 0.0:
        return text
    unhedged = f" ({percent(worst.unhedged_change)} unhedged)" if table.inventory and worst.unhedged_change is not None else ""
    return f"{text}; the worst row is {percent(worst.move)}, where NAV changes by {percent(nav_change)}{unhedged}"


def as_json(table: ShockTable) -> dict[str, Any]:
    """The table as JSON values, numbers unrounded; what is infinite is null. ``reading`` and ``notes`` come with it."""
    return {**_plain(asdict(table)), "reading": reading(table), "notes": SHOCK_NOTES}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(fraction: float) -> str:
    """A signed fraction as per cent, to a tenth: −0.05 → "−5 %"."""
    text = f"{100 * abs(fraction):,.1f}".removesuffix(".0")
    return "0 %" if text == "0" else f"{'−' if fraction < 0.0 else '+'}{text} %"


def price_text(price: float) -> str:
    """A price to five digits or more: what a shock leads to is no matter of cents."""
    return f"{price:,.{max(0, 4 - math.floor(math.log10(price)))}f}" if price > 0.0 else "0"
