"""The catalogue: which pair a name means, and the trading rules of a few coins for when no exchange supplies them."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from alpha_pulse.domain.instrument import ZERO, HedgePair, Instrument, MarginTier
from alpha_pulse.errors import ConfigError

QUOTES: Final = ("USDT", "USDC", "USD")
"""Quote currencies of linear perpetuals, in the order in which a compact name is tried."""

THOUSANDS: Final = frozenset({"PEPE", "SHIB", "FLOKI", "BONK", "LUNC", "XEC"})
"""Coins whose perpetual is quoted per 1000 coins (Binance USD-M, Bybit), while spot is quoted per coin."""

_MULTIPLIED: Final = (("1000{}", 1000), ("{}1000", 1000), ("K{}", 1000), ("{}", 1))  # how venues write such a coin's contract

_FORMS: Final = 'write it as "BTCUSDT", "BTC/USDT" or "BTC/USDT:USDT"; quotes: USDT, USDC, USD'
_COIN: Final = re.compile(r"(?=.*[A-Z])[A-Z0-9]{1,20}")  # at least one letter: 1INCH is a coin, 1000 is not
_DATED: Final = re.compile(r"[-_]\d{6}(-\d+-[CP])?$")
_FOREIGN_DOLLARS: Final = ("FDUSD", "BUSD", "TUSD", "PYUSD", "GUSD", "SUSD", "RLUSD")  # "BTCFDUSD" is not the coin BTCFD in USD


def hedge_pair(name: str) -> HedgePair:
    """The pair that a name means: the same for ``BTCUSDT``, ``BTC/USDT`` and ``BTC/USDT:USDT``, in any case.

    A coin that trades 1000-multiplied may be named with or without the multiplier (``PEPEUSDT``, ``1000PEPEUSDT``).

    Raises:
        ConfigError: the name is no pair, or its contract is dated, inverse (coin-margined) or settles in a third currency.
    """
    text = name.strip().upper()
    if text.endswith("_PERP"):
        raise _refusal(name, "inverse (coin-margined) contracts are not supported", "name the linear perpetual, e.g. BTCUSDT")
    if _DATED.search(text):
        raise _refusal(name, "dated contracts are not supported", "name the perpetual, e.g. BTCUSDT")
    base, quote, settle = _split(name, text)
    if settle not in {"", quote}:
        if settle == base:
            raise _refusal(name, "inverse (coin-margined) contracts are not supported", "name the linear perpetual, e.g. BTC/USDT:USDT")
        raise _refusal(
            name, f"the contract settles in {settle}, not in its quote currency", f"name the linear perpetual, {base}/{quote}:{quote}"
        )
    if quote not in QUOTES:
        raise _refusal(name, f"{quote} is no quote currency of a linear perpetual", _FORMS)
    if not _COIN.fullmatch(base) or base in QUOTES:
        raise _refusal(name, "is not a pair", _FORMS)
    return _pair(base, quote)


def _split(name: str, text: str) -> tuple[str, str, str]:
    """Base, quote and settlement currency; the last is empty where the name has none."""
    if "/" in text:
        base, _, rest = text.partition("/")
        quote, colon, settle = rest.partition(":")
        if not quote or (colon and not settle):
            raise _refusal(name, "is not a pair", _FORMS)
        return base, quote, settle
    for quote in QUOTES:
        if text.endswith(quote):
            if quote == "USD" and text.endswith(_FOREIGN_DOLLARS):
                raise _refusal(name, "its quote currency is not one that linear perpetuals settle in here", _FORMS)
            return text.removesuffix(quote), quote, ""
    raise _refusal(name, "is not a pair", _FORMS)


def on_venue(pair: HedgePair, listed: Container[str]) -> HedgePair:
    """The same pair as a venue lists it, with the venue's own multiplier.

    A coin of many zeros is 1000PEPE here, SHIB1000 or KPEPE there, and PEPE with a large contract elsewhere. Base units, and so
    prices and quantities, are those of the name that is returned.

    Args:
        pair: the pair by the catalogue's name.
        listed: the unified symbols of the venue's markets.

    Raises:
        ConfigError: the venue lists it under no name that is known here.
    """
    if pair.perpetual in listed:
        return pair
    if pair.base in THOUSANDS:
        for form, multiplier in _MULTIPLIED:
            perpetual = f"{form.format(pair.base)}/{pair.quote}:{pair.quote}"
            if perpetual in listed:
                return replace(pair, perpetual=perpetual, multiplier=multiplier)
    raise _refusal(pair.perpetual, "the exchange lists no such perpetual", "check coin and quote currency against the exchange's list")


def _pair(base: str, quote: str) -> HedgePair:
    coin = _plain_coin(base)
    multiplier = 1000 if coin in THOUSANDS else 1
    held, contract = (coin, f"1000{coin}") if multiplier > 1 else (base, base)
    return HedgePair(spot=f"{held}/{quote}", perpetual=f"{contract}/{quote}:{quote}", base=held, quote=quote, multiplier=multiplier)


def _plain_coin(base: str) -> str:
    """The coin behind a multiplied contract's name: PEPE for 1000PEPE, PEPE1000 and KPEPE; anything else as it is."""
    for form, _ in _MULTIPLIED:
        prefix, _, suffix = form.partition("{}")
        coin = base.removeprefix(prefix).removesuffix(suffix)
        if coin in THOUSANDS:
            return coin
    return base


