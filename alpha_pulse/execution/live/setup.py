"""The account as the settings want it, set where it differs and read back; what it charges, and what its key may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loguru import logger

from alpha_pulse.domain.catalog import margin_tiers
from alpha_pulse.domain.instrument import Instrument, MarginTier, exact
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.market.ccxt_mapping import read_errors, translate_read


async def prepare(connection: Connection, settings: ExchangeSettings, symbol: str, *, first: bool) -> None:
    """Set position mode, margin mode and leverage, and believe nothing that was not read back.

    Raises:
        ConfigError: the venue answers something else than was asked for, or the key cannot trade.
        Transient, Fatal: the venue did not answer, or refuses us.
    """
    if settings.leverage > settings.max_leverage:
        raise ConfigError(
            f"is above exchange.max_leverage ({settings.max_leverage}).",
            field="exchange.leverage",
            value=settings.leverage,
            fix="lower the one, or raise the other knowing what it does",
        )
    if first:
        await _check_key(connection)
    hedged = settings.position_mode == "hedge"
    found = await connection.read(
        lambda: connection.dialect.setup(
            connection.rest, symbol, leverage=settings.leverage, margin_mode=settings.margin_mode, hedge_mode=hedged
        )
    )
    for name, wanted, is_there in (
        ("exchange.leverage", settings.leverage, found.leverage),
        ("exchange.margin_mode", settings.margin_mode, found.margin_mode),
        ("exchange.position_mode", hedged, found.hedge_mode),
    ):
        if is_there is None:
            logger.info("{} does not tell {}: look at it there once", settings.id, name)
        elif is_there != wanted:
            raise ConfigError(
                f"was asked for, and {settings.id} answers {is_there} for {symbol}.",
                field=name,
                value=wanted,
                fix="set it at the venue by hand, close what keeps it from changing, or change the setting",
            )


async def _check_key(connection: Connection) -> None:
    rights = await connection.read(lambda: connection.dialect.key_rights(connection.rest))
    if rights.can_trade is False:
        raise ConfigError(
            "the API key may not trade futures.", field="exchange.api_key_env", fix="allow futures trading for this key at the venue"
        )
    if rights.can_withdraw:
        logger.warning("The API key may withdraw: hedging never needs that. Make a key without withdrawal rights")


async def real_instrument(connection: Connection, instrument: Instrument) -> Instrument:
    """The trading rules with the account's own fees and the venue's margin brackets, where it tells them."""
    rest, symbol = connection.rest, instrument.symbol
    if rest.has.get("fetchTradingFee"):
        try:
            fee: Mapping[str, Any] = await connection.read(lambda: rest.fetch_trading_fee(symbol))
            if fee.get("maker") is not None and fee.get("taker") is not None:
                instrument = replace(instrument, maker_fee=exact(float(fee["maker"])), taker_fee=exact(float(fee["taker"])))
        except Transient as error:
            logger.warning("{}: fees of the account are unknown ({}); the listed ones are used", symbol, error)
    if rest.has.get("fetchLeverageTiers"):
        try:
            listed = connection.listed[symbol]
            tiers = (await rest.fetch_leverage_tiers([listed])).get(listed) or []
        except read_errors() as error:
            logger.warning("{}: margin brackets are unknown ({}); cautious ones are used", symbol, translate_read(error))
        else:
            instrument = replace(instrument, margin_tiers=_tiers(tiers) or instrument.margin_tiers)
    return instrument


def _tiers(rows: list[Mapping[str, Any]]) -> tuple[MarginTier, ...]:
    """The venue's brackets; none where one of them lacks its rate."""
    brackets: list[tuple[str, str]] = []
    for row in rows:
        cap, rate = row.get("maxNotional"), row.get("maintenanceMarginRate")
        if rate is None or float(rate) <= 0:
            return ()
        brackets.append((str(exact(float(cap))) if cap else "1e18", str(exact(float(rate)))))
    return margin_tiers(tuple(brackets))
