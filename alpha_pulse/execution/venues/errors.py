"""What ccxt raises on a write, as the reaction that it calls for.

The rule: ``Rejected`` only when the venue said no in an answer that we understand. A time-out, a truncated body or a field that
does not parse says nothing about what happened there, and neither does ccxt's bare ``ExchangeError``, which it raises for bodies
that it could not read: all of that is ``AmbiguousOutcome``, and the venue is asked for the client order id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alpha_pulse.errors import AlphaPulseError, AmbiguousOutcome, Fatal, Rejected
from alpha_pulse.market.ccxt_mapping import short

_CLOSED_CODES: Final = ('"code":-4140', '"code":-4141')  # Binance: the symbol is being settled, or closed
_CLOCK_CODES: Final = ('"code":-1021', '"code":-5028')  # Binance: outside of the receive window, at the gate or at the engine
_DUPLICATE: Final = "ClientOrderId is duplicated"  # Binance -4116, a mere InvalidOrder in ccxt: a proxy has sent it again, it is there


class ClockRejected(Rejected):
    """The venue refused the request for its timestamp: nothing happened there. Measure the clock's offset again, then retry."""


# By the nearest class of the error's ancestry. DuplicateOrderId: an order with this id is there already, ours most likely.
# OrderNotFound: a cancel's lost acknowledgement looks the same as an order that never was.
_REACTIONS: Final[Mapping[str, type[AlphaPulseError]]] = {
    "BaseError": AmbiguousOutcome,
    "InvalidOrder": Rejected,
    "DuplicateOrderId": AmbiguousOutcome,
    "OrderNotFound": AmbiguousOutcome,
    "OrderNotCached": AmbiguousOutcome,
    "InsufficientFunds": Rejected,
    "BadRequest": Rejected,
    "OperationRejected": Rejected,
    "ManualInteractionNeeded": Fatal,
    "RestrictedLocation": Fatal,
    "AuthenticationError": Fatal,
    "MarketClosed": Fatal,  # the symbol is halted or delisted: this pair ends, a person has to look
    "ContractUnavailable": Fatal,
    "PermissionDenied": Rejected,  # for this symbol or this kind of order; a dead key is an AuthenticationError
    "AccountNotEnabled": Fatal,
    "ArgumentsRequired": Fatal,  # ccxt itself refused to send: a person has to look
    "NotSupported": Fatal,
    "InvalidProxySettings": Fatal,
    "InvalidNonce": ClockRejected,
    "ChecksumError": AmbiguousOutcome,  # of an order book: says nothing about a write
}


def translate_write(error: BaseException, client_order_id: str) -> AlphaPulseError:
    """The error to raise for what a create, an edit or a cancel raised: the nearest mapped class decides.

    Anything that is no ccxt error (a ``ValueError`` of its parsers, a ``decimal.InvalidOperation``, a dropped connection) is an
    ``AmbiguousOutcome``. An error of ours, raised before anything was sent, comes back as it is.
    """
    if isinstance(error, AlphaPulseError):
        return error
    reason = f"{type(error).__name__}: {short(error)}"
    reaction = _reaction(error)
    if reaction is Rejected and any(code in str(error).replace(" ", "") for code in _CLOCK_CODES):
        reaction = ClockRejected
    if reaction is Rejected and _DUPLICATE in str(error):
        reaction = AmbiguousOutcome
    if reaction is Rejected and any(code in str(error).replace(" ", "") for code in _CLOSED_CODES):
        return Fatal(f"the symbol is not trading: {reason}")
    if issubclass(reaction, Rejected | AmbiguousOutcome):
        return reaction(reason, client_order_id=client_order_id)
    return reaction(reason)


def _reaction(error: BaseException) -> type[AlphaPulseError]:
    for kind in type(error).__mro__:
        if kind.__module__.startswith("ccxt") and kind.__name__ in _REACTIONS:
            return _REACTIONS[kind.__name__]
    return AmbiguousOutcome
