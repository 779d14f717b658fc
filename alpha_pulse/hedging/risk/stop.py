"""The stop: a resting order on the inventory's losing side that completes the hedge. Where it lies and what it carries."""

from __future__ import annotations

from dataclasses import dataclass

from alpha_pulse.hedging.risk.config import RiskSettings

_FARTHEST = 0.95  # a stop cannot lie below 5 % of the price, however wild the market


def stop_distance(settings: RiskSettings, volatility_day: float) -> float:
    """max(stop_loss_pct, multiple·σ_day) as a fraction of the reference; 0 = the stop is off."""
    if settings.stop_loss_pct is None:
        return 0.0
    return min(_FARTHEST, max(float(settings.stop_loss_pct), settings.stop_volatility_multiple * volatility_day))


def stop_trigger(reference: float, distance: float, losing_side_below: bool) -> float:
    """The trigger on mark; 0 = none. Below the reference for a long inventory, above it for a short one."""
    if distance <= 0.0 or reference <= 0.0:
        return 0.0
    return reference * (1.0 - distance if losing_side_below else 1.0 + distance)


@dataclass(frozen=True, slots=True)
class StopSize:
    """What the stop should carry, base units, and what keeps it from carrying all."""

    quantity: float
    shortfall: float  # base units that caps do not allow
    top_up: float  # cash that would allow them, quote units


def stop_size(
    inventory: float, position: float, unwinding: float, trigger: float, wallet: float, entry: float, leverage: float, max_position: float
) -> StopSize:
    """|S + F| plus the resting orders that would unwind before the trigger, as far as the caps at the trigger price allow.

    ``unwinding`` is 0 where the venue's dead-man switch cancels those orders. The margin cap at the trigger is
    leverage·(wallet + F·(trigger − entry))/trigger.
    """
    missing = max(0.0, (inventory + position) * (1.0 if inventory > 0.0 else -1.0))
    equity = wallet + position * (trigger - entry)
    margin_cap = max(abs(position), leverage * equity / trigger)
    room = max(0.0, min(margin_cap, max_position) - abs(position))
    shortfall = max(0.0, missing - room)
    by_margin = max(0.0, abs(position) + missing - margin_cap)
    return StopSize(min(missing, room) + unwinding, shortfall, by_margin * trigger / leverage)
