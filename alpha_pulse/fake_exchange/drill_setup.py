"""From a user's settings to a drill: what of them is kept, what is replaced, and the exchange that fits them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, DEFAULT_SECRET, AccountConfig, FakeConfig, SymbolConfig
from alpha_pulse.fake_exchange.rehearsal import QUICK
from alpha_pulse.hedging.common.section import key_of
from alpha_pulse.settings import Settings

ENVIRON: Final = {"DRILL_API_KEY": DEFAULT_KEY, "DRILL_API_SECRET": DEFAULT_SECRET}
"""The only keys that a drill knows."""

_KEPT: Final = ("hedge", "grid", "risk", "execution", "sizers", "inventory_risk", "portfolio")
_ACCOUNT: Final = ("leverage", "max_leverage", "margin_mode", "position_mode", "strangers", "reserve")
_ESCALATE_S: Final = 0.5
_REBALANCE_S: Final = 2.0
_DEAD_MAN_S: Final = 6.0  # a third of it has to be enough for a busy machine to renew the switch
_MADE_UP: Final = Decimal(100_000)  # quote units of coins at the exchange, where the real ones would be read from it
_LEAST_WALLET: Final = Decimal(1000)
_QUOTES: Final = frozenset({"USDT", "USDC"})


def drill_settings(settings: Settings, *, patient: bool) -> dict[str, Any]:
    """What the drilled bot runs on: the user's decisions on a made-up account. Advice, alerts, store, log and keys are left out.

    Raises:
        ConfigError: the fake exchange does not settle in the pair's quote currency.
    """
    pair = hedge_pair(settings.symbol)
    if pair.quote not in _QUOTES:
        fix = "drill the same settings with --set symbol=BTCUSDT"
        raise ConfigError(f"the fake exchange has no wallet in {pair.quote}.", field="symbol", value=settings.symbol, fix=fix)
    tree: dict[str, Any] = {name: _given(getattr(settings, name)) for name in _KEPT if name in settings.model_fields_set}
    tree |= {"symbol": pair.name, "mode": "real", "logging": {"file": None}, "inventory": _inventory(settings, patient=patient)}
    tree["exchange"] = {
        **{name: getattr(settings.exchange, name) for name in _ACCOUNT},
        "api_key_env": "DRILL_API_KEY",
        "api_secret_env": "DRILL_API_SECRET",
    }
    if patient:
        tree["feed"] = {"update_interval_s": settings.feed.update_interval_s}
        return tree
    tree["hedge"] = {**tree.get("hedge", {}), "escalate_after_s": min(settings.hedge.escalate_after_s, _ESCALATE_S)}
    pace = min(settings.execution.rebalance_interval, _REBALANCE_S)
    tree["execution"] = {**tree.get("execution", {}), "rebalance_interval": pace}
    return tree


def waits(settings: Settings, *, patient: bool) -> Mapping[str, Any]:
    """Every wait of the exchange section [s]: the user's, or those of a rehearsal. A dead-man switch that is off stays off."""
    if patient:
        return {name: getattr(settings.exchange, name) for name in QUICK}
    return {**QUICK, "dead_man_switch_s": min(settings.exchange.dead_man_switch_s, _DEAD_MAN_S)}


def drill_exchange(settings: Settings) -> FakeConfig:
    """An exchange that lists the pair, with a wallet as large as the hedge and coins where they would be read from it."""
    pair = hedge_pair(settings.symbol)
    listed = SymbolConfig(name=settings.symbol)
    price = listed.start_price()
    lot = listed.instrument().lot_size
    made_up = max((_MADE_UP / price / lot).to_integral_value() * lot, lot) * pair.multiplier  # coins
    wallet = settings.paper.quote_balance
    if wallet is None:
        wallet = max(most_held(settings, made_up) * price, _LEAST_WALLET)
    account = AccountConfig(usdt=wallet, usdc=wallet, spot={pair.base: made_up, pair.quote: Decimal(0)})
    return FakeConfig(symbols=(listed,), accounts=(account,))


def coins_of(settings: Settings, at_exchange: Decimal) -> Decimal:
    """The inventory in base units of the perpetual, with ``at_exchange`` coins wherever an account would be read."""
    inventory = settings.inventory
    sources = inventory.sources if inventory.source == "sum" else (inventory,)
    coins = sum((at_exchange if source.coins is None else source.coins for source in sources), Decimal(0))
    return coins / hedge_pair(settings.symbol).multiplier


def most_held(settings: Settings, at_exchange: Decimal) -> Decimal:
    """The largest position that the settings allow, base units."""
    most = settings.risk.max_position_size
    return abs(coins_of(settings, at_exchange)) if most is None else most


def _given(section: Any) -> dict[str, Any]:
    """What was set; defaults are left out, so that what was never given still counts as not given."""
    fields = type(section).model_fields
    return {key_of(name, fields[name]): getattr(section, name) for name in section.model_fields_set}


def _inventory(settings: Settings, *, patient: bool) -> dict[str, Any]:
    """The same coins; accounts that hold some are the fake's."""
    inventory = settings.inventory
    kept = {name: getattr(inventory, name) for name in ("source", "entry_price", "acquired_at", "allow_spot_sell")}
    kept["refresh_s"] = inventory.refresh_s if patient else min(inventory.refresh_s, QUICK["reconcile_s"])
    if inventory.source == "fixed":
        kept["quantity"] = inventory.quantity
    if inventory.source == "sum":
        kept["sources"] = [{"source": s.source} | ({"quantity": s.quantity} if s.source == "fixed" else {}) for s in inventory.sources]
    return kept
