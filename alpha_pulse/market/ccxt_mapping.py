"""What ccxt says, in our words: its errors by the reaction they call for, its markets as instruments, its URLs pointed elsewhere.

ccxt takes half a second to import, so it is imported when first used.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final
from urllib.parse import urlsplit

from alpha_pulse.domain.catalog import builtin_instrument, on_venue
from alpha_pulse.domain.instrument import ZERO, HedgePair, Instrument, MarginTier
from alpha_pulse.errors import AlphaPulseError, ConfigError, Fatal, Transient
from alpha_pulse.runtime.masking import mask

_QUERY: Final = re.compile(r"\?[^\s\"']+")
KEEP_ALIVE_MS: Final = 10_000  # ccxt notices a dead socket after three of these; Binance's default would be nine minutes
_SPOT_OF: Final = {"binanceusdm": "binance", "krakenfutures": "kraken", "kucoinfutures": "kucoin"}
_CAUTIOUS_TIERS: Final = (MarginTier(Decimal("1e18"), Decimal("0.025")),)  # a coin whose brackets are unknown

# A read may simply be repeated, so what an exchange refuses for now is Transient; what a person has to mend is Fatal.
_REACTIONS: Final[Mapping[str, type[AlphaPulseError]]] = {
    "OperationFailed": Transient,
    "ExchangeError": Transient,
    "UnsubscribeError": Transient,
    "BaseError": Transient,
    "AuthenticationError": Fatal,
    "ArgumentsRequired": Fatal,
    "BadSymbol": Fatal,
    "RestrictedLocation": Fatal,
    "ManualInteractionNeeded": Fatal,
    "NotSupported": Fatal,
    "InvalidProxySettings": Fatal,
    "ContractUnavailable": Fatal,
}


def translate_read(error: BaseException) -> AlphaPulseError:
    """The error to raise for what ccxt raised on a read: the nearest mapped class decides. Anything malformed is ``Transient``."""
    for kind in type(error).__mro__:
        reaction = _REACTIONS.get(kind.__name__)
        if reaction is not None and kind.__module__.startswith("ccxt"):
            return reaction(f"{type(error).__name__}: {short(error)}")
    return Transient(f"unreadable reply ({type(error).__name__}): {short(error)}")


def read_errors() -> tuple[type[Exception], ...]:
    """Everything that a ccxt read is known to raise: its own errors, and what its parsers raise on malformed replies."""
    base: type[Exception] = importlib.import_module("ccxt").BaseError
    return (base, OSError, TimeoutError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def short(error: BaseException) -> str:
    """What an error says, on one line, without the parameters and signatures of requests, and without secrets: it may be recorded, and
    what stands before an exchange may repeat the headers that it was sent.
    """
    return " ".join(mask(_QUERY.sub("", str(error))).split())[:200]


def make_exchange(
    exchange_id: str, *, rest_url: str | None = None, ws_url: str | None = None, options: Mapping[str, Any] | None = None
) -> Any:
    """An asynchronous ccxt exchange, with websockets where ccxt has them, for public data.

    Raises:
        ConfigError: ccxt knows no such exchange.
    """
    pro: Any = importlib.import_module("ccxt.pro")
    plain: Any = importlib.import_module("ccxt.async_support")
    if exchange_id not in plain.exchanges:
        near = difflib.get_close_matches(exchange_id, plain.exchanges, 1)
        fix = f"did you mean {near[0]}?" if near else "see https://docs.ccxt.com for the names"
        raise ConfigError("ccxt knows no such exchange.", field="exchange.id", value=exchange_id, fix=fix)
    kind = getattr(pro if exchange_id in pro.exchanges else plain, exchange_id)
    exchange = kind(
        {
            "enableRateLimit": True,
            "rateLimiterAlgorithm": "rollingWindow",
            "newUpdates": True,  # so of the trades it keeps, few are enough
            "options": {"fetchCurrencies": False, "fetchMargins": False, "tradesLimit": 200, **(options or {})},
        }
    )
    exchange.has["fetchCurrencies"] = False  # would leave a redirected host, and nothing here needs it
    exchange.streaming["keepAlive"] = min(KEEP_ALIVE_MS, exchange.streaming.get("keepAlive", KEEP_ALIVE_MS))
    exchange.urls["api"] = redirect(exchange.urls["api"], rest_url, ws_url)
    if rest_url and exchange_id == "binanceusdm":  # ccxt picks Binance's table of errors by the real host's name
        tables, linear = exchange.exceptions, exchange.exceptions["linear"]
        exchange.exceptions = tables | {kind: tables.get(kind, {}) | linear[kind] for kind in linear}
    _keep_our_rounding(exchange)
    return exchange


def _keep_our_rounding(exchange: Any) -> None:
    """Ccxt rounds by changing its caller's decimal context for good: our own sums would then round otherwise than an audit's."""
    ordinary = exchange.decimal_to_precision

    def decimal_to_precision(*arguments: Any, **options: Any) -> Any:
        with localcontext():
            return ordinary(*arguments, **options)

    exchange.decimal_to_precision = decimal_to_precision


def spot_exchange_id(exchange_id: str) -> str:
    """The ccxt id of the spot market that belongs to a perpetual's exchange."""
    return _SPOT_OF.get(exchange_id, exchange_id)


