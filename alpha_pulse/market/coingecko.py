"""Daily prices of a coin from CoinGecko, for studies that need nothing finer.

Built on the standard library: a plain call for a notebook or a script, which needs no event loop and works inside one. There it holds the
loop up while it waits, so that a coroutine should write ``await asyncio.to_thread(fetch_crypto_data, "bitcoin")``.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import urllib.error
import urllib.request
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

from alpha_pulse.errors import AlphaPulseError, ConfigError, DataError, Transient
from alpha_pulse.market.files import Floats, Stamps

BASE_URL: Final = "https://api.coingecko.com/api/v3"
_DAY_MS: Final = 86_400_000
_LARGEST_BODY: Final = 20_000_000  # bytes; ten years of days are some 200 kB
_LONGEST_DAYS: Final = 36_500
_COIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TOO_MANY, _NOT_FOUND, _SERVER_ERRORS = 429, 404, 500
_REFUSED: Final = frozenset({401, 403})


class RateLimited(Transient):
    """CoinGecko wants to be left alone. ``wait_s``: for so long [s]; None where it does not say."""

    def __init__(self, message: str, wait_s: float | None) -> None:
        self.wait_s = wait_s
        super().__init__(message)


class CryptoData(NamedTuple):
    """Daily prices, oldest first: ``prices`` in units of the quote currency, > 0; ``timestamps`` in milliseconds UTC, rising."""

    prices: Floats
    timestamps: Stamps


def fetch_crypto_data(
    coin: str,
    days: int = 365,
    *,
    base_url: str = BASE_URL,
    vs_currency: str = "usd",
    api_key: str = "",
    timeout_s: float = 30.0,
) -> CryptoData:
    """A coin's daily prices at 00:00 UTC. The running day, whose price CoinGecko puts at the end, is left out.

    Args:
        coin: CoinGecko's id of the coin, e.g. ``bitcoin`` (not ``BTC``).
        days: how far back [days]; without a key CoinGecko answers up to 365.
        base_url: of CoinGecko, or of whatever speaks its language: a proxy, a mirror.
        vs_currency: the quote currency, e.g. ``usd``.
        api_key: of CoinGecko's demo plan, or of a paid one where ``base_url`` is its host.
        timeout_s: for the connection and for each silence [s].

    Raises:
        RateLimited: too many requests; its ``wait_s`` is what Retry-After says. A ``Transient``.
        Transient: no connection, no answer in time, an error of the server, or a body that is no JSON.
        ConfigError: CoinGecko knows no such coin or currency, refuses the key or the number of days, or an argument cannot be.
        DataError: the answer is JSON, and holds no prices or such as cannot be.
    """
    coin, currency = coin.strip().lower(), vs_currency.strip().lower()
    _refuse_arguments(coin, days, base_url)
    path = f"/coins/{quote(coin, safe='')}/market_chart"
    url = f"{base_url.rstrip('/')}{path}?{urlencode({'vs_currency': currency, 'days': days, 'interval': 'daily'})}"
    headers = {"Accept": "application/json", "User-Agent": "alpha-pulse"}
    if api_key:
        paid = (urlsplit(base_url).hostname or "").startswith("pro-api.")
        headers["x-cg-pro-api-key" if paid else "x-cg-demo-api-key"] = api_key
    status, body, wait_s = _get(url, headers, timeout_s)
    if status >= 400:  # noqa: PLR2004 - HTTP's errors
        raise _refusal(status, body, wait_s, coin=coin, currency=currency, days=days)
    return _read(url.partition("?")[0], _json(body, status))


def _refuse_arguments(coin: str, days: int, base_url: str) -> None:
    if not _COIN.fullmatch(coin):
        raise ConfigError("is no id of a coin.", field="coin", value=coin, fix='write CoinGecko\'s id, e.g. "bitcoin"')
    if not 1 <= days <= _LONGEST_DAYS:
        raise ConfigError("is no number of days.", field="days", value=days, fix=f"give 1 to {_LONGEST_DAYS}, e.g. 365")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError("is no web address.", field="base_url", value=base_url, fix=f"write {BASE_URL}")


def _get(url: str, headers: dict[str, str], timeout_s: float) -> tuple[int, bytes, float | None]:
    """Status, body and what Retry-After says [s]. Raises ``Transient``."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    try:
        try:
            answer = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310 - as above
        except urllib.error.HTTPError as error:
            answer = error  # an answer like any other, with a status of its own
        with answer:
            return int(answer.status), _body(answer), _seconds(answer.headers.get("Retry-After", ""))
    except TimeoutError as error:
        raise Transient(f"CoinGecko did not answer within {timeout_s:g} s") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise Transient(f"CoinGecko did not answer within {timeout_s:g} s") from error
        raise Transient(f"no connection to CoinGecko: {reason or type(error).__name__}") from error


