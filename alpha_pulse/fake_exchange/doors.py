"""Who may come in: keys, signatures, timestamps, request limits and bans."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from alpha_pulse.fake_exchange.calls import KEYED, PUBLIC, Endpoint
from alpha_pulse.fake_exchange.config import LimitsConfig
from alpha_pulse.fake_exchange.refusals import Refusal

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.account import FakeAccount
    from alpha_pulse.fake_exchange.venue import Venue

_MINUTE_MS: Final = 60_000
_WINDOW_MS: Final = 5_000  # recvWindow where none is given
_EARLY_MS: Final = 1_000  # a timestamp may be this far ahead


def parameters(query: str, body: str) -> dict[str, Any]:
    """Query and form body together, without the signature."""
    pairs = parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True)
    return {name: value for name, value in pairs if name != "signature"}


def enter(venue: Venue, endpoint: Endpoint, key: str | None, query: str, body: str) -> FakeAccount | None:
    """Let a request through the endpoint's door; returns whose it is. Raises ``Refusal``."""
    if endpoint.door == PUBLIC:
        return venue.accounts.get(key or "")
    if not key:
        raise Refusal(-2014, status=401)
    account = venue.accounts.get(key)
    if account is None or account.revoked:
        raise Refusal(-2015, status=401)
    if endpoint.door == KEYED:
        return account
    params = parameters(query, body)
    _check_time(venue.now_ms(), params)
    signed, given = _signed_part(query, body)
    expected = hmac.new(account.config.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given):
        raise Refusal(-1022)
    return account


def _check_time(now_ms: int, params: Mapping[str, Any]) -> None:
    try:
        sent, window = int(params["timestamp"]), int(params.get("recvWindow", _WINDOW_MS))
    except (KeyError, ValueError):
        raise Refusal(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.") from None
    if sent >= now_ms + _EARLY_MS:
        raise Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - sent > window:
        raise Refusal(-1021)


def _signed_part(query: str, body: str) -> tuple[str, str]:
    """What the signature covers, as it was sent, and the signature."""
    given, parts = "", []
    for text in (query, body):
        kept = []
        for piece in text.split("&"):
            if piece.startswith("signature="):
                given = piece.removeprefix("signature=")
            else:
                kept.append(piece)
        parts.append("&".join(kept))
    return "".join(parts), given


class Limits:
    """Request weight and order count of the running minute of the venue's clock, and the ban for going on regardless."""

    def __init__(self, config: LimitsConfig) -> None:
        self.config = config
        self.banned_until_ms = 0
        self.weight = 0
        self.orders: Counter[str] = Counter()
        self._minute = -1
        self._beyond = 0

    def admit(self, endpoint: Endpoint, key: str, now_ms: int) -> None:
        """Count a request. Raises ``Refusal`` when it is too much, with status 429 or 418."""
        if now_ms // _MINUTE_MS != self._minute:
            self._minute, self.weight, self._beyond = now_ms // _MINUTE_MS, 0, 0
            self.orders.clear()
        if now_ms < self.banned_until_ms:
            raise Refusal(-1003, f"Way too many requests; IP banned until {self.banned_until_ms}.", status=418)
        self.weight += endpoint.weight
        self.orders[key] += endpoint.orders
        if self.weight > self.config.weight_per_minute:
            self._beyond += 1
            if self._beyond > self.config.ban_after:
                self.ban(now_ms, self.config.ban_s)
            raise Refusal(-1003, status=429)
        if endpoint.orders and self.orders[key] > self.config.orders_per_minute:
            raise Refusal(-1015, status=429)

    def ban(self, now_ms: int, seconds: float) -> None:
        """Refuse everything for a while."""
        self.banned_until_ms = now_ms + round(seconds * 1000)

    def retry_after_s(self, now_ms: int) -> int:
        """Seconds until a refused client may come again."""
        until = self.banned_until_ms if now_ms < self.banned_until_ms else (now_ms // _MINUTE_MS + 1) * _MINUTE_MS
        return max(1, -(-(until - now_ms) // 1000))

    def headers(self, key: str) -> dict[str, str]:
        """What every reply says about the use so far."""
        return {"X-MBX-USED-WEIGHT-1M": str(self.weight), "X-MBX-ORDER-COUNT-1M": str(self.orders[key])}
