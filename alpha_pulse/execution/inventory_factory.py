"""Chooses who reads the inventory. Heavy imports wait until an exchange is to be asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from alpha_pulse.domain.instrument import HedgePair
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import ExchangeSettings
from alpha_pulse.hedging.common.interfaces import PositionFetcher
from alpha_pulse.hedging.execution.config import InventoryExchange, InventorySettings, InventorySource
from alpha_pulse.hedging.execution.position_fetcher import FixedInventory
from alpha_pulse.market.ccxt_mapping import spot_exchange_id
from alpha_pulse.market.guard import RequestGuard

if TYPE_CHECKING:
    from alpha_pulse.execution.inventory import SpotAccount

_KEYS: Final = ("api_key_env", "api_secret_env", "api_password_env")


class SpotAccounts:
    """The accounts that hold coins, each connected once however many pairs read it."""

    def __init__(self) -> None:
        self._known: dict[str, SpotAccount] = {}

    def get(
        self, settings: ExchangeSettings, refresh_s: float, environ: Mapping[str, str] | None = None, guard: RequestGuard | None = None
    ) -> SpotAccount:
        """The account that the settings name, not connected yet.

        Raises:
            ConfigError: a key is missing; the message names every variable that is not set.
        """
        from alpha_pulse.execution.broker_factory import WITH_PASSWORD  # noqa: PLC0415 - only who asks an exchange needs these
        from alpha_pulse.execution.inventory import SpotAccount  # noqa: PLC0415 - as above
        from alpha_pulse.runtime.secrets import read_keys  # noqa: PLC0415 - as above

        name = f"{settings.model_dump_json()} {refresh_s}"
        if name not in self._known:
            keys = read_keys(
                settings.api_key_env,
                settings.api_secret_env,
                settings.api_password_env,
                settings.id in WITH_PASSWORD,
                os.environ if environ is None else environ,
            )
            self._known[name] = SpotAccount(
                settings, keys, guard or RequestGuard(reserve=settings.reserve, weight_per_minute=settings.budget()), refresh_s=refresh_s
            )
        return self._known[name]


def create_inventory(
    settings: InventorySettings,
    exchange: ExchangeSettings,
    pair: HedgePair,
    environ: Mapping[str, str] | None = None,
    guard: RequestGuard | None = None,
    accounts: SpotAccounts | None = None,
) -> PositionFetcher:
    """What reads the inventory that the settings describe, not connected yet; ``release`` it in the end.

    Args:
        settings: the inventory's sources.
        exchange: the perpetual's exchange, whose spot account is meant where a source names none.
        pair: whose base coin is counted.
        environ: where keys are looked for; None for the process's own.
        guard: the request budget of ``exchange``; accounts elsewhere have one of their own.
        accounts: shared by the pairs of one process.

    Raises:
        ConfigError: a key is missing, or it is not told which account is meant.
    """
    if settings.coins is not None:
        return FixedInventory(settings, pair)
    from alpha_pulse.execution.inventory import ExchangeInventory, SumInventory  # noqa: PLC0415 - only who asks an exchange needs it

    accounts = accounts or SpotAccounts()
    accounts_of(settings, exchange)
    parts: list[PositionFetcher] = []
    for entry in _entries(settings):
        if entry.source == "fixed":
            parts.append(FixedInventory(InventorySettings(quantity=entry.quantity), pair))
            continue
        where = account_settings(entry.exchange, exchange, "")
        shared = guard if where.id == spot_id_of(exchange) else None
        account = accounts.get(where, settings.refresh_s, environ, shared)
        parts.append(ExchangeInventory(account, pair, stale_after_s=settings.stale_after_s))
    return parts[0] if len(parts) == 1 else SumInventory(parts)


def accounts_of(settings: InventorySettings, exchange: ExchangeSettings) -> tuple[ExchangeSettings, ...]:
    """Every account that has to be asked.

    Raises:
        ConfigError: it is not told whose keys read one, or one is listed twice, so that its coins would count twice.
    """
    found: list[ExchangeSettings] = []
    for number, entry in enumerate(_entries(settings)):
        if entry.source == "fixed":
            continue
        field = f"inventory.sources.{number}.exchange" if settings.source == "sum" else "inventory.exchange"
        where = account_settings(entry.exchange, exchange, field)
        if any(_same(where, other) for other in found):
            fix = "list each account once"
            raise ConfigError("is listed twice, and its coins would count twice.", field=field, value=where.id, fix=fix)
        found.append(where)
    return tuple(found)


def account_settings(own: InventoryExchange | None, exchange: ExchangeSettings, field: str) -> ExchangeSettings:
    """The account that one source means: its own settings over those of ``exchange``. ``field`` names it in errors.

    URLs, keys and options of ``exchange`` are taken only at the same exchange: no key is ever shown to another one.

    Raises:
        ConfigError: an account at another exchange does not say where its keys are.
    """
    own = own or InventoryExchange()
    at_home = own.id is None or own.id == spot_id_of(exchange)
    given = {name: getattr(own, name) for name in ("rest_url", "ws_url", *_KEYS) if getattr(own, name) is not None}
    if at_home:
        base = {name: getattr(exchange, name) for name in ("rest_url", "ws_url", *_KEYS)}
        return exchange.model_copy(
            update={**base, **given, "id": spot_id_of(exchange), "options": _options(exchange, {**exchange.options, **own.options})}
        )
    missing = [name for name in _KEYS[:2] if name not in given]
    if missing:
        raise ConfigError(
            f"another exchange than {spot_id_of(exchange)} needs keys of its own, and {' and '.join(missing)} name none.",
            field=field,
            value=own.id,
            fix="name the variables of that account's keys, e.g. api_key_env: VAULT_API_KEY, api_secret_env: VAULT_API_SECRET",
        )
    elsewhere = {"id": own.id, "rest_url": None, "ws_url": None, "api_password_env": "", **given}
    return exchange.model_copy(update={**elsewhere, "options": _options(exchange, own.options)})


def spot_id_of(exchange: ExchangeSettings) -> str:
    """The ccxt id of the spot market that belongs to the perpetual's exchange."""
    return exchange.spot_id or spot_exchange_id(exchange.id)


def _options(exchange: ExchangeSettings, given: Mapping[str, object]) -> dict[str, object]:
    """Options as ccxt takes them, read as those of the section exchange are."""
    return dict(type(exchange)(options=dict(given)).options)


def _same(one: ExchangeSettings, other: ExchangeSettings) -> bool:
    return (one.id, one.rest_url, one.api_key_env) == (other.id, other.rest_url, other.api_key_env)


def _entries(settings: InventorySettings) -> tuple[InventorySource, ...]:
    if settings.source == "sum":
        return settings.sources
    return (InventorySource(source=settings.source, quantity=settings.quantity, exchange=settings.exchange),)
