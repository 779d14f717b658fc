"""One decision: from a frozen snapshot to an approved plan, the next memory and the events that tell what changed. Pure.

assess → curve (moves in steps) → gap → ladder → stop → plan → check → advance
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

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
from alpha_pulse.hedging.grid.backoff import not_in_doubt, not_refused, rejection_alert
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.gap import Gap, find_gap
from alpha_pulse.hedging.grid.plan import as_orders, make_plan
from alpha_pulse.hedging.grid.steps import held_regime, next_curve
from alpha_pulse.hedging.grid.stops import desired_stop, losing_below, next_reference, stop_side
from alpha_pulse.hedging.risk.check import NOTHING
from alpha_pulse.hedging.risk.stop import stop_trigger

_RANK = {Purpose.STOP: 1, Purpose.GRID: 2}  # what closes a gap goes first


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
    """Everything that should be live but the stop, and what was wrong with it."""

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
        self.crowded = False  # more levels than may be live: which ones are nearest depends on the very price
        self._settled: tuple[object, ...] = ()  # with these inputs nothing had to be sent
        self._settled_alerts: tuple[Alert, ...] = ()

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
        wanted = self._want(snapshot, assessment, gap, levels)
        approved, alerts = self._approve(snapshot, assessment, curve, wanted, trigger)
        next_state, changes = advance(snapshot, assessment, curve, regime, gap.since_ms, approved, alerts)
        return Decision(assessment, curve, gap.target, approved, next_state, changes)

    def withdraw_unwinding(self, inventory: Decimal, open_orders: Sequence[Order]) -> ApprovedPlan:
        """What to do on a market that cannot be trusted: cancel the orders that would unwind the hedge, keep the stop and all else."""
        unwinding = Side.BUY if inventory > 0 else Side.SELL
        doubtful = tuple(
            order
            for order in self.ours(open_orders)
            if order.request.purpose is not Purpose.STOP and (inventory == 0 or order.request.side is unwinding)
        )
        return ApprovedPlan(doubtful, ()) if doubtful else NOTHING

    def ours(self, orders: Sequence[Order]) -> list[Order]:
        """The orders that this bot placed, told by their ids."""
        return [order for order in orders if read_order_id(self.tag, order.client_order_id) is not None]

    def _want(self, snapshot: Snapshot, assessment: Assessment, gap: Gap, levels: Sequence[GridLevel]) -> Wanted:
        """The gap's order first, then the grid. Built again only when something in it moved."""
        rejected = snapshot.state.rejected
        most = self.config.execution.max_active_orders
        self.crowded = len(levels) > most
        key = (levels, gap.order, assessment.state, rejected, snapshot.market.raw if self.crowded else None)
        if self._key and not rejected and all(a is b for a, b in zip(key, self._key, strict=True)):
            return self._wanted
        alerts: list[Alert] = []
        orders: list[DesiredOrder] = []
        if assessment.state is not RiskState.HALTED:
            grid, dropped = as_orders(levels, snapshot.instrument, most, snapshot.market.mid)
            orders = not_refused(grid if gap.order is None else [gap.order, *grid], rejected, snapshot.market.now_ms)
            if dropped:
                alerts.append(Alert("dropped levels", f"{len(dropped)} grid levels cannot be traded, e.g. {dropped[0]}"))
        refused = rejection_alert(rejected)
        wanted = Wanted(tuple(orders), tuple(alerts if refused is None else [*alerts, refused]))
        self._key, self._wanted = key, self._wanted if wanted == self._wanted else wanted
        return self._wanted

    def _approve(
        self, snapshot: Snapshot, assessment: Assessment, curve: CurveParameters, wanted: Wanted, trigger: float
    ) -> tuple[ApprovedPlan, tuple[Alert, ...]]:
        """Plan and check; the stop last, for it covers what will rest. Nothing again while the inputs that needed nothing stand."""
        inputs = (wanted, snapshot.open_orders, snapshot.account, curve, snapshot.state.unknown)
        same = self._settled and self._settled[-1] == trigger and all(a is b for a, b in zip(inputs, self._settled, strict=False))
        if same and not snapshot.state.rejected:  # what was rejected is asked for again by the clock
            return NOTHING, self._settled_alerts
        ours, unknown = self.ours(snapshot.open_orders), snapshot.state.unknown
        free = not_in_doubt(wanted.orders, unknown) if unknown else wanted.orders
        plan = self._plan(free, [o for o in ours if o.request.purpose is not Purpose.STOP], snapshot)
        checked = self.risk.check(plan, snapshot, assessment)
        side = stop_side(curve, snapshot)
        unwinding, beside = _live(side.opposite, plan, checked, snapshot), _live(side, plan, checked, snapshot)
        stop, alert = desired_stop(snapshot, curve, unwinding, trigger, self.config.risk, assessment.most, beside)
        resting = tuple(o for o in ours if o.request.purpose is Purpose.STOP)
        if stop is not None and not not_in_doubt(not_refused([stop], snapshot.state.rejected, snapshot.market.now_ms), unknown):
            stops = Plan(resting, (), ())  # refused lately, or perhaps there: the old stop stays until the new one may be asked for
        else:
            stops = self._plan(() if stop is None else (stop,), resting, snapshot, after=len(plan.place))
        approved = self._together(plan, checked, stops, snapshot, assessment)
        alerts = (*wanted.alerts, *(() if alert is None else (alert,)), *_refusal_alert(approved))
        self._settled = (*inputs, trigger) if approved.is_empty else ()
        self._settled_alerts = alerts
        return approved, alerts

    def _plan(self, wish: Sequence[DesiredOrder], ours: Sequence[Order], snapshot: Snapshot, after: int = 0) -> Plan:
        return make_plan(
            wish,
            ours,
            snapshot.instrument,
            tag=self.tag,
            generation=snapshot.state.generation + after,
            tolerance_ticks=self.config.execution.tolerance_ticks,
            by_hand=snapshot.by_hand,
        )

    def _together(self, plan: Plan, checked: ApprovedPlan, stops: Plan, snapshot: Snapshot, assessment: Assessment) -> ApprovedPlan:
        """One plan of both: cancels first, those that would unwind before all; then gap, stop, grid. A stop is never taken out
        before its successor has passed the check.
        """
        if plan.is_empty and stops.is_empty:
            return NOTHING
        passed = [approved.request for approved in checked.place]
        both = Plan(plan.keep + stops.keep, (), (*stops.place, *passed))
        final = self.risk.check(both, snapshot, assessment) if stops.place else checked
        stop_passed = not any(refusal.request.purpose is Purpose.STOP for refusal in final.refused)
        cancel = plan.cancel + (stops.cancel if stop_passed else ())
        unwinding = Side.BUY if snapshot.inventory > 0 else Side.SELL
        return ApprovedPlan(
            tuple(sorted(cancel, key=lambda order: order.request.side is not unwinding)),
            tuple(sorted(final.place, key=lambda approved: _RANK.get(approved.request.purpose, 0))),
            checked.refused if final is checked else checked.refused + final.refused,
        )


