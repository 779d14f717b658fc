"""Gate perpetuals. Sizes are whole contracts (BTC_USDT: 0.0001 BTC), signed; a user's own ids begin with ``t-``.

In dual (hedge) mode a buy without reduce-only opens a long position, so a short hedge could never be lowered without the flag:
hedge mode is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.venues import account, readings
from alpha_pulse.execution.venues.client_ids import from_gate, to_gate
from alpha_pulse.execution.venues.dead_man import DeadMan
from alpha_pulse.execution.venues.dialect import Dialect
from alpha_pulse.execution.venues.numbers import number, rows
from alpha_pulse.execution.venues.structures import AccountSetup, Bankruptcy, KeyRights, Reading


async def _countdown(exchange: Any, symbol: str, timeout_ms: int) -> Any:
    market = exchange.market(symbol)
    request = {"settle": market["settleId"], "contract": market["id"], "timeout": math.ceil(timeout_ms / 1000)}
    return await exchange.privateFuturesPostSettleCountdownCancelAll(request)


class Gate(Dialect):
    """Gate."""

    reading: ClassVar[Reading] = Reading(
        client_id_keys=("text",),
        triggered_id_keys=("trade_id",),
        statuses=dict.fromkeys(
            ("auto_deleveraging", "auto_deleveraged", "reduce_only", "position_closed", "position_close", "reduce_out", "stp", "unknown"),
            "canceled",
        ),
    )
    hedge_mode_key: ClassVar[str] = ""
    dead_man: ClassVar[DeadMan | None] = DeadMan(_countdown, spares_stops=None, account_wide=False, least_ms=5_000)

    def to_venue_id(self, ours: str) -> str:
        """See ``Dialect``."""
        return to_gate(ours)

    def from_venue_id(self, theirs: str | None) -> str:
        """See ``Dialect``."""
        return from_gate(theirs)

    def _stop(self, request: OrderRequest, trigger: str) -> dict[str, Any]:  # noqa: ARG002 - ccxt's rule: >= for a buy, <= for a sell
        return {"triggerPrice": trigger, "price_type": 1}  # 1: mark

    def is_stop(self, order: Mapping[str, Any]) -> bool:
        """Whether it is a price order."""
        return "trigger" in readings.info_of(order) or super().is_stop(order)

    def wallet_of(self, balance: Mapping[str, Any], quote: str) -> Decimal:
        """``total`` of the futures account: deposits, realised profit, funding and fees, without unrealised profit.

        Raises:
            ValueError: the reply cannot be believed, or it is a unified account's, whose equity includes unrealised profit.
        """
        for row in rows(balance.get("info"), "futures account (unified accounts are not supported)"):
            if row.get("currency") == quote:
                number(row.get("unrealised_pnl"), "unrealised_pnl")
                return number(row.get("total"), f"total of {quote}")
        raise ValueError(f"the reply has no futures account in {quote}")

    def reason_of_trade(self, found: Mapping[str, Any] | str) -> Bankruptcy:
        """By the ``text`` that Gate gives its own orders: ``liq-…`` or ``liquidation``, ``auto_deleveraging``."""
        theirs = found if isinstance(found, str) else readings.client_id(found, self.reading)
        if theirs.startswith(("liq-", "liquidat")):
            return "liquidation"
        return "adl" if theirs.startswith(("auto_deleverag", "adl")) else ""

    async def find(self, exchange: Any, symbol: str, client_order_id: str, *, stop: bool) -> Mapping[str, Any] | None:
        """Gate takes the text for the id, for an hour after the order ended; a price order can only be found in the list."""
        theirs = self.to_venue_id(client_order_id)
        if stop:
            return await self._find_listed(exchange, symbol, theirs, self.stop_params)
        return await account.found_or_none(exchange.fetch_order(theirs, symbol))

    async def read_setup(self, exchange: Any, symbol: str) -> AccountSetup:
        """From the position, which Gate has for flat symbols once they were set: leverage 0 is its word for cross margin."""
        market = exchange.market(symbol)
        row = await exchange.privateFuturesGetSettlePositionsContract({"settle": market["settleId"], "contract": market["id"]})
        if isinstance(row, list):  # dual mode answers with both sides
            return AccountSetup(None, None, hedge_mode=True)
        leverage = int(number(row.get("leverage"), "leverage"))
        limit = int(number(row.get("cross_leverage_limit"), "cross_leverage_limit"))
        mode = row.get("mode")
        return AccountSetup(
            leverage=leverage or limit or None,
            margin_mode="isolated" if leverage else "cross",
            hedge_mode=None if mode is None else mode != "single",
        )

    async def write_setup(self, exchange: Any, symbol: str, wanted: AccountSetup, now: AccountSetup) -> None:
        """The leverage call sets the margin mode, too."""
        if now.hedge_mode:
            raise ConfigError(
                "the account is in dual (hedge) mode.",
                field="position_mode",
                value="dual",
                fix="set it to single mode on Gate's futures page, with no position and no order open",
            )
        differs = (now.leverage, now.margin_mode) != (wanted.leverage, wanted.margin_mode)
        said = AccountSetup(None if differs else now.leverage, wanted.margin_mode, wanted.hedge_mode)
        await account.change(exchange, symbol, wanted, said, leverage_params={"marginMode": wanted.margin_mode})

    async def key_rights(self, exchange: Any) -> KeyRights:
        """From account/main_keys; a sub-account's key may not ask."""
        return await account.rights(exchange.privateAccountGetMainKeys, lambda reply: _rights(reply, exchange.apiKey))


def _rights(reply: Any, key: str) -> KeyRights:
    for row in reply:
        if row.get("key") in {None, key}:
            perms = {perm["name"]: not perm.get("read_only") for perm in row["perms"]}
            return KeyRights(can_trade=bool(perms.get("futures")), can_withdraw=bool(perms.get("withdraw")))
    return KeyRights()
