"""Hyperliquid. Triggers compare with the mark price. There are no market orders: ccxt sends limits that are allowed to slip.

Its schedule-cancel takes stops along and cannot be taken back through ccxt, so it is not used as a dead-man switch. ccxt would have
every account approve its builder fee and its referral code before the first order; ``prepare`` turns both off.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from alpha_pulse.domain.orders import OrderRequest, OrderType
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.client_ids import from_hex, to_hex
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import exact_float, number, rows, table
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, Reading

_STOP_SLIPPAGE: Final = "0.1"  # how far past its trigger a fired stop may fill: the venue's own tolerance for its market stops


class Hyperliquid(Dialect):
    """Hyperliquid."""

    reading: ClassVar[Reading] = Reading(
        client_id_keys=("cloid",),
        statuses={"scheduledcancel": "canceled", "selftradecanceled": "canceled", "waitingfortrigger": "open"},
    )
    hedge_mode_key: ClassVar[str] = ""
    stop_params: ClassVar[Mapping[str, Any]] = {}  # listed with the rest
    spare_stops_params: ClassVar[Mapping[str, Any] | None] = None  # ccxt has no cancel-all here

    def prepare(self, exchange: Any) -> None:
        """No builder fee, no referral code: ccxt's client set-up, which asks for both before each order, is left out."""
        exchange.options |= {"builderFee": False, "approvedBuilderFee": False, "refSet": True}
        exchange.initialize_client = _nothing

    def to_venue_id(self, ours: str) -> str:
        """See ``Dialect``."""
        return to_hex(ours)

    def from_venue_id(self, theirs: str | None) -> str:
        """See ``Dialect``."""
        return from_hex(theirs)

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - above or below: by side
        return {"triggerPrice": trigger, "slippage": _STOP_SLIPPAGE}

    def _call_price(self, request: OrderRequest, price: float | None) -> float | None:
        """A stop slips from its trigger; a market order has nothing to slip from, unless it comes with a price."""
        if request.type is OrderType.STOP_MARKET and request.trigger_price is not None:
            return exact_float(request.trigger_price, "trigger price")
        if price is None:
            raise ConfigError(
                "Hyperliquid has no market orders.",
                field="type",
                value="market",
                fix="send a limit order, IOC, at the worst price you accept",
            )
        return price

    def accepted(self, reply: Mapping[str, Any]) -> str:
        """See ``Dialect``. A stop may be acknowledged with the word ``waitingForTrigger`` alone: no id yet."""
        if reply.get("id") is None and readings.info_of(reply).get("status") == "waitingForTrigger":
            return ""
        return super().accepted(reply)

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``marginSummary.accountValue`` less the unrealised profit of each position.

        Raises:
            ValueError: the reply cannot be believed, or is of a unified account, whose cash is its spot balance.
        """
        info = readings.info_of(balance)
        summary = table(info.get("marginSummary"), f"{quote} margin summary (unified accounts are not supported)")
        held = [table(row.get("position"), "position") for row in rows(info.get("assetPositions"), "list of positions")]
        profits = [number(position.get("unrealizedPnl"), "unrealizedPnl") for position in held]
        return number(summary.get("accountValue"), "accountValue") - sum(profits, Decimal(0))

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By a fill's ``liquidation`` and ``dir``; a client order id alone says nothing here."""
        info = {} if isinstance(found, str) else readings.info_of(found)
        told = str(info.get("dir") or "")
        if "Auto-Deleveraging" in told:
            return "adl"
        return "liquidation" if info.get("liquidation") or "Liquidat" in told else ""

    async def fetch_positions(self, exchange: Any, symbol: str | None) -> list[Mapping[str, Any]]:
        """The account's state lists open positions only; an account without any still answers with its margin summary."""
        found = await exchange.fetch_positions(None if symbol is None else [symbol])
        raw = exchange.last_json_response
        if not found and not (isinstance(raw, Mapping) and isinstance(raw.get("marginSummary"), Mapping)):
            raise ValueError("the reply is no account state: flat is not believed")
        return [row | {"contractSize": 1} for row in found]

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """From the position, which exists only while there is one; Hyperliquid is one-way always."""
        held = [row for row in await self.fetch_positions(exchange, symbol) if row.get("symbol") == symbol]
        if not held:
            return AccountSetup(None, None, hedge_mode=False)
        leverage = int(number(held[0].get("leverage"), "leverage"))
        return AccountSetup(leverage, account.margin_name(held[0].get("marginMode")), hedge_mode=False)

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:  # noqa: ARG002
        """One call sets leverage and margin mode."""
        await exchange.set_leverage(wanted.leverage, symbol, {"marginMode": wanted.margin_mode})

    async def key_rights(self, exchange: Any) -> KeyRights:
        """An API wallet (an agent) cannot withdraw; the account's own key can."""
        if not exchange.privateKey or not exchange.walletAddress:
            return KeyRights()
        signer = exchange.eth_get_address_from_private_key(exchange.privateKey)
        return KeyRights(can_trade=True, can_withdraw=str(signer).lower() == str(exchange.walletAddress).lower())


async def _nothing() -> bool:
    return True