def _live(side: Side, plan: Plan, checked: ApprovedPlan, snapshot: Snapshot) -> float:
    """What live orders of a side, the stop apart, could still trade, base units."""
    resting = sum((order.remaining for order in plan.keep if order.request.side is side), Decimal(0))
    resting += sum((r.quantity for r in snapshot.state.unknown if r.side is side and r.purpose is not Purpose.STOP), Decimal(0))
    return float(sum((a.request.quantity for a in checked.place if a.request.side is side), resting))


def _refusal_alert(approved: ApprovedPlan) -> tuple[Alert, ...]:
    """What a person should know when our own check refuses orders."""
    if not approved.refused:
        return ()
    first = approved.refused[0]
    order = f"{first.request.side.value} {first.request.quantity}"
    text = f"{len(approved.refused)} orders did not pass the risk check, e.g. {order}: {first.reason}"
    return (Alert("refused orders", text),)


def position_state(snapshot: Snapshot, assessment: Assessment, curve: CurveParameters, gap: Gap, trigger: float) -> PositionState:
    """What the calculator may know."""
    account = snapshot.account
    return PositionState(
        symbol=snapshot.instrument.symbol,
        instrument=snapshot.instrument,
        inventory=snapshot.inventory,
        perpetual=account.position.quantity,
        pending=gap.remainder,
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
