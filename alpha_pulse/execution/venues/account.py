"""How an account is set: asked, changed where it differs, and asked again."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from alpha_pulse.execution.venues.structures import AccountSetup, KeyRights


class _Settable(Protocol):
    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup: ...
    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None: ...


async def settle(dialect: _Settable, exchange: Any, symbol: str, wanted: AccountSetup) -> AccountSetup:
    """Change what differs from ``wanted`` and return what the venue answers then."""
    now = await dialect.read_setup(exchange, symbol)
    if now == wanted:
        return now
    await dialect.write_setup(exchange, symbol, wanted, now)
    return await dialect.read_setup(exchange, symbol)


async def ask(exchange: Any, symbol: str, leverage_params: Mapping[str, Any]) -> AccountSetup:
    """Position mode and leverage by ccxt's unified calls, as far as the exchange has them."""
    hedge_mode: bool | None = None
    if exchange.has.get("fetchPositionMode"):
        hedge_mode = flag((await exchange.fetch_position_mode(symbol)).get("hedged"))
    leverage, margin_mode = None, None
    if exchange.has.get("fetchLeverage"):
        found = await exchange.fetch_leverage(symbol, dict(leverage_params))
        leverage, margin_mode = one_leverage(found), margin_name(found.get("marginMode"))
    return AccountSetup(leverage, margin_mode, hedge_mode)


async def change(
    exchange: Any,
    symbol: str,
    wanted: AccountSetup,
    now: AccountSetup,
    *,
    margin_params: Mapping[str, Any] | None = None,
    leverage_params: Mapping[str, Any] | None = None,
) -> None:
    """Position mode first, because some venues keep a leverage per mode, then margin mode, then leverage."""
    if exchange.has.get("setPositionMode") and now.hedge_mode is not wanted.hedge_mode:
        await _unless_no_change(exchange.set_position_mode(wanted.hedge_mode, symbol))
    if exchange.has.get("setMarginMode") and now.margin_mode != wanted.margin_mode:
        await _unless_no_change(exchange.set_margin_mode(wanted.margin_mode, symbol, dict(margin_params or {})))
    if exchange.has.get("setLeverage") and now.leverage != wanted.leverage:
        await _unless_no_change(exchange.set_leverage(wanted.leverage, symbol, dict(leverage_params or {})))


async def _unless_no_change(call: Any) -> None:
    """Venues refuse to set what is set already, and what an open position or order keeps from changing: it will be read back."""
    refused: type[Exception] = importlib.import_module("ccxt").OperationRejected  # NoChange is one of them
    with contextlib.suppress(refused):
        await call


def one_leverage(found: Mapping[str, Any]) -> int | None:
    """The leverage of both sides; the higher of the two where they differ, so that a cap on it is never passed unseen."""
    told = [value for value in (found.get("longLeverage"), found.get("shortLeverage")) if isinstance(value, int | float | str)]
    return max((int(float(value)) for value in told), default=None)


def margin_name(told: Any) -> str | None:
    """Either "cross" or "isolated", from any spelling; None for anything else."""
    spelled = str(told or "").lower()
    if spelled.startswith("cross") or spelled == "regular_margin":
        return "cross"
    return "isolated" if spelled.startswith("isolated") else None


def flag(told: Any) -> bool | None:
    """A truth value, or None."""
    return told if isinstance(told, bool) else None


def believe_flat(raw: Any) -> None:
    """Whether a reply without positions was one at all: a page of HTML or an empty body parses to no positions, too.

    Raises:
        ValueError: it was not JSON.
    """
    if not (isinstance(raw, Mapping) and raw) and not isinstance(raw, list):
        raise ValueError("the reply is no list of positions: flat is not believed")


async def rights(ask_venue: Callable[[], Awaitable[Any]], read: Callable[[Any], KeyRights]) -> KeyRights:
    """What a key may do; unknown where the venue does not answer that question (a mirror, a test net, a sub-account's key).

    Raises:
        ccxt.AuthenticationError: the key itself is refused.
    """
    ccxt: Any = importlib.import_module("ccxt")
    try:
        return read(await ask_venue())
    except ccxt.AuthenticationError:
        raise
    except (ccxt.BaseError, AttributeError, LookupError, TypeError, ValueError):
        return KeyRights()


async def found_or_none(call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What was asked for, or None when the venue says that it knows of no such order."""
    not_found: type[Exception] = importlib.import_module("ccxt").OrderNotFound
    try:
        return await call
    except not_found:
        return None
