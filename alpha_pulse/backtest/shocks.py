"""The shock table's two walks: the bot alive, and the same venue with the bot gone. See ``shock_venue`` for who trades there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from alpha_pulse.backtest.shock_venue import HedgedVenue, ShockStart, ShockVenue, on_tick
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.grid.preflight import check_against_instrument
from alpha_pulse.hedging.risk.margin import ALERT_SIGMAS, margin_distance
from alpha_pulse.hedging.risk.shocks import SHOCKS, Holdings, ShockRow, ShockState, ShockTable, change, measure


def shock_table(start: ShockStart, moves: Sequence[float] = SHOCKS) -> ShockTable:
    """Walk the price to every move, down and up, with the bot alive and dead.

    Both cases begin with the bot settled at the price now. Each side is one walk: a row of −10 % lies on the way to −50 %.

    Args:
        start: what is held, and by which rules.
        moves: fractions of the price now, in ascending order, each above −1.

    Raises:
        ConfigError: the bot would not start with these settings at this price; a number cannot be used.
    """
    _check(start, moves)
    check_against_instrument(start.config, start.instrument, start.price, multiplier=start.multiplier)
    settled = HedgedVenue.opened(start)
    settled.go(start.price)
    holdings = settled.holdings()
    alert = margin_distance(start.config.risk.alert_distance, ALERT_SIGMAS, start.volatility_day)
    falls, rises = sorted((m for m in moves if m < 0.0), reverse=True), [m for m in moves if m >= 0.0]
    down = _walk(settled, holdings, falls, alert, rising=False)
    up = _walk(settled, holdings, rises, alert, rising=True)
    return ShockTable(
        base=start.instrument.base,
        quote=start.instrument.quote,
        price=start.price,
        inventory=holdings.inventory,
        nav=holdings.nav,
        volatility_day=start.volatility_day,
        alert_distance=alert,
        dead_liquidation_up=up.liquidation,
        dead_liquidation_down=down.liquidation,
        rows=(*reversed(down.rows), *up.rows),
    )


class _Walk(NamedTuple):
    """One side of the table, from the smallest move on."""

    rows: tuple[ShockRow, ...]
    liquidation: float | None  # price at which a straight move on this side liquidates what is held with the bot dead


def _walk(settled: HedgedVenue, before: Holdings, moves: Sequence[float], alert: float, *, rising: bool) -> _Walk:
    start, rows = settled.start, []
    dead, alive = settled.fork(), settled.alive()
    for move in moves:
        price = on_tick(start.price * (1.0 + move), start.instrument)
        dead.go(price)
        alive.go(price)
        unhedged = before.nav + before.inventory * (price - start.price)
        states = [_measured(venue, before.nav, alert) for venue in (dead, alive)]
        rows.append(ShockRow(move, price, unhedged, change(unhedged, before.nav), *states))
    return _Walk(tuple(rows), dead.liquidation(rising))


def _measured(venue: ShockVenue, nav: float, alert: float) -> ShockState:
    state = measure(venue.holdings(), nav, venue.engine.instrument, alert)
    return replace(state, liquidated_at=venue.liquidated_at(), stop_expired=venue.stop_expired())


def _check(start: ShockStart, moves: Sequence[float]) -> None:
    if not (math.isfinite(start.price) and start.price > 0.0):
        raise ConfigError("is no price.", field="price", value=start.price, fix="give a positive number of quote units")
    if not (math.isfinite(start.volatility_day) and start.volatility_day > 0.0):
        raise ConfigError("is no volatility.", field="volatility", value=start.volatility_day, fix="give σ a day as a fraction, e.g. 0.03")
    if not moves or any(not (math.isfinite(m) and m > -1.0) for m in moves) or list(moves) != sorted(set(moves)):
        raise ConfigError("are no moves of a table.", field="moves", value=list(moves), fix="give rising fractions above -1")
