import decimal
import inspect

import ccxt
import pytest
from ccxt.base import errors as ccxt_errors

from alpha_pulse.errors import AmbiguousOutcome, ConfigError, Fatal, Rejected, Transient
from alpha_pulse.execution.venues.errors import ClockRejected, translate_write
from alpha_pulse.market.ccxt_mapping import translate_read

W, R, A, F, T = ClockRejected, Rejected, AmbiguousOutcome, Fatal, Transient
REACTIONS = {  # class of ccxt: (on a write, on a read)
    "BaseError": (A, T), "ExchangeError": (A, T), "AuthenticationError": (F, F), "PermissionDenied": (R, F), "AccountNotEnabled": (F, F),
    "AccountSuspended": (F, F), "ArgumentsRequired": (F, F), "BadRequest": (R, T), "BadSymbol": (R, F), "OperationRejected": (R, T),
    "NoChange": (R, T), "MarginModeAlreadySet": (R, T), "MarketClosed": (F, T), "ManualInteractionNeeded": (F, F),
    "RestrictedLocation": (F, F), "InsufficientFunds": (R, T), "InvalidAddress": (A, T), "AddressPending": (A, T), "InvalidOrder": (R, T),
    "OrderNotFound": (A, T), "OrderNotCached": (A, T), "OrderImmediatelyFillable": (R, T), "OrderNotFillable": (R, T),
    "DuplicateOrderId": (A, T), "ContractUnavailable": (F, F), "NotSupported": (F, F), "InvalidProxySettings": (F, F),
    "ExchangeClosedByUser": (A, T), "OperationFailed": (A, T), "NetworkError": (A, T), "DDoSProtection": (A, T),
    "RateLimitExceeded": (A, T), "ExchangeNotAvailable": (A, T), "OnMaintenance": (A, T), "InvalidNonce": (W, T), "ChecksumError": (A, T),
    "RequestTimeout": (A, T), "BadResponse": (A, T), "NullResponse": (A, T), "CancelPending": (A, T), "UnsubscribeError": (A, T),
}  # fmt: skip
EVERY_ERROR = {name: kind for name, kind in inspect.getmembers(ccxt_errors, inspect.isclass) if issubclass(kind, ccxt.BaseError)}


def test_every_class_of_ccxt_is_in_the_table():
    assert EVERY_ERROR.keys() == REACTIONS.keys()


@pytest.mark.parametrize("name", REACTIONS)
def test_every_class_has_its_reaction_on_writes_and_on_reads(name):
    error = EVERY_ERROR[name]("binanceusdm said why")
    write, read = translate_write(error, "apid"), translate_read(error)
    assert (type(write), type(read)) == REACTIONS[name]
    assert name in str(write)
    if not isinstance(write, Fatal):
        assert write.client_order_id == "apid"


@pytest.mark.parametrize(
    "error", [ValueError("nan"), KeyError("id"), TypeError("None"), decimal.InvalidOperation(), OSError("reset"), TimeoutError()]
)
def test_what_is_no_answer_says_nothing_about_the_outcome(error):
    assert type(translate_write(error, "apid")) is AmbiguousOutcome


def test_a_refused_timestamp_is_told_from_a_refused_order():
    late = ccxt.InvalidOrder('binanceusdm {"code":-5028,"msg":"Timestamp for this request is outside of the ME recvWindow."}')
    assert type(translate_write(late, "apid")) is ClockRejected
    assert isinstance(translate_write(ccxt.InvalidNonce("x"), "apid"), Rejected)


def test_an_error_of_the_same_name_from_elsewhere_is_not_taken_for_ccxts():
    class InvalidOrder(Exception):  # noqa: N818 - named like ccxt's
        pass

    assert type(translate_write(InvalidOrder(), "apid")) is AmbiguousOutcome


def test_our_own_error_comes_back_as_it_is():
    ours = ConfigError("no market orders here")
    assert translate_write(ours, "apid") is ours
