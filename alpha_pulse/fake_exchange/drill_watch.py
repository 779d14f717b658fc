"""What is looked at all the time while a drill runs: protection, quotes and limits, as the venue sees them."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.orders import Purpose
from alpha_pulse.fake_exchange.records import VenueOrder
from alpha_pulse.fake_exchange.rehearsal import Rehearsal
from alpha_pulse.hedging.common.order_ids import read_order_id

_JUST_FIRED_MS: Final = 5000


class Watch:
    """Told the time again and again, it remembers the longest stretch of each lack, and the worst that could have happened.

    Attributes:
        unprotected_s: longest time with coins unhedged (or, for a neutral grid, a position open) and no stop at the venue [s].
        without_quotes_s: longest time without a grid order at the venue [s].
        excess: how far the position could have passed its limit, had every resting order of a side filled [base units].
    """

    def __init__(self, rehearsal: Rehearsal, inventory: Decimal, limit: Decimal, lot: Decimal) -> None:
        self.unprotected_s = self.without_quotes_s = 0.0
        self.excess = ZERO
        self._rehearsal = rehearsal
        self._inventory = inventory
        self._limit = limit
        self._lot = lot
        self._stop_is_due = rehearsal.settings.risk.stop_loss_pct is not None
        self._bare_since: float | None = None
        self._silent_since: float | None = None

    @property
    def open_risk(self) -> Decimal:
        """What a stop should cover now: the unhedged coins, or a neutral grid's position [base units]."""
        return abs(self._inventory + self._rehearsal.position)

    @property
    def has_stop(self) -> bool:
        """A stop of ours rests at the venue."""
        return any(order.is_open for order in self._rehearsal.our_stops())

    @property
    def stop_is_due(self) -> bool:
        """The settings ask for a stop."""
        return self._stop_is_due

    def grid_orders(self) -> list[VenueOrder]:
        """The grid's orders that rest at the venue."""
        found = []
        for order in self._rehearsal.ours():
            name = read_order_id(self._rehearsal.tag, order.client_id)
            if order.is_open and name is not None and name.purpose is Purpose.GRID:
                found.append(order)
        return found

    def look(self, now_s: float) -> None:
        """Note how things stand at a time of a monotonic clock [s]."""
        bare = self._stop_is_due and self.open_risk >= self._lot and not self.has_stop
        self._bare_since, self.unprotected_s = _stretch(self._bare_since, self.unprotected_s, now_s, lacking=bare)
        now_ms = self._rehearsal.fake.venue.now_ms()
        silent = not self.grid_orders()
        self._silent_since, self.without_quotes_s = _stretch(self._silent_since, self.without_quotes_s, now_s, lacking=silent)
        if any(now_ms - stop.triggered_ms < _JUST_FIRED_MS for stop in self._rehearsal.our_stops() if stop.triggered_ms):
            return  # grid and stop count as alternatives: what rests beside a stop that has just fired is about to be withdrawn
        allowed = max(self._limit, abs(self._rehearsal.position)) + self._lot
        self.excess = max(self.excess, self._rehearsal.worst_exposure() - allowed)


def _stretch(since: float | None, longest: float, now_s: float, *, lacking: bool) -> tuple[float | None, float]:
    if not lacking:
        return None, longest
    since = now_s if since is None else since
    return since, max(longest, now_s - since)
