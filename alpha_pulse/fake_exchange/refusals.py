"""How the venue says no: Binance's codes and texts."""

from __future__ import annotations

from typing import Final

from alpha_pulse.errors import Rejected


class Refusal(Exception):  # noqa: N818 - named for what it is, like the errors of the project
    """A request that is answered with an error. ``code`` is Binance's, ``status`` HTTP's."""

    def __init__(self, code: int, message: str = "", status: int = 400) -> None:
        self.code = code
        self.message = message or TEXTS.get(code, "An unknown error occurred while processing the request.")
        self.status = status
        super().__init__(f"{self.code} {self.message}")

    def body(self) -> dict[str, object]:
        """As Binance sends it."""
        return {"code": self.code, "msg": self.message}


TEXTS: Final = {
    -1003: "Too many requests; current limit of IP is exceeded.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1013: "Filter failure: LOT_SIZE",
    -1015: "Too many new orders; current limit is exceeded.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in a parameter.",
    -1102: "A mandatory parameter was not sent, was empty/null, or malformed.",
    -1111: "Precision is over the maximum defined for this asset.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1115: "Invalid timeInForce.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -2010: "Account has insufficient balance for requested action.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -4003: "Quantity less than or equal to zero.",
    -4005: "Quantity greater than max quantity.",
    -4014: "Price not increased by tick size.",
    -4028: "Leverage is not valid",
    -4046: "No need to change margin type.",
    -4059: "No need to change position side.",
    -4061: "Order's position side does not match user's setting.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4108: "This contract is not trading at the moment.",
    -4116: "ClientOrderId is duplicated.",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4140: "Invalid symbol status for opening position.",
    -4164: "Order's notional must be no smaller than the minimum (unless you choose reduce only).",
    -4509: "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are available.",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    -5027: "No need to modify the order.",
}

_BY_REASON: Final = (
    ("insufficient margin", -2019),
    ("reduce-only", -2022),
    ("post-only", -5022),
    ("immediately trigger", -2021),
    ("duplicate", -4116),
    ("lot size", -1111),
    ("tick size", -1111),
    ("notional", -4164),
    ("under the minimum", -4003),
)


def refusal_of(error: Rejected) -> Refusal:
    """Binance's way to say what the matching engine said."""
    for part, code in _BY_REASON:
        if part in error.reason:
            return Refusal(code)
    return Refusal(-2010, error.reason)