def why_ended(task: asyncio.Task[None]) -> str:
    """What ended a task that is done, in words."""
    error = None if task.cancelled() else task.exception()
    return "nobody asked it to" if error is None else f"{type(error).__name__}: {short(error)}"


def hand_markets(known: Any, fresh: Any) -> None:
    """Give ``fresh`` the list that ``known`` has loaded: each market once, though some have a name of ours beside their own."""
    fresh.set_markets({market["symbol"]: market for market in known.markets.values()})


def learn_name(exchange: Any, pair: HedgePair) -> str:
    """Let ``exchange`` be asked for the pair's perpetual by our name, and return the name by which it answers (KPEPE for 1000PEPE).

    Raises:
        ConfigError: it does not list the pair, or counts it in other units than we do.
    """
    found = on_venue(pair, exchange.markets)
    if found.multiplier != pair.multiplier:
        raise ConfigError(
            f"{exchange.id} lists it as {found.perpetual}, {found.multiplier} coins to a unit where {pair.multiplier} are counted here.",
            field="symbol",
            value=pair.name,
            fix="choose an exchange that lists it as " + pair.perpetual.partition("/")[0],
        )
    market = exchange.markets[found.perpetual]
    exchange.markets[pair.perpetual] = market
    return str(market["symbol"])


def redirect(urls: Any, rest_url: str | None, ws_url: str | None) -> Any:
    """The same tree of URLs with scheme and host replaced and every path kept: a proxy, a mirror or a local exchange."""
    if isinstance(urls, Mapping):
        return {name: redirect(value, rest_url, ws_url) for name, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    target = ws_url if parts.scheme in {"ws", "wss"} else rest_url
    return urls if target is None else target.rstrip("/") + parts.path


def instrument_of(pair: HedgePair, market: Mapping[str, Any], precision_mode: int, price: float) -> Instrument:
    """Trading rules from ccxt's market structure, in base units (contracts times contract size).

    ``price`` (quote units) is needed where precision counts significant digits. Brackets need an account at most venues, so the
    built-in ones are used where there are any, else a cautious 2.5 %.

    Raises:
        ConfigError: the contract is inverse, no perpetual, closed, or its rules are unusable.
    """
    _refuse_wrong_contract(pair, market)
    size = _decimal(market.get("contractSize"), Decimal(1))
    precision, limits = market["precision"], market["limits"]
    step = _step(precision.get("amount"), precision_mode, 1.0)
    step = max(step, _decimal((market.get("info") or {}).get("sizeMultiplier"), ZERO))  # Bitget: ccxt cuts a step of 1000 to 1
    lot = step * size
    least = _decimal((limits.get("amount") or {}).get("min"), ZERO) * size
    try:
        tiers = builtin_instrument(pair).margin_tiers
    except ConfigError:
        tiers = _CAUTIOUS_TIERS
    return Instrument(
        symbol=pair.perpetual,
        base=market["base"],
        quote=market["quote"],
        tick_size=_step(precision.get("price"), precision_mode, price),
        lot_size=lot,
        min_quantity=max(least, lot),
        min_notional=_decimal((limits.get("cost") or {}).get("min"), ZERO),
        contract_size=size,
        maker_fee=_decimal(market.get("maker"), Decimal("0.0002")),
        taker_fee=_decimal(market.get("taker"), Decimal("0.0005")),
        margin_tiers=tiers,
    )


def _refuse_wrong_contract(pair: HedgePair, market: Mapping[str, Any]) -> None:
    for wrong, problem in (
        (market.get("inverse"), "is an inverse (coin-margined) contract, which is not supported."),
        (not market.get("swap"), "is no perpetual."),
        (market.get("settle") not in {None, pair.quote}, f"settles in {market.get('settle')}, not in {pair.quote}."),
        (market.get("active") is False, "is not trading (halted or delisted)."),
    ):
        if wrong:
            raise ConfigError(
                problem, field="symbol", value=pair.perpetual, fix="choose a linear perpetual that trades, e.g. BTC/USDT:USDT"
            )


def _step(precision: Any, mode: int, price: float) -> Decimal:
    """The smallest step of a price or amount, from ccxt's precision in any of its three modes."""
    ccxt: Any = importlib.import_module("ccxt")
    value = _decimal(precision, ZERO)
    if mode == ccxt.TICK_SIZE:
        return value
    if mode == ccxt.DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(value))
    return Decimal(1).scaleb(math.floor(math.log10(price)) + 1 - int(value))  # SIGNIFICANT_DIGITS


def _decimal(value: Any, default: Decimal) -> Decimal:
    if value is None:
        return default
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return default
    return number if number.is_finite() else default