def _body(answer: Any) -> bytes:
    body: bytes = answer.read(_LARGEST_BODY + 1)
    if len(body) > _LARGEST_BODY:
        raise Transient(f"CoinGecko's answer is longer than {_LARGEST_BODY:,} bytes")
    return body


def _seconds(text: str) -> float | None:
    try:
        wait = float(text)
    except ValueError:
        return None
    return wait if math.isfinite(wait) and wait >= 0.0 else None


def _json(body: bytes, status: int) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Transient(f"CoinGecko answered HTTP {status} with something that is no JSON: {body[:40]!r}") from error


def _refusal(status: int, body: bytes, wait_s: float | None, *, coin: str, currency: str, days: int) -> AlphaPulseError:
    """The error for an HTTP status."""
    said = _said(body)
    because = f": {said}" if said else ""
    if status == _TOO_MANY:
        when = f"in {wait_s:g} s" if wait_s is not None else "in a minute or two (it does not say when)"
        return RateLimited(f"CoinGecko answers no more requests for now (HTTP 429): ask again {when}, or use an API key", wait_s)
    if status == _NOT_FOUND:
        return ConfigError(
            f"CoinGecko knows no such coin{because}.",
            field="coin",
            value=coin,
            fix='use the id from the address of the coin\'s page, e.g. "bitcoin" for BTC',
        )
    if status in _REFUSED:
        fix = "ask for 365 days or fewer, or give an api_key whose plan has more" if days > 365 else "check api_key"  # noqa: PLR2004 - see above
        return ConfigError(f"CoinGecko refuses this (HTTP {status}){because}.", field="days", value=days, fix=fix)
    if status >= _SERVER_ERRORS:
        return Transient(f"CoinGecko has trouble of its own (HTTP {status}){because}")
    return ConfigError(f"CoinGecko refuses this (HTTP {status}){because}.", field="vs_currency", value=currency, fix="check the arguments")


def _said(body: bytes) -> str:
    """The message in an error's body, if there is one."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    while isinstance(found, dict):
        found = next((found[key] for key in ("error", "status", "error_message", "message") if key in found), "")
    return " ".join(str(found).split())[:200]


def _read(url: str, found: Any) -> CryptoData:
    rows = found.get("prices") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):  # noqa: PLR2004 - [time, price]
        raise DataError("holds no list of prices.", path=url, fix="check base_url: does CoinGecko answer there?")
    try:
        table = np.array(rows, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise DataError("holds a price that is no number.", path=url) from error
    if len(table) > 1 and table[-1, 0] - table[-2, 0] < _DAY_MS:
        table = table[:-1]  # the running day
    for bad, problem in (
        (~np.isfinite(table).all(axis=1), "its time or price is missing or not finite"),
        (table[:, 1] <= 0.0, "its price is not above zero"),
        (np.diff(table[:, 0], prepend=-math.inf) <= 0.0, "its time is not after the row's before"),
    ):
        if bad.any():
            raise DataError(f"{problem}.", path=url, row=int(np.argmax(bad)) + 1)
    if not len(table):
        raise DataError("holds no prices.", path=url, fix="ask for more days")
    return CryptoData(table[:, 1].copy(), np.rint(table[:, 0]).astype(np.int64))
