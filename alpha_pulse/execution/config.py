"""Settings of the venues."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from alpha_pulse.hedging.common.section import Section


class PaperSettings(Section):
    """The simulated venue of paper mode, recommendation mode and backtests."""

    quote_balance: Annotated[Decimal, Field(ge=0)] | None = Field(
        None, description="Cash in the perpetual wallet; null = notional of the inventory [quote units]"
    )
    maker_fee: Annotated[Decimal, Field(ge=-0.01, le=0.01)] = Field(
        Decimal("0.0002"), description="Fee of fills that made liquidity [fraction of notional]"
    )
    taker_fee: Annotated[Decimal, Field(ge=0, le=0.01)] = Field(
        Decimal("0.0005"), description="Fee of fills that took liquidity [fraction of notional]"
    )
    fill_rule: Literal["touch", "through", "queue"] = Field(
        "through",
        description="When a resting order fills: price touches it, trades beyond it, or beyond it within a share of the volume [name]",
    )
    queue_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="With fill_rule queue: most of a bar's volume that is ours [fraction]"
    )
    slippage_bps: Annotated[float, Field(ge=0, le=500)] = Field(
        1.0, description="What a taker pays beyond the touch where depth is unknown [basis points]"
    )
    leverage: Annotated[Decimal, Field(ge=1, le=125)] = Field(
        Decimal(3), description="The venue's initial-margin leverage [notional / margin]"
    )


class TicketSettings(Section):
    """Recommendation mode: how long a recommendation stands, and how it is judged."""

    expiry_s: Annotated[float, Field(gt=0)] = Field(
        14_400, description="A ticket for an order that rests expires after this unless it was accepted [s]"
    )
    urgent_expiry_s: Annotated[float, Field(gt=0)] = Field(
        900, description="A ticket for an order that takes at once expires after this unless it was accepted [s]"
    )
    cool_down_s: Annotated[float, Field(ge=0)] = Field(3600, description="A rejected order is not recommended again before this [s]")
    score_after_s: Annotated[float, Field(ge=0)] = Field(3600, description="The outcome is scored this long after a ticket closed [s]")


class ExchangeSettings(Section):
    """The exchange of the ccxt feed and of real mode. Keys are named here, never written here."""

    id: str = Field("binanceusdm", description="ccxt id of the perpetual's exchange [name]")
    spot_id: str | None = Field(None, description="ccxt id of the inventory's spot market; null = chosen from id [name]")
    rest_url: str | None = Field(None, description="Send every REST call here instead: a proxy, a test net, a mirror [URL]")
    ws_url: str | None = Field(None, description="Send every websocket here instead [URL]")
    api_key_env: str = Field(
        "EXCHANGE_API_KEY",
        description="Where the API key is: an environment variable, the same with _FILE for a file, or keyring:service/name [name]",
    )
    api_secret_env: str = Field("EXCHANGE_API_SECRET", description="Where the API secret is, written as api_key_env [name]")
    api_password_env: str = Field(
        "EXCHANGE_API_PASSWORD", description="Where the passphrase is, at exchanges whose keys have one, written as api_key_env [name]"
    )
    account: str = Field("", description="A name for this account, part of the lock and of the order ids; empty = id [name]")
    options: dict[str, Any] = Field({}, description="Passed to ccxt as its options, e.g. recvWindow; see ccxt's pages [map]")
    leverage: Annotated[int, Field(ge=1, le=125)] = Field(
        3, description="The venue's initial-margin leverage, set at start and read back [notional / margin]"
    )
    max_leverage: Annotated[int, Field(ge=1, le=125)] = Field(
        5, description="No leverage above this is asked for or accepted [notional / margin]"
    )
    margin_mode: Literal["cross", "isolated"] = Field("cross", description="The margin mode, set at start and read back [name]")
    position_mode: Literal["one_way", "hedge"] = Field(
        "one_way", description="One position for each contract, or a long and a short side apart (only one of them is used) [name]"
    )
    strangers: Literal["leave", "cancel"] = Field(
        "leave", description="Orders in this contract that are not the bot's: leave them, or cancel them at start [name]"
    )
    dead_man_switch_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        120, description="The venue cancels the contract's resting orders, not the stop, if the bot is silent this long; 0 = off [s]"
    )
    request_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(5, description="An answer that takes longer counts as lost [s]")
    start_within_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        60, description="A start that the exchange does not answer is tried again for this long; 0 = once [s]"
    )
    settle_after_s: Annotated[float, Field(gt=0, le=600)] = Field(
        15, description="An order without an answer counts as never arrived after this, if the venue then still knows nothing of it [s]"
    )
    settle_first_s: Annotated[float, Field(gt=0, le=60)] = Field(
        0.25, description="The first question about such an order comes after this; each further wait is twice as long [s]"
    )
    visible_after_s: Annotated[float, Field(ge=0, le=600)] = Field(
        5, description="A new order may be missing from the venue's lists for this long [s]"
    )
    reconcile_s: Annotated[float, Field(gt=0, le=600)] = Field(
        15, description="Orders, trades, position and wallet are read over REST at least this often [s]"
    )
    stale_after_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        60, description="With the account unread for longer, nothing new is sent [s]"
    )
    unexplained_after_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        10, description="A position differs from what its trades add up to if no trade explains it after this [s]"
    )
    unexplained: Literal["halt", "adopt"] = Field(
        "halt", description="Then: stop until a person has looked, or take the position over as it is, booked at mark [name]"
    )
    stream_silent_s: Annotated[float, Field(ge=1, le=300)] = Field(27, description="A websocket without life for this long is rebuilt [s]")
    weight_per_minute: Annotated[float, Field(gt=0)] | None = Field(
        None, description="The request budget in ccxt's weights; null = what the exchange documents, else what ccxt counts on [1/min]"
    )
    reserve: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.25, description="Share of the request budget kept for cancels and protective orders [fraction]"
    )

    def budget(self) -> dict[str, float]:
        """The request budget that is given, by ccxt id [weight/min]."""
        return {} if self.weight_per_minute is None else {self.id: self.weight_per_minute}

    @field_validator("options", mode="before")
    @classmethod
    def _plain_values(cls, value: Any) -> Any:
        """A configuration file gives every number as text; ccxt wants numbers."""
        return {str(name): _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value):
        return int(value)
    return value
