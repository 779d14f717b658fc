"""Settings of the venues."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

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
    """The exchange of the ccxt feed and of real mode."""

    id: str = Field("binanceusdm", description="ccxt id of the perpetual's exchange [name]")
    spot_id: str | None = Field(None, description="ccxt id of the inventory's spot market; null = chosen from id [name]")
    rest_url: str | None = Field(None, description="Send every REST call here instead: a proxy, a test net, a mirror [URL]")
    ws_url: str | None = Field(None, description="Send every websocket here instead [URL]")
