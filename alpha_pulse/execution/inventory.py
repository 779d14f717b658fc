"""Coins at an exchange: read at start and then in the background, so that no tick waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import ZERO, HedgePair
from alpha_pulse.errors import AlphaPulseError, Fatal, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.venues.numbers import not_negative, table, text
from alpha_pulse.hedging.common.interfaces import PositionFetcher
from alpha_pulse.hedging.execution.position_fetcher import release
from alpha_pulse.market.ccxt_mapping import make_exchange, read_errors, translate_read
from alpha_pulse.market.guard import RequestGuard
from alpha_pulse.runtime.secrets import ExchangeKeys

_NO_COINS: Final = frozenset({"info", "free", "used", "total", "debt", "timestamp", "datetime"})  # the other keys of ccxt's balance
_DEEPEST: Final = 4  # an empty list of coins lies no deeper in a venue's reply


class SpotAccount:
    """One account that holds coins. Pairs ``join`` and ``leave``; it is connected while anybody is there.

    What cannot be read, or cannot be believed, changes nothing: the last known coins stay, and their age tells.
    """

    def __init__(self, settings: ExchangeSettings, keys: ExchangeKeys, guard: RequestGuard, *, refresh_s: float) -> None:
        self.name = settings.id
        self._settings = settings
        self._keys = keys
        self._guard = guard
        self._refresh_s = refresh_s
        self._exchange: Any = None
        self._held: dict[str, Decimal] = {}
        self._read_at: float | None = None  # the loop's time [s]
        self._failing = False
        self._failure: Fatal | None = None
        self._reading: asyncio.Task[None] | None = None
        self._users = 0
        self._coming = asyncio.Lock()

    async def join(self) -> None:
        """Connect and read once, unless somebody has; then keep reading.

        Raises:
            ConfigError: ccxt knows no such exchange.
            Transient: it did not answer, or not with anything that can be believed.
            Fatal: it refuses to talk to us.
        """
        async with self._coming:
            self._users += 1
            if self._reading is not None:
                return
            async with contextlib.AsyncExitStack() as undo:
                undo.push_async_callback(self._give_up)
                self._exchange = self._connected()
                await self._read()
                undo.pop_all()
            self._reading = asyncio.create_task(self._keep_reading(), name=f"coins at {self.name}")

    async def _give_up(self) -> None:
        self._users -= 1
        await self._close()

    async def leave(self) -> None:
        """The last one to leave closes the connection."""
        async with self._coming:
            self._users -= 1
            if self._users <= 0:
                await self._close()

    def coins(self, coin: str, stale_after_s: float) -> Decimal:
        """Coins held, free and in orders; the same object until they changed.

        Raises:
            Fatal: the exchange refuses to talk to us.
            Transient: they were last read longer ago than ``stale_after_s``.
        """
        if self._failure is not None:
            raise self._failure
        age = float("inf") if self._read_at is None else asyncio.get_running_loop().time() - self._read_at
        if age > stale_after_s:
            raise Transient(f"the coins at {self.name} were last read {age:.0f} s ago")
        return self._held.get(coin, ZERO)

    # --- reading ----------------------------------------------------------------------------------------------------
    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self._read()
            except Transient as error:
                if not self._failing:
                    logger.warning("The coins at {} cannot be read, the last known count: {}", self.name, error)
                self._failing = True
            except Fatal as error:
                logger.error("The coins at {} may no longer be read: {}", self.name, error)
                self._failure = error
                return
            else:
                if self._failing:
                    logger.info("The coins at {} are read again", self.name)
                self._failing = False

    async def _read(self) -> None:
        """Ask once. Raises ``Transient`` or ``Fatal``; then nothing has changed."""
        exchange = self._exchange
        try:
            if not exchange.markets and not await exchange.load_markets():
                raise Transient(f"{self.name} answered, but not with a list of its markets")
            answer = await exchange.fetch_balance()
        except read_errors() as error:
            if type(error).__name__ == "InvalidNonce":  # the clocks have drifted apart since the markets were loaded
                with contextlib.suppress(*read_errors()):
                    await exchange.load_time_difference()
            raise translate_read(error) from error
        try:
            held = holdings(answer)
        except ValueError as error:
            raise Transient(f"the balance at {self.name} is not believed: {error}") from error
        for coin, quantity in held.items():
            if self._held.get(coin) == quantity:
                held[coin] = self._held[coin]
        self._held = held
        self._read_at = asyncio.get_running_loop().time()

    # --- the connection ---------------------------------------------------------------------------------------------
    def _connected(self) -> Any:
        settings, keys = self._settings, self._keys
        options: dict[str, Any] = {"adjustForTimeDifference": True, "defaultType": "spot", **settings.options}
        if settings.id == "binance":
            options.setdefault("fetchMarkets", {"types": ["spot"]})
        exchange = make_exchange(settings.id, rest_url=settings.rest_url, ws_url=settings.ws_url, options=options)
        needs = exchange.requiredCredentials
        if needs.get("walletAddress"):
            exchange.walletAddress, exchange.privateKey = keys.key.get_secret_value(), keys.secret.get_secret_value()
        else:
            exchange.apiKey, exchange.secret = keys.key.get_secret_value(), keys.secret.get_secret_value()
        if needs.get("password") and keys.password is not None:
            exchange.password = keys.password.get_secret_value()
        exchange.timeout = int(settings.request_timeout_s * 1000)
        return self._guard.install(exchange)

    async def _close(self) -> None:
        reading, self._reading = self._reading, None
        exchange, self._exchange = self._exchange, None
        self._read_at, self._failure, self._failing, self._held = None, None, False, {}
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if exchange is not None:
            await exchange.close()


class ExchangeInventory:
    """A ``PositionFetcher``: the pair's base coin in one account, in base units of the perpetual.

    Args:
        account: where the coins lie; shared with other pairs.
        pair: whose base coin counts, divided by its multiplier.
        stale_after_s: coins that were read longer ago are not believed any more [s].
    """

    def __init__(self, account: SpotAccount, pair: HedgePair, *, stale_after_s: float) -> None:
        self._account = account
        self._pair = pair
        self._stale_after_s = stale_after_s
        self._joined = False
        self._coins: Decimal | None = None
        self._units = ZERO

    async def fetch_inventory(self, symbol: str) -> Decimal:  # noqa: ARG002 - the port's signature
        """See ``PositionFetcher``. Asks the exchange the first time only; the same object until it changed.

        Raises:
            ConfigError: the first time, when ccxt knows no such exchange.
            Fatal: the exchange refuses to talk to us.
            Transient: the coins were not read, or too long ago.
        """
        if not self._joined:
            await self._account.join()
            self._joined = True
        coins = self._account.coins(self._pair.base, self._stale_after_s)
        if coins != self._coins:
            self._coins, self._units = coins, coins / self._pair.multiplier
        return self._units

    async def close(self) -> None:
        """Release the connection. Idempotent."""
        if self._joined:
            self._joined = False
            await self._account.leave()


class SumInventory:
    """Several ``PositionFetcher``s added up. One that fails makes the sum fail: a part is no inventory."""

    def __init__(self, parts: Sequence[PositionFetcher]) -> None:
        self._parts = tuple(parts)
        self._sum = ZERO
        self._started = False

    async def fetch_inventory(self, symbol: str) -> Decimal:
        """See ``PositionFetcher``: the sum in base units of the perpetual; the same object until it changed. Raises as its parts."""
        try:
            found = sum([await part.fetch_inventory(symbol) for part in self._parts], ZERO)
        except AlphaPulseError:
            if not self._started:
                await self.close()
            raise
        self._started = True
        if found != self._sum:
            self._sum = found
        return self._sum

    async def close(self) -> None:
        """Close every part. Idempotent."""
        for part in self._parts:
            await release(part)


def holdings(balance: Any) -> dict[str, Decimal]:
    """Coins by name, free and in orders, from ccxt's balance.

    Raises:
        ValueError: a field is missing or no number, or the reply names no coin and does not look like that of an empty account:
            something mangled must never be taken for "no coins".
    """
    found: dict[str, Decimal] = {}
    rows = {coin: row for coin, row in table(balance, "balance").items() if coin not in _NO_COINS}
    if not rows and not _is_empty_account(balance.get("info")):
        raise ValueError("the reply names no coin, and does not look like that of an empty account")
    for coin, row in rows.items():
        name = text(coin, "coin's name")
        found[name] = _held(table(row, f"balance of {name}"), name)
    return found


def _held(row: Mapping[str, Any], coin: str) -> Decimal:
    free, used = row.get("free"), row.get("used")
    if free is None or used is None:
        return not_negative(row.get("total"), f"total of {coin}")
    return not_negative(free, f"free {coin}") + not_negative(used, f"{coin} in orders")


def _is_empty_account(info: Any) -> bool:
    """Whether a venue's own reply has an empty list where its coins would be, in a body whose other fields are there."""
    return isinstance(info, Mapping) and _has_an_empty_list(info, 0) and _has_a_value(info, 0)


def _has_an_empty_list(part: Any, depth: int) -> bool:
    if isinstance(part, Mapping | list):
        inner = list(part.values()) if isinstance(part, Mapping) else part
        return not inner or (depth < _DEEPEST and any(_has_an_empty_list(item, depth + 1) for item in inner))
    return False


def _has_a_value(part: Any, depth: int) -> bool:
    if isinstance(part, Mapping | list):
        inner = part.values() if isinstance(part, Mapping) else part
        return depth < _DEEPEST and any(_has_a_value(item, depth + 1) for item in inner)
    return part is not None and part != ""
