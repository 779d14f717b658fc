"""The next memory, and what moved on the way to it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.instrument import exact
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.types import Alert, Assessment, BotState, CurveParameters, HedgeTarget, RiskMemory, Snapshot
from alpha_pulse.hedging.grid.steps import Regime
from alpha_pulse.hedging.state.codec import encode

Change = tuple[EventKind, dict[str, Any]]


def advance(
    snapshot: Snapshot,
    assessment: Assessment,
    curve: CurveParameters,
    regime: Regime,
    gap_since_ms: int,
    approved: ApprovedPlan,
    more_alerts: tuple[Alert, ...],
) -> tuple[BotState, tuple[Change, ...]]:
    """The memory after this tick, the same object if nothing moved, and the changes worth an event."""
    state = snapshot.state
    alerts = assessment.alerts + more_alerts
    keys = tuple(alert.key for alert in alerts)
    if (
        state.curve is curve
        and state.target is assessment.target
        and state.risk is assessment.memory
        and state.gap_since_ms == gap_since_ms
        and state.alerts == keys
        and not approved.place
        and state.volatility_held == regime.volatility
        and state.volume_factor == regime.volume_factor
    ):
        return state, ()
    changes = (
        *_target_changes(state.target, assessment.target),
        *_curve_changes(state.curve, curve),
        *_risk_changes(state.risk, assessment),
        *((EventKind.ALERT, {"key": a.key, "text": a.text}) for a in alerts if a.key not in state.alerts),
    )
    entry = state.inventory_entry_price or exact(snapshot.market.reference)
    following = replace(
        state,
        generation=state.generation + len(approved.place) + len(approved.refused),
        curve=curve,
        volatility_held=regime.volatility,
        volume_factor=regime.volume_factor,
        target=assessment.target,
        risk=assessment.memory,
        gap_since_ms=gap_since_ms,
        inventory_entry_price=entry,
        alerts=keys,
    )
    return following, changes


def _target_changes(before: HedgeTarget | None, after: HedgeTarget) -> tuple[Change, ...]:
    if before is after:
        return ()
    was = None if before is None else {"ratio": before.ratio, "floor": before.floor}
    return ((EventKind.TARGET_CHANGED, {"before": was, "after": encode(after)}),)


def _curve_changes(before: CurveParameters | None, after: CurveParameters) -> tuple[Change, ...]:
    changes: list[Change] = []
    if before is None or before.anchor != after.anchor:
        changes.append((EventKind.ANCHOR_MOVED, {"before": None if before is None else before.anchor, "after": after.anchor}))
    if before is None or before.spacing != after.spacing:
        changes.append((EventKind.SPACING_CHANGED, {"before": None if before is None else before.spacing, "after": after.spacing}))
    return tuple(changes)


def _risk_changes(before: RiskMemory, assessment: Assessment) -> tuple[Change, ...]:
    after = assessment.memory
    changes: list[Change] = []
    if before.state is not after.state or before.reasons != after.reasons:
        payload: dict[str, Any] = {"before": before.state.value, "after": after.state.value, "reasons": list(after.reasons)}
        changes.append((EventKind.RISK_STATE_CHANGED, payload))
    if after.stop_latched and not before.stop_latched:
        changes.append((EventKind.STOP_LATCHED, {"reference": after.stop_reference}))
    if before.stop_latched and not after.stop_latched:
        changes.append((EventKind.STOP_RELEASED, {"reference": before.stop_reference}))
    if after.drawdown_latched and not before.drawdown_latched:
        changes.append((EventKind.DRAWDOWN_LATCHED, {"drawdown": assessment.drawdown, "nav": assessment.nav}))
    if before.inventory is not None and (before.inventory != after.inventory or before.deposits != after.deposits):
        payload = {"inventory": str(after.inventory), "deposits": str(after.deposits), "high_water_mark": after.high_water_mark}
        changes.append((EventKind.FLOW, payload))
    return tuple(changes)
