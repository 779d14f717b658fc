"""The latches: a stop that fired and a drawdown that reached its limit, each a full hedge until it is released. Pure."""

from __future__ import annotations

from dataclasses import replace

from alpha_pulse.hedging.common.types import RiskMemory, Snapshot
from alpha_pulse.hedging.risk.stop import stop_trigger
from alpha_pulse.hedging.risk.wallets import Wallets

STOP = "stop fired"
DRAWDOWN = "drawdown limit reached"
PORTFOLIO = "drawdown limit of all pairs together reached"


def update_latches(snapshot: Snapshot, view: Wallets, memory: RiskMemory, *, drawdown_reached: bool, distance: float) -> RiskMemory:
    """The memory after this snapshot. Drawdown stays latched until the user resumes; the stop until mark is back at its reference."""
    if drawdown_reached and not memory.drawdown_latched:
        memory = replace(memory, drawdown_latched=True)
    if memory.stop_latched:
        back = view.mark >= memory.stop_reference if memory.latched_below else view.mark <= memory.stop_reference
        return replace(memory, stop_latched=False, stop_reference=0.0) if back and not snapshot.stop_filled else memory
    below = _losing_below(snapshot, view, memory)
    trigger = stop_trigger(memory.stop_reference, distance, below)
    exposed = view.inventory != 0.0 or view.position != 0.0
    beyond = exposed and trigger > 0.0 and (view.mark <= trigger if below else view.mark >= trigger)
    return replace(memory, stop_latched=True, latched_below=below) if snapshot.stop_filled or beyond else memory


def _losing_below(snapshot: Snapshot, view: Wallets, memory: RiskMemory) -> bool:
    """On which side what the stop protects loses; after a stop has closed a neutral position, the side on which mark stands."""
    if view.inventory != 0.0:
        return view.inventory > 0.0
    if view.position == 0.0 or snapshot.stop_filled:
        return view.mark < memory.stop_reference
    return view.position > 0.0


def latched(memory: RiskMemory) -> tuple[str, ...]:
    """The names of the latches that are on."""
    latches = ((STOP, memory.stop_latched), (DRAWDOWN, memory.drawdown_latched), (PORTFOLIO, memory.portfolio_latched))
    return tuple(name for name, on in latches if on)
