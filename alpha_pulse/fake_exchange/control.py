"""The hand on the venue: everything that a test or a person may do to it, in Python and under /control."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from alpha_pulse.domain.events import to_jsonable
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.fake_exchange.faults import Fault, Faults, Held
from alpha_pulse.fake_exchange.hub import Hub
from alpha_pulse.fake_exchange.refusals import Refusal
from alpha_pulse.fake_exchange.rest import RestDoor
from alpha_pulse.fake_exchange.venue import Venue

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_HERE: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


class Control:
    """Faults, held requests and the whole state. Prices and trades are the venue's own methods; HTTP reaches both."""

    def __init__(self, venue: Venue, faults: Faults, hub: Hub, door: RestDoor) -> None:
        self.venue = venue
        self.faults = faults
        self.hub = hub
        self.door = door
        self._posts: dict[str, Callable[..., Any]] = {
            "fault": self.fault,
            "stream_fault": self._stream_fault,
            "release": self.release,
            "unreachable": self.unreachable,
            "clear": self.clear,
            "clock": self.set_clock,
            "permissions": self.set_permissions,
            "price": venue.set_price,
            "trade": self._trade,
            "fill": venue.fill_part,
            "deleverage": venue.deleverage,
            "funding": venue.settle_funding,
            "funding_terms": venue.set_funding,
            "leverage": venue.set_leverage_outside,
            "position_mode": venue.set_position_mode_outside,
            "transfer": venue.transfer,
            "halt": venue.halt,
            "halt_spot": venue.halt_spot,
            "filters": venue.change_filters,
            "revoke": venue.revoke_key,
        }

    @property
    def addresses(self) -> list[str]:
        """What may be asked for, as "METHOD /path"."""
        return ["GET /control/state", "GET /control/held", *(f"POST /control/{name}" for name in self._posts)]

    # --- in Python ----------------------------------------------------------------------------------------------------
    def fault(self, on: str, kind: str, **options: Any) -> Fault:
        """Script a fault, see ``faults.Fault``. Raises ``ConfigError``."""
        return self.faults.add(on, kind, **options)

    def release(self, id: int | None = None, *, process: bool = True) -> int:  # noqa: A002 - the name in the JSON
        """Let a held request go on (None: all of them); ``process`` False loses it. Returns how many."""
        return self.faults.release(id, process=process)

    async def wait_held(self, count: int = 1, timeout: float = 5.0) -> list[Held]:  # noqa: ASYNC109 - a test wants one line
        """Wait until as many requests are held. Raises ``TimeoutError``."""
        return await self.faults.wait_held(count, timeout)

    def unreachable(self, seconds: float) -> None:
        """Close every REST connection and socket, and refuse new ones, for a while."""
        self.faults.make_unreachable(seconds)
        self.hub.fault("disconnect", seconds=seconds, abort=True)

    def clear(self) -> None:
        """Switch every fault off, of requests and of streams, and let held requests go on."""
        self.faults.clear()
        self.hub.clear_faults()
        self.door.limits.banned_until_ms = 0
        self.faults.release()

    def set_clock(self, offset_ms: int) -> None:
        """Put the venue's clock ahead of the process's (negative: behind)."""
        self.venue.offset_ms = offset_ms

    def set_permissions(self, account: str | None = None, *, can_trade: bool | None = None, can_withdraw: bool | None = None) -> None:
        """What a key may do from now on."""
        found = self.venue.account(account)
        found.can_trade = found.can_trade if can_trade is None else can_trade
        found.can_withdraw = found.can_withdraw if can_withdraw is None else can_withdraw

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values; amounts are text."""
        venue = self.venue
        markets = {
            m.name: {"last": m.last, "mark": m.mark, "index": m.index, "spot": m.spot, "status": m.status, "rate": m.funding_rate}
            for m in venue.markets.values()
        }
        state = {
            "now_ms": venue.now_ms(),
            "markets": markets,
            "accounts": {key: self._account_state(key) for key in venue.accounts},
            "requests": self.door.counts,
            "faults": {"active": self.faults.active, "hits": self.faults.hits, "held": [h.public() for h in self.faults.held.values()]},
            "streams": {"connections": self.hub.connections, "subscriptions": self.hub.subscriptions},
        }
        found: dict[str, Any] = to_jsonable(state)
        return found

    def _account_state(self, key: str) -> dict[str, Any]:
        venue, account = self.venue, self.venue.account(key)
        return {
            "orders": venue.orders(key),
            "algo_orders": venue.algo_orders(key),
            "fills": venue.fills(key),
            "income": venue.income(key),
            "positions": {f"{name}/{side}": {"quantity": d.quantity, "entry": d.entry} for (name, side), d in account.desks.items()},
            "wallets": {asset: account.balance(asset) for asset in ("USDT", "USDC", "BNB")},
            "spot": {
                "balances": account.spot.balances,
                "locked": account.spot.locked,
                "orders": list(account.spot.orders.values()),
                "fills": account.spot.trades,
            },
            "dual": account.dual,
            "leverage": account.leverage,
        }

    # --- over HTTP ----------------------------------------------------------------------------------------------------
    async def handle(self, request: web.Request) -> web.Response:
        """Serve /control/...: from this machine, and not from a page in a browser."""
        host = request.host.rpartition(":")[0] or request.host
        if request.remote not in _LOOPBACK or host not in _HERE or "Origin" in request.headers:
            return web.json_response({"error": "the control endpoint serves this machine alone"}, status=403)
        name = request.match_info["name"]
        if request.method == "GET":
            known: dict[str, Callable[[], Any]] = {"state": self.state, "held": lambda: [h.public() for h in self.faults.held.values()]}
            if name in known:
                return web.json_response(known[name]())
        if request.method != "POST" or name not in self._posts:
            return web.json_response({"error": f"there is no {request.method} /control/{name}", "known": self.addresses}, status=404)
        try:
            given = json.loads(await request.text() or "{}")
            result = self._posts[name](**given)
        except (AlphaPulseError, Refusal, TypeError, ValueError, ArithmeticError) as error:
            return web.json_response({"error": str(error) or type(error).__name__}, status=400)
        return web.json_response({"ok": True, "result": to_jsonable(result)})

    def _trade(self, symbol: str, side: str, quantity: str, account: str | None = None, position_side: str | None = None) -> Any:
        return self.venue.trade_outside(account, symbol, side, quantity, position_side=position_side)

    def _stream_fault(self, name: str, **options: Any) -> None:
        if name == "clear":
            self.hub.clear_faults()
        else:
            self.hub.fault(name, **options)
