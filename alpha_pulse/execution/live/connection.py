"""One account's way to its exchange: ccxt objects for REST and websockets, behind one guard, their errors in our words."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from loguru import logger

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.domain.orders import OrderRequest, OrderType
from alpha_pulse.errors import Rejected, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.sharing import Shared
from alpha_pulse.execution.venues import Dialect, dialect_for
from alpha_pulse.execution.venues.errors import translate_write
from alpha_pulse.execution.venues.structures import OrderCall
from alpha_pulse.market.ccxt_mapping import hand_markets, learn_name, make_exchange, read_errors, translate_read
from alpha_pulse.market.guard import Haste, RequestGuard, hasty
from alpha_pulse.runtime.secrets import ExchangeKeys

_PAGE: Final = 1000
_WINDOW_MS: Final = 6 * 24 * 3_600_000
"""Venues answer for a week at most at a time (Binance: seven days)."""


class Connection:
    """Talks to one account of one exchange. Every method asks the venue; nothing is remembered but the markets."""

    def __init__(self, settings: ExchangeSettings, keys: ExchangeKeys, guard: RequestGuard) -> None:
        self.settings = settings
        self.guard = guard
        self.dialect: Dialect = dialect_for(settings.id, margin_mode=settings.margin_mode, leverage=settings.leverage)
        self.hedge_mode = settings.position_mode == "hedge"
        self._markets: Shared[None] = Shared()
        self._balance: Shared[Mapping[str, Any]] = Shared()
        self._positions: Shared[list[Mapping[str, Any]]] = Shared()
        self._funding_since: dict[str, int] = {}  # by perpetual: what its pair asked for last
        self._funding: Shared[tuple[int, list[Mapping[str, Any]]]] = Shared()
        self._keys = keys
        self.listed: dict[str, str] = {}  # by perpetual: the name by which the venue answers
        self._pairs: dict[str, HedgePair] = {}  # by perpetual
        self.rest: Any = None
        self.stream: Any = None

    async def open(self) -> None:
        """Connect and load the markets. Idempotent.

        Raises:
            ConfigError: ccxt knows no such exchange.
            Transient: it did not answer.
            Fatal: it refuses to talk to us.
        """
        if self.rest is None:
            self.rest = self._exchange()
        if not await self.read(lambda: self.rest.load_markets(not self.rest.markets)):
            raise Transient(f"{self.settings.id} answered, but not with a list of its markets")
        await self.synchronise()
        if self.stream is None:
            self.renew_stream()

    async def close(self) -> None:
        """Release every connection. Idempotent."""
        exchanges = [exchange for exchange in (self.stream, self.rest) if exchange is not None]
        self.stream = self.rest = None
        for exchange in exchanges:
            self.dialect.retire(exchange)
        await asyncio.gather(*(exchange.close() for exchange in exchanges))  # each takes ccxt a quarter of a second

    def renew_stream(self) -> Any:
        """A fresh object for websockets; returns the old one, which the caller closes."""
        fresh = self._exchange()
        hand_markets(self.rest, fresh)
        for pair in self._pairs.values():
            learn_name(fresh, pair)
        fresh.options["timeDifference"] = self.rest.options.get("timeDifference", 0)
        old, self.stream = self.stream, fresh
        if old is not None:
            self.dialect.retire(old)
        return old

    async def synchronise(self) -> None:
        """Measure how far the venue's clock is from ours, where ccxt can."""
        if hasattr(self.rest, "load_time_difference") and self.rest.has.get("fetchTime"):
            await self.read(self.rest.load_time_difference)

    async def reload(self, *, after: float) -> None:
        """Read the markets again, unless that was done ``after`` (the loop's time) or later. Raises ``Transient`` or ``Fatal``.

        A contract that is listed no more stays known, as one that is not traded: its orders and its position have to be read and ended.
        """

        async def load() -> None:
            known = [self.stream.markets[perpetual] for perpetual in self._pairs]
            if not await self.read(lambda: self.rest.load_markets(True)):
                raise Transient(f"{self.settings.id} answered, but not with a list of its markets")
            gone = {market["symbol"]: {**market, "active": False} for market in known if market["symbol"] not in self.rest.markets}
            if gone:
                self.rest.set_markets({**self.rest.markets, **gone})
            self.stream.set_markets(self.rest.markets)
            for pair in self._pairs.values():
                for exchange in (self.rest, self.stream):
                    learn_name(exchange, pair)

        await self._markets.get(load, after=after)

    def learn(self, pair: HedgePair) -> str:
        """Get to know a pair; the name by which the venue answers. Raises ``ConfigError`` for one that it does not list."""
        self.listed[pair.perpetual] = learn_name(self.rest, pair)
        learn_name(self.stream, pair)
        self._pairs[pair.perpetual] = pair
        return self.listed[pair.perpetual]

    def forget(self, perpetual: str) -> None:
        """A pair is looked after no longer: nothing is asked for its sake. Idempotent."""
        self._pairs.pop(perpetual, None)
        self._funding_since.pop(perpetual, None)

    def venue_ms(self) -> int:
        """The venue's time, milliseconds UTC: by the clock that the difference was measured with, which may jump where ours does not."""
        return int(self.rest.milliseconds()) - int(self.rest.options.get("timeDifference") or 0)

    def _exchange(self) -> Any:
        given, settings = self._keys, self.settings
        options = {"adjustForTimeDifference": True, "warnOnFetchOpenOrdersWithoutSymbol": False, **settings.options}
        exchange = make_exchange(settings.id, rest_url=settings.rest_url, ws_url=settings.ws_url, options=options)
        needs = exchange.requiredCredentials
        key, secret = given.key.get_secret_value(), given.secret.get_secret_value()
        if needs.get("walletAddress"):
            exchange.walletAddress, exchange.privateKey = key, secret
        else:
            exchange.apiKey, exchange.secret = key, secret
        if needs.get("password") and given.password is not None:
            exchange.password = given.password.get_secret_value()
        exchange.timeout = int(settings.request_timeout_s * 1000)
        exchange.streaming["keepAlive"] = int(settings.stream_silent_s * 1000 / 3)
        self.dialect.prepare(exchange)
        return self.guard.install(exchange)

    # --- asking -----------------------------------------------------------------------------------------------------
    async def read(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Await a reading call; its errors in our words (``Transient``, ``Fatal``)."""
        try:
            return await ask()
        except read_errors() as error:
            if type(error).__name__ == "InvalidNonce":
                await self._resynchronise()
            raise translate_read(error) from error

    async def _resynchronise(self) -> None:
        logger.warning("The venue's clock and ours differ: measuring again")
        with contextlib.suppress(*read_errors()):
            await self.rest.load_time_difference()

    async def find(self, symbol: str, client_order_id: str, venue_order_id: str = "", *, stop: bool = False) -> Mapping[str, Any] | None:
        """The venue's structure of one order, or None if it says that there is none. Raises ``Transient`` or ``Fatal``."""
        if not venue_order_id:
            found: Mapping[str, Any] | None = await self.read(lambda: self.dialect.find(self.rest, symbol, client_order_id, stop=stop))
            return found
        params = dict(self.dialect.stop_params if stop else self.dialect.order_params)
        ccxt: Any = importlib.import_module("ccxt")

        async def ask() -> Mapping[str, Any] | None:
            try:
                return dict(await self.rest.fetch_order(venue_order_id, symbol, params))
            except ccxt.OrderNotFound:
                return None

        answer: Mapping[str, Any] | None = await self.read(ask)
        return answer

    async def open_orders(self, symbol: str) -> list[Mapping[str, Any]]:
        """Every resting order of a contract, stops included."""
        found = list(await self.read(lambda: self.rest.fetch_open_orders(symbol)))
        params = self.dialect.stop_params
        if params:
            found += await self.read(lambda: self.rest.fetch_open_orders(symbol, None, None, dict(params)))
        return found

    async def trades(self, symbol: str, since_ms: int, until_ms: int) -> list[Mapping[str, Any]]:
        """Our trades of a contract from ``since_ms`` on, in the order in which they happened, however many there are."""
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            ends = min(since_ms + _WINDOW_MS, until_ms)
            params = {"until": ends} if ends < until_ms else {}
            page = await self._trades_page(symbol, since_ms, params)
            fresh = [row for row in page if str(row.get("id")) not in found]
            found.update((str(row["id"]), row) for row in fresh)
            if len(page) >= _PAGE and fresh:
                since_ms = max(int(row["timestamp"]) for row in fresh)
            elif len(page) >= _PAGE and self.dialect.trades_from_id:  # more of them in one millisecond than fit on a page
                rest = await self._trades_after(symbol, max(int(row["id"]) for row in page))
                found.update((str(row["id"]), row) for row in rest)
                break
            elif ends < until_ms:
                since_ms = ends
            else:
                break
        return sorted(found.values(), key=lambda row: (int(row["timestamp"]), len(str(row["id"])), str(row["id"])))

    async def _trades_after(self, symbol: str, last_id: int) -> list[Mapping[str, Any]]:
        """Every trade after the one of this id, at a venue that counts them and can be asked so."""
        found: list[Mapping[str, Any]] = []
        while True:
            page = await self._trades_page(symbol, None, {self.dialect.trades_from_id: last_id + 1})
            found += page
            if len(page) < _PAGE:
                return found
            last_id = max(int(row["id"]) for row in page)

    async def _trades_page(self, symbol: str, since_ms: int | None, params: dict[str, Any]) -> list[Mapping[str, Any]]:
        page: list[Mapping[str, Any]] = await self.read(lambda: self.rest.fetch_my_trades(symbol, since_ms, _PAGE, params))
        if any(row.get("id") is None or row.get("timestamp") is None for row in page):
            raise Transient(f"{self.settings.id} answered with trades that lack an id or a time")
        return page

    async def funding(self, symbol: str, since_ms: int, *, after: float = math.inf) -> list[Mapping[str, Any]]:
        """Funding payments of a contract from ``since_ms`` on; empty where ccxt cannot read them. ``after`` as for ``balance``."""
        if not self.rest.has.get("fetchFundingHistory"):
            return []
        if self._shares():
            self._funding_since[symbol] = since_ms
            _, (from_ms, rows) = await self._funding.get(partial(self._funding_page, None, min(self._funding_since.values())), after=after)
            if from_ms <= since_ms and len(rows) < _PAGE:
                listed = self.listed[symbol]
                return [row for row in rows if row.get("symbol") == listed and int(row["timestamp"]) >= since_ms]
        return (await self._funding_page(symbol, since_ms))[1]

    async def _funding_page(self, symbol: str | None, since_ms: int) -> tuple[int, list[Mapping[str, Any]]]:
        rows: Sequence[Mapping[str, Any]] = await self.read(lambda: self.rest.fetch_funding_history(symbol, since_ms, _PAGE))
        return since_ms, sorted(rows, key=lambda row: int(row["timestamp"]))

    async def balance(self, *, after: float = math.inf) -> tuple[float, Mapping[str, Any]]:
        """When the account's balance was asked for (the loop's time), and its structure: an answer that another pair asked for will do
        if that was ``after`` or later.
        """
        return await self._balance.get(lambda: self.read(self.rest.fetch_balance), after=after)

    async def position(self, symbol: str, *, after: float = math.inf) -> tuple[float, Sequence[Mapping[str, Any]]]:
        """When they were asked for, and the position structures of one contract; empty means flat. ``after`` as for ``balance``.

        Raises:
            ValueError: the answer cannot be believed.
        """
        listed = self.listed[symbol]
        if self._shares():
            at, rows = await self._positions.get(lambda: self.read(lambda: self.dialect.fetch_positions(self.rest, None)), after=after)
            return at, [row for row in rows if row.get("symbol") == listed]
        now = asyncio.get_running_loop().time()
        return now, await self.read(lambda: self.dialect.fetch_positions(self.rest, listed))

    def _shares(self) -> bool:
        """Whether questions are asked for all contracts together."""
        return len(self._pairs) > 1 and self.dialect.answers_for_all

    # --- writing ----------------------------------------------------------------------------------------------------
    async def create(self, request: OrderRequest, inventory_sign: int) -> Mapping[str, Any]:
        """Send one order, once. Raises ``Rejected``, ``AmbiguousOutcome`` or ``Fatal``."""
        call = self._order_call(request, inventory_sign)
        protective = request.type is not OrderType.LIMIT or request.purpose.value in {"stop", "floor"}

        async def send() -> Mapping[str, Any]:
            found: Mapping[str, Any] = await self.rest.create_order(*call)
            return found

        found: Mapping[str, Any] = await self._write(send, request.client_order_id, first=protective)
        return found

    def _order_call(self, request: OrderRequest, inventory_sign: int) -> OrderCall:
        """What ccxt is told of an order. Raises ``Rejected``: it cannot be said, or nothing may be sent now."""
        name, market = request.client_order_id, self.rest.markets[request.symbol]
        try:
            call = self.dialect.order_call(request, market, hedge_mode=self.hedge_mode, inventory_sign=inventory_sign)
        except ValueError as error:
            raise Rejected(f"not sent: {error}", client_order_id=name) from error
        wait = self.guard.banned_for()
        if wait > 0.0:
            raise Rejected(f"not sent: the exchange asked for silence for {wait:.0f} s", client_order_id=name)
        return call

    async def create_many(self, requests: Sequence[OrderRequest], inventory_sign: int) -> list[Mapping[str, Any]]:
        """Send several limit orders in one request, once. Raises as ``create``, for all of them."""
        rows = [self._order_call(request, inventory_sign)._asdict() for request in requests]
        found: list[Mapping[str, Any]] = await self._write(lambda: self.rest.create_orders(rows), "", first=False)
        return found

    async def cancel_many(self, symbol: str, venue_order_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Cancel several orders in one request; a row for each. Raises as ``cancel``."""
        send = partial(self.rest.cancel_orders, list(venue_order_ids), symbol)
        found: list[Mapping[str, Any]] = await self._write(send, "", first=True, cancelling=True)
        return found

    async def cancel(self, symbol: str, client_order_id: str, venue_order_id: str, *, stop: bool) -> None:
        """Cancel one order. Raises ``Rejected`` with "not found" if the venue knows none, ``AmbiguousOutcome`` or ``Fatal``."""
        params = dict(self.dialect.stop_params) if stop else {}

        async def send() -> Mapping[str, Any]:
            if venue_order_id:
                found: Mapping[str, Any] = await self.rest.cancel_order(venue_order_id, symbol, params)
            else:
                theirs = self.dialect.to_venue_id(client_order_id)
                found = await self.rest.cancel_order_with_client_order_id(theirs, symbol, params)
            return found

        await self._write(send, client_order_id, first=True, cancelling=True)

    async def _write(self, send: Callable[[], Awaitable[Any]], client_order_id: str, *, first: bool, cancelling: bool = False) -> Any:
        """One request that changes something. It goes on even if whoever waits is cancelled: the venue would execute it anyway."""

        async def guarded() -> Any:
            with hasty(Haste.PROTECT if first else Haste.ORDER):
                return await send()

        try:
            return await asyncio.shield(asyncio.ensure_future(guarded()))
        except read_errors() as error:
            if type(error).__name__ == "InvalidNonce":
                await self._resynchronise()
            if type(error).__name__ == "OrderNotFound" and cancelling:
                raise Rejected("the venue knows no such open order", client_order_id=client_order_id) from error
            raise translate_write(error, client_order_id) from error
