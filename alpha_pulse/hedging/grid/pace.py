"""When a tick is due, and when the last decision still stands without being made again."""

from __future__ import annotations

from dataclasses import replace

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import TimeInForce
from alpha_pulse.domain.position import Account
from alpha_pulse.hedging.common.types import BotState, MarketState, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.zone import QuietZone, quiet_zone
from alpha_pulse.hedging.risk.check import NOTHING

_KEPT_ZONES = 4


def changed_nothing(before: BotState, decision: Decision) -> bool:
    """Whether a decision sends nothing and moves nothing but the high-water mark, which is no news by itself."""
    after = decision.state
    if decision.approved is not NOTHING:
        return False
    if after is before:
        return True
    if decision.changes or after.risk is before.risk:
        return False
    lifted = replace(before, risk=replace(before.risk, high_water_mark=after.risk.high_water_mark))
    return lifted == after


class Pace:
    """A tick runs on a booking, a due timer, a move of half a node, and at the latest every ``rebalance_interval``."""

    def __init__(self, config: BotConfig) -> None:
        self._interval_ms = int(config.execution.rebalance_interval * 1000.0)
        self._escalate_ms = int(config.hedge.escalate_after_s * 1000.0)
        self._due_ms = 0
        self._centre = self._half = 0.0  # mark price at the last tick, and half a node
        self._zones: list[QuietZone] = []  # the latest first; all of the same orders, account and memory
        self._zoned: Snapshot | None = None

    def can_wait(self, raw: MarketUpdate) -> bool:
        """Whether nothing about this update asks for a tick before its timer."""
        return raw.close_ms < self._due_ms and abs(raw.mark.close - self._centre) < self._half

    def stands(self, market: MarketState, account: Account, state: BotState) -> Snapshot | None:
        """The snapshot whose decision is this update's decision too, if open orders and inventory are still those; else None."""
        zoned = self._zoned
        if zoned is None or account is not zoned.account or state is not zoned.state:
            return None
        for zone in self._zones:
            if zone.holds(market):
                return zoned
        return None

    def held(self, raw: MarketUpdate) -> None:
        """The last decision stood: the next tick is due an interval from here."""
        self._due_ms = raw.close_ms + self._interval_ms
        self._centre = raw.mark.close

    def ticked(self, snapshot: Snapshot, decision: Decision) -> None:
        """A tick ran. While a gap waits for its patience to end, or a taker is on its way, the next one comes sooner."""
        raw = snapshot.market.raw
        self.held(raw)
        self._half = 0.5 * decision.curve.spacing * raw.mark.close
        escalates_ms = decision.state.gap_since_ms + self._escalate_ms
        if decision.state.gap_since_ms and raw.close_ms < escalates_ms:  # later on it rests because taking does not pay
            self._due_ms = min(self._due_ms, escalates_ms)
        if any(approved.request.time_in_force is TimeInForce.IOC for approved in decision.approved.place):
            self._due_ms = raw.close_ms + 1

    def settle(self, decider: Decider, snapshot: Snapshot, decision: Decision) -> None:
        """The tick changed nothing: remember where that holds. Price often goes back to where it was, so a few places are kept."""
        snapshot = snapshot if snapshot.state is decision.state else replace(snapshot, state=decision.state)
        zoned, zone = self._zoned, quiet_zone(decider, snapshot, decision)
        if (
            zoned is None
            or zoned.account is not snapshot.account
            or zoned.state is not snapshot.state
            or zoned.open_orders is not snapshot.open_orders
        ):
            self._zones.clear()
        self._zoned = snapshot
        if zone is not None:
            self._zones.insert(0, zone)
            del self._zones[_KEPT_ZONES:]
