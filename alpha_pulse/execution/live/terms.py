"""What a desk works with: its pair's terms, and the venue's words for orders as ours."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.orders import OrderRequest, OrderType, Purpose, TimeInForce
from alpha_pulse.execution.live.tracker import Life
from alpha_pulse.execution.venues.structures import VenueOrder, VenueStatus
from alpha_pulse.hedging.common.order_ids import read_order_id


@dataclass(slots=True)
class Terms:
    """What a desk needs to know about its pair. All parts of a desk hold the same one: the trading rules may change while it runs."""

    pair: HedgePair
    instrument: Instrument
    tag: str  # of our client order ids
    inventory_sign: int
    share: Decimal = Decimal(1)  # of the account's wallet that this pair counts on


def request_of(terms: Terms, found: VenueOrder, name: str) -> OrderRequest:
    """An order of an earlier run, as it must have been asked for."""
    said = read_order_id(terms.tag, name)
    kind = found.type or (OrderType.STOP_MARKET if found.trigger_price is not None else OrderType.LIMIT)
    return OrderRequest(
        client_order_id=name,
        symbol=terms.instrument.symbol,
        side=found.side,
        type=kind,
        quantity=found.quantity,
        price=found.price if kind is OrderType.LIMIT else None,
        purpose=Purpose.EXTERNAL if said is None else said.purpose,
        node=0 if said is None else said.node,
        time_in_force=TimeInForce.POST_ONLY if said is not None and said.purpose is Purpose.GRID else TimeInForce.GTC,
        trigger_price=found.trigger_price,
    )


LIVES: Final = {
    VenueStatus.OPEN: Life.OPEN,
    VenueStatus.PARTIALLY_FILLED: Life.PARTLY_FILLED,
    VenueStatus.FILLED: Life.FILLED,
    VenueStatus.CANCELLED: Life.CANCELLED,
    VenueStatus.REJECTED: Life.REJECTED,
    VenueStatus.TRIGGERED: Life.CANCELLED,  # it became another order, which is linked to it
}
