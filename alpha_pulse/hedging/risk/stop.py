"""The stop: a resting order on the inventory's losing side that completes the hedge. Where it lies and what it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpha_pulse.hedging.risk.config import RiskSettings

_FARTHEST = 0.95  # a stop cannot lie below 5 % of the price, however wild the market
_SPARE = 0.01  # of the venue's margin: for fees and roundings
_BEYOND = 0.02  # of the trigger: as far as that margin must still carry the stop, slippage and a small gap included


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
    inventory: float,
    position: float,
    unwinding: float,
    trigger: float,
    wallet: float,
    entry: float,
    leverage: float,
    max_position: float,
    *,
    resting: float = 0.0,
    limit: float = math.inf,
) -> StopSize:
    """|S + F| plus the resting orders that would unwind before the trigger, as far as the caps at the trigger price allow.

    ``unwinding`` is 0 where the venue's dead-man switch cancels those orders. The margin cap at the trigger is
    leverage·(wallet + F·(trigger − entry))/trigger. When the stop fires the venue asks for margin of everything on its side: its own
    ``limit`` [notional / equity] must carry position, stop and the ``resting`` orders of the stop's side, or the stop would expire.
    """
    return StopSize(*stop_numbers(inventory, position, unwinding, trigger, wallet, entry, leverage, max_position, resting, limit))


def stop_numbers(
    inventory: float,
    position: float,
    unwinding: float,
    trigger: float,
    wallet: float,
    entry: float,
    leverage: float,
    max_position: float,
    resting: float,
    limit: float,
) -> tuple[float, float, float]:
    """(quantity, shortfall, top-up) of ``stop_size``, as plain numbers for the compiled backtest."""
    missing = max(0.0, (inventory + position) * (1.0 if inventory > 0.0 else -1.0))
    equity = wallet + position * (trigger - entry)
    margin_cap = max(abs(position), leverage * equity / trigger)
    usable = limit * (1.0 - _SPARE)
    beyond = trigger * (1.0 + _BEYOND)
    near_room, far_room = equity / trigger, (wallet + position * (beyond - entry)) / beyond
    takes_at = trigger if near_room <= far_room else beyond
    venue_cap = usable * (wallet + position * (takes_at - entry)) / takes_at - resting
    room = max(0.0, min(margin_cap, venue_cap, max_position) - abs(position))
    shortfall = max(0.0, missing - room)
    wanted = abs(position) + missing
    top_up = max(0.0, (wanted - margin_cap) * trigger / leverage, (wanted - venue_cap) * takes_at / usable if limit < math.inf else 0.0)
    return min(missing, room) + unwinding, shortfall, top_up
