"""Settings of order execution and of the inventory that is hedged."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.section import Section, slip

Quantity = Annotated[Decimal, Field(ge=-1e12, le=1e12)]
"""Coins, signed: negative if they are owed."""


class _Part(Section):
    """A section within the inventory's. Its unknown keys are refused here, where the known ones are near."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key in cls.model_fields:
                continue
            if re.search(r"key|secret|passw", str(key), re.IGNORECASE):
                fix = "remove it, and name the variable that holds it: api_key_env, api_secret_env, api_password_env"
                raise slip("credentials do not belong in a configuration.", fix, key=str(key))
            near = difflib.get_close_matches(str(key), cls.model_fields, 1)
            raise slip("unknown key.", f"write {near[0]}" if near else f"known here: {', '.join(cls.model_fields)}", key=str(key))
        return given


class InventoryExchange(_Part):
    """The account that holds the coins, as far as it is not the one of the section exchange. Keys are named here, never written here."""

    id: str | None = Field(None, description="ccxt id of the exchange that holds the coins; null = exchange.spot_id [name]")
    rest_url: str | None = Field(None, description="Send every REST call here instead; null = exchange.rest_url at the same exchange [URL]")
    ws_url: str | None = Field(None, description="Send every websocket here instead; null = exchange.ws_url at the same exchange [URL]")
    api_key_env: str | None = Field(None, repr=False, description="Where the API key is; null = exchange.api_key_env [name]")
    api_secret_env: str | None = Field(None, repr=False, description="Where the API secret is; null = exchange.api_secret_env [name]")
    api_password_env: str | None = Field(None, repr=False, description="Where the passphrase is; null = exchange.api_password_env [name]")
    options: dict[str, Any] = Field({}, description="Passed to ccxt as its options [map]")


