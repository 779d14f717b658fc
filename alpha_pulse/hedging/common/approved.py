"""Approved orders: the only kind that a broker takes. Only a risk manager's ``check`` makes them.

The types carry the rule "nothing reaches a venue unchecked": ``Broker.create_order`` takes an ``ApprovedOrder``, and the constructor
wants the pass that ``alpha_pulse.hedging.risk`` hands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alpha_pulse.domain.orders import Order, OrderRequest


class _Pass:
    """The risk manager's stamp."""


RISK_PASS: Final = _Pass()


@dataclass(frozen=True, slots=True)
class ApprovedOrder:
    """An order that passed the risk check."""

    request: OrderRequest
    stamp: _Pass

    def __post_init__(self) -> None:
        if self.stamp is not RISK_PASS:
            msg = "an ApprovedOrder is made by RiskManager.check alone"
            raise TypeError(msg)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that did not pass, and why."""

    request: OrderRequest
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """What may be sent, and what was refused."""

    cancel: tuple[Order, ...]
    place: tuple[ApprovedOrder, ...]
    refused: tuple[Refusal, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing to send and nothing refused."""
        return not self.cancel and not self.place and not self.refused
