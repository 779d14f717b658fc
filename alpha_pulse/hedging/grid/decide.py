"""One decision: from a frozen snapshot to an approved plan, the next memory and the events that tell what changed. Pure.

assess → curve (moves in steps) → gap → ladder → stop → plan → check → advance
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alpha_pulse.domain.orders import Order, Purpose, Side
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.interfaces import GridCalculator, RiskManager
from alpha_pulse.hedging.common.order_ids import read_order_id
from alpha_pulse.hedging.common.types import (
    Alert,
    Assessment,
    BotState,
    CurveParameters,
    DesiredOrder,
    GridLevel,
    Plan,
    PositionState,
    RiskState,
    Snapshot,
)
from alpha_pulse.hedging.grid.advance import Change, advance
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.gap import Gap, find_gap
from alpha_pulse.hedging.grid.plan import as_orders, make_plan
from alpha_pulse.hedging.grid.steps import held_regime, next_curve
from alpha_pulse.hedging.grid.stops import desired_stop, losing_below, next_reference
from alpha_pulse.hedging.risk.check import NOTHING
from alpha_pulse.hedging.risk.stop import stop_trigger

_NO_PLAN = Plan((), (), ())


@dataclass(frozen=True, slots=True)
class Decision:
    """What one tick decided."""

    assessment: Assessment
    curve: CurveParameters
    target_position: float  # T at the current price, base units, signed
    approved: ApprovedPlan
    state: BotState  # the next memory
    changes: tuple[Change, ...]  # what moved, for the record


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that should be live, and what was wrong with it."""

    orders: tuple[DesiredOrder, ...]
    alerts: tuple[Alert, ...] = ()


class Decider:
    """Decides. All it remembers between calls is its last answer, given again while the inputs are the same objects."""

    def __init__(self, config: BotConfig, calculator: GridCalculator, risk: RiskManager, tag: str) -> None:
        self.config = config
        self.calculator = calculator
        self.risk = risk
        self.tag = tag
        self._key: tuple[object, ...] = ()
        self._wanted = Wanted(())
        self._settled: tuple[Wanted, tuple[Order, ...]] | None = None  # these orders need no change for that wish

    def decide(self, snapshot: Snapshot) -> Decision:
        """The decision for this snapshot; the same snapshot always gives the same one."""
        state, config = snapshot.state, self.config
        assessment = self.risk.assess(snapshot)
        regime = held_regime(state, snapshot.market.indicators, config.grid)
        released = state.risk.stop_latched and not assessment.memory.stop_latched
        curve = next_curve(config, snapshot, assessment, regime, released=released)
        reference = next_reference(assessment.memory.stop_reference, curve, latched=assessment.memory.stop_latched)
        if reference != assessment.memory.stop_reference:
            assessment = replace(assessment, memory=replace(assessment.memory, stop_reference=reference))
        trigger = stop_trigger(reference, assessment.stop_distance, losing_below(curve, snapshot))
        gap = find_gap(config.hedge, config.execution, snapshot, assessment, curve)
        position = position_state(snapshot, assessment, curve, gap, trigger)
        levels = self.calculator.calculate_grid_levels(snapshot.market, position)
        wanted = self._want(snapshot, assessment, curve, gap, levels, trigger)
        approved = self._approve(snapshot, assessment, wanted)
        next_state, changes = advance(snapshot, assessment, curve, regime, gap.since_ms, approved, _alerts(wanted, approved))
        return Decision(assessment, curve, gap.target, approved, next_state, changes)

    def withdraw_unwinding(self, snapshot: Snapshot) -> ApprovedPlan:
        """What to do on a market that cannot be trusted: cancel the orders that would unwind the hedge, keep the stop and all else."""
        unwinding = Side.BUY if snapshot.inventory > 0 else Side.SELL
        doubtful = tuple(
            order
            for order in self._ours(snapshot.open_orders)
            if order.request.purpose is not Purpose.STOP and (snapshot.inventory == 0 or order.request.side is unwinding)
        )
        return ApprovedPlan(doubtful, ()) if doubtful else NOTHING

    def _ours(self, orders: Sequence[Order]) -> list[Order]:
        return [order for order in orders if read_order_id(self.tag, order.client_order_id) is not None]

    def _want(
        self,
        snapshot: Snapshot,
        assessment: Assessment,
        curve: CurveParameters,
        gap: Gap,
        levels: Sequence[GridLevel],
        trigger: float,
    ) -> Wanted:
        """The gap's order first, then the stop, then the grid. Built again only when something in it moved."""
        key = (levels, gap.order, snapshot.account, curve, assessment.state, snapshot.inventory)
        if self._key and self._key[-1] == trigger and all(a is b for a, b in zip(key, self._key, strict=False)):
            return self._wanted
        halted = assessment.state is RiskState.HALTED
        grid, dropped = as_orders(levels, snapshot.instrument, self.config.execution.max_active_orders, snapshot.market.mid)
        if halted:
            grid = []
        stop, alert = desired_stop(snapshot, curve, grid, trigger, self.config.risk)
        first = () if gap.order is None or halted else (gap.order,)
        orders = (*first, *(() if stop is None else (stop,)), *grid)
        alerts = () if alert is None else (alert,)
        if dropped:
            alerts = (*alerts, Alert("dropped levels", f"{len(dropped)} grid levels cannot be traded, e.g. {dropped[0]}"))
        self._key, self._wanted = (*key, trigger), Wanted(orders, alerts)
        return self._wanted

    def _approve(self, snapshot: Snapshot, assessment: Assessment, wanted: Wanted) -> ApprovedPlan:
        """Plan and check, unless these very orders were found settled for this very wish before."""
        if self._settled is not None and self._settled[0] is wanted and self._settled[1] is snapshot.open_orders:
            return NOTHING
        plan = make_plan(
            wanted.orders,
            self._ours(snapshot.open_orders),
            snapshot.instrument,
            tag=self.tag,
            generation=snapshot.state.generation,
            tolerance_ticks=self.config.execution.tolerance_ticks,
        )
        self._settled = (wanted, snapshot.open_orders) if plan.is_empty else None
        return self.risk.check(_unwinding_first(plan, snapshot), snapshot, assessment)