def _refusal(name: str, problem: str, fix: str) -> ConfigError:
    return ConfigError(f"{problem}.", field="symbol", value=name, fix=fix)


@dataclass(frozen=True, slots=True)
class _Listing:
    """What Binance USD-M lists for one coin. ``brackets`` are (notional up to, maintenance rate) in quote units."""

    tick_size: str
    lot_size: str
    min_quantity: str
    min_notional: str
    start_price: float  # a usual price around the start of 2025, quote units
    brackets: tuple[tuple[str, str], ...]


# Filters and brackets as Binance publishes them (GET /fapi/v1/exchangeInfo, /fapi/v1/leverageBracket; brackets as of 2023-2025).
_LISTINGS: Final[dict[str, _Listing]] = {
    "BTC": _Listing(
        "0.1", "0.001", "0.001", "100", 95_000.0,
        (("5e4", "0.004"), ("6e5", "0.005"), ("3e6", "0.0065"), ("12e6", "0.01"), ("70e6", "0.02"), ("100e6", "0.025"),
         ("230e6", "0.05"), ("480e6", "0.1"), ("600e6", "0.125"), ("800e6", "0.15"), ("1200e6", "0.25"), ("1800e6", "0.5")),
    ),
    "ETH": _Listing(
        "0.01", "0.001", "0.001", "20", 3_400.0,
        (("5e4", "0.004"), ("6e5", "0.005"), ("3e6", "0.0065"), ("12e6", "0.01"), ("50e6", "0.02"), ("65e6", "0.025"),
         ("150e6", "0.05"), ("320e6", "0.1"), ("400e6", "0.125"), ("530e6", "0.15"), ("800e6", "0.25"), ("1200e6", "0.5")),
    ),
    "SOL": _Listing(
        "0.01", "0.01", "0.01", "5", 190.0,
        (("1e4", "0.005"), ("9e4", "0.0065"), ("4.5e5", "0.01"), ("1.5e6", "0.02"), ("6e6", "0.05"), ("12e6", "0.1"),
         ("15e6", "0.125"), ("24e6", "0.15"), ("50e6", "0.25"), ("100e6", "0.5")),
    ),
    "1000PEPE": _Listing(
        "0.0000001", "1", "1", "5", 0.02,
        (("5e3", "0.0065"), ("2.5e4", "0.0075"), ("1.5e5", "0.01"), ("6e5", "0.025"), ("1.5e6", "0.05"), ("3e6", "0.1"),
         ("5e6", "0.125"), ("9e6", "0.25"), ("30e6", "0.5")),
    ),
}  # fmt: skip


def builtin_instrument(pair: HedgePair) -> Instrument:
    """Trading rules of a pair when no exchange supplies them: Binance-like filters and maintenance brackets, in base units.

    Raises:
        ConfigError: the coin is not one of those known here.
    """
    contract = pair.perpetual.partition("/")[0]
    listing = _listing(pair)
    return Instrument(
        symbol=pair.perpetual,
        base=contract,
        quote=pair.quote,
        tick_size=Decimal(listing.tick_size),
        lot_size=Decimal(listing.lot_size),
        min_quantity=Decimal(listing.min_quantity),
        min_notional=Decimal(listing.min_notional),
        margin_tiers=margin_tiers(listing.brackets),
    )


def builtin_start_price(pair: HedgePair) -> float:
    """A usual price of the perpetual, quote units per base unit, for a simulated market to start from.

    Raises:
        ConfigError: the coin is not one of those known here.
    """
    return _listing(pair).start_price


def margin_tiers(brackets: tuple[tuple[str, str], ...]) -> tuple[MarginTier, ...]:
    """Brackets of (notional up to, maintenance rate) with the cumulative amounts that make the requirement continuous.

    amount_i = amount_(i−1) + cap_(i−1)·(rate_i − rate_(i−1)): Binance, "Leverage and margin of USD-M futures".
    """
    tiers: list[MarginTier] = []
    for cap, rate in brackets:
        amount = ZERO
        if tiers:
            last = tiers[-1]
            amount = last.maintenance_amount + last.max_notional * (Decimal(rate) - last.maintenance_rate)
        tiers.append(MarginTier(Decimal(cap), Decimal(rate), amount))
    return tuple(tiers)


def _listing(pair: HedgePair) -> _Listing:
    contract = pair.perpetual.partition("/")[0]
    if contract not in _LISTINGS:
        raise ConfigError(
            f"no built-in trading rules; they exist for {', '.join(_LISTINGS)}.",
            field="symbol",
            value=pair.name,
            fix="use one of these coins; of others only a live market (run with feed.source: ccxt) brings the exchange's own rules",
        )
    return _LISTINGS[contract]