class InventorySource(_Part):
    """One entry of a sum."""

    source: Literal["fixed", "exchange"] = Field("fixed", description="A number, or an account at an exchange [name]")
    quantity: Quantity | None = Field(None, description="With source fixed: coins held, e.g. in a cold wallet; negative if owed [coins]")
    exchange: InventoryExchange | None = Field(None, description="With source exchange: the account; null = as the section exchange [map]")

    @model_validator(mode="before")
    @classmethod
    def _no_sum_in_a_sum(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("source") == "sum":
            raise slip("is a sum within a sum.", "list its sources here, beside the others", key="source")
        return given

    @model_validator(mode="after")
    def _fits_its_source(self) -> Self:
        _refuse_what_does_not_fit(self.source, self.quantity, self.exchange)
        return self

    @property
    def coins(self) -> Decimal | None:
        """What is known before anything is asked; None for an account."""
        return self.quantity


class InventorySettings(Section):
    """What the user holds: coins that the perpetual hedges."""

    source: Literal["fixed", "exchange", "sum"] = Field(
        "fixed",
        description="Where the quantity comes from: the number below, an account at an exchange, or several sources added up [name]",
    )
    quantity: Quantity | None = Field(
        Decimal("1.0"),
        description="With source fixed: coins held; negative if they are owed, 0 for a market-neutral grid; else null [coins]",
    )
    exchange: InventoryExchange | None = Field(
        None,
        description="With source exchange: the account that holds the coins, as far as it is not the spot account of the section exchange: "
        "id, rest_url, ws_url, api_key_env, api_secret_env, api_password_env, options [map]",
    )
    sources: tuple[InventorySource, ...] = Field(
        (), description="With source sum: entries with a source (fixed, exchange) and its quantity or exchange, added up [list]"
    )
    refresh_s: Annotated[float, Field(ge=0.05, le=3600)] = Field(15, description="Accounts that hold coins are read again after this [s]")
    stale_after_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = Field(
        7200, description="While such an account cannot be read its last coins count; when they are older than this, no tick runs [s]"
    )
    entry_price: Annotated[Decimal, Field(gt=0)] | None = Field(
        None, description="What they were bought at, for the PnL shown; null = the first price seen [quote units per coin]"
    )
    acquired_at: datetime | None = Field(
        None, description="When they were bought, for the assessor's age; null = a holder's coins do not turn over [date and time, UTC]"
    )
    allow_spot_sell: bool = Field(
        False, description="Propose selling coins where that is cheaper than a perpetual; the bot itself never sells them [true/false]"
    )

    @field_validator("acquired_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        """A time without a zone is meant in UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    @field_validator("sources", mode="before")
    @classmethod
    def _sources_as_a_list(cls, value: Any) -> Any:
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise slip("must be a list of sources.", "write `- source: exchange` or `- source: fixed` with its quantity for each")
        return value

    @model_validator(mode="after")
    def _fits_its_source(self) -> Self:
        if self.source != "fixed" and "quantity" not in self.model_fields_set:
            object.__setattr__(self, "quantity", None)  # the default is meant for source fixed
        _refuse_what_does_not_fit(self.source, self.quantity, self.exchange)
        if self.source == "sum" and not self.sources:
            raise slip("a sum needs something to add up.", "list its entries: `- source: exchange`, `- source: fixed`", key="sources")
        if self.source != "sum" and self.sources:
            raise slip(f"source {self.source} has no list of sources.", "set inventory.source to sum, or remove them", key="sources")
        return self

    @property
    def coins(self) -> Decimal | None:
        """What is known before anything is asked: the fixed quantity, or the sum of fixed ones. None where an account has to be read."""
        if self.source != "sum":
            return self.quantity
        known = [entry.coins for entry in self.sources]
        return None if None in known else sum((coins for coins in known if coins is not None), Decimal(0))

    def stated_coins(self) -> Decimal:
        """As ``coins``, for what asks no exchange: a backtest, a demo, a shock table.

        Raises:
            ConfigError: an account would have to be read.
        """
        coins = self.coins
        if coins is None:
            raise ConfigError(
                "the coins are read from an exchange, and nothing is asked here.",
                field="inventory.source",
                value=self.source,
                fix="give inventory.source fixed and an inventory.quantity [coins]",
            )
        return coins


def _refuse_what_does_not_fit(source: str, quantity: Decimal | None, exchange: InventoryExchange | None) -> None:
    """A wrong combination of keys: what was meant cannot be known."""
    if source == "fixed" and quantity is None:
        raise slip("source fixed needs the number of coins.", "give a number [coins]", key="quantity")
    if source != "fixed" and quantity is not None:
        where = "read from the exchange" if source == "exchange" else "the sum of the sources"
        raise slip(
            f"with source {source} the coins are {where}, and no quantity is given.", "remove it, or set source to fixed", key="quantity"
        )
    if source != "exchange" and exchange is not None:
        raise slip(f"source {source} reads no account here.", "set source to exchange, or remove it", key="exchange")


class ExecutionSettings(Section):
    """How orders are carried to the venue."""

    max_active_orders: Annotated[int, Field(ge=1, le=500)] = Field(
        50, description="Grid orders live at the same time, nearest to the price first [orders]"
    )
    rebalance_interval: Annotated[float, Field(gt=0)] = Field(
        60,
        validation_alias=AliasChoices("rebalance_interval", "rebalance_interval_seconds"),
        description="A tick runs at the latest after this [s]",
    )
    max_depth_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="A rebalance order takes at most this share of the depth within 1 % of mid, where it is known [fraction of depth]"
    )
    tolerance_ticks: Annotated[int, Field(ge=0, le=1000)] = Field(
        2, description="An order this close to where it should be keeps its queue place [ticks]"
    )
    max_slippage: Annotated[float, Field(gt=0, le=0.1)] = Field(
        0.005, description="A rebalance taker's price bound, from the touch [fraction of price]"
    )
    stale_after_s: Annotated[float, Field(gt=0)] = Field(180, description="Market data older than this is stale: no tick runs on it [s]")
    keep_stop_on_exit: bool = Field(False, description="Leave the protective stop at the venue when the bot is stopped [true/false]")