def _alerts(wanted: Wanted, approved: ApprovedPlan) -> tuple[Alert, ...]:
    """What a person should know about the orders: each kind once while it lasts."""
    if not approved.refused:
        return wanted.alerts
    first = approved.refused[0]
    order = f"{first.request.side.value} {first.request.quantity}"
    text = f"{len(approved.refused)} orders did not pass the risk check, e.g. {order}: {first.reason}"
    return (*wanted.alerts, Alert("refused orders", text))


def _unwinding_first(plan: Plan, snapshot: Snapshot) -> Plan:
    """Cancel what would unwind the hedge before anything else: a floor may have risen."""
    unwinding = Side.BUY if snapshot.inventory > 0 else Side.SELL
    return replace(plan, cancel=tuple(sorted(plan.cancel, key=lambda order: order.request.side is not unwinding)))


def position_state(snapshot: Snapshot, assessment: Assessment, curve: CurveParameters, gap: Gap, trigger: float) -> PositionState:
    """What the calculator may know. While a gap is being closed the ladder starts from F plus the remainder."""
    account = snapshot.account
    held = account.position.quantity
    return PositionState(
        symbol=snapshot.instrument.symbol,
        instrument=snapshot.instrument,
        inventory=snapshot.inventory,
        perpetual=held if gap.order is None else held + gap.remainder,
        target=assessment.target,
        curve=curve,
        entry_price=account.position.entry_price,
        inventory_entry_price=snapshot.state.inventory_entry_price,
        mark=snapshot.market.raw.mark.close,
        wallet=account.wallet,
        realized_pnl=account.realized_pnl,
        fees_paid=account.fees_paid,
        funding_received=account.funding_received,
        stop_trigger=trigger,
    )
