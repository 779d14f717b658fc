"""What a fake exchange lists, whom it knows and how it matches. Every field has a default that trades."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator

from alpha_pulse.domain.catalog import builtin_instrument, builtin_start_price, hedge_pair
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.section import Section

DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "SOLUSDC")
DEFAULT_KEY = "rehearsal-key"
DEFAULT_SECRET = "rehearsal-secret"  # noqa: S105 - the key of an exchange that holds no money


class SymbolConfig(Section):
    """One perpetual and its spot market. Prices in quote units per base unit of the perpetual."""

    name: str = Field(description="The pair, e.g. BTCUSDT [name]")
    price: Annotated[Decimal, Field(gt=0)] | None = Field(None, description="First price; null = a usual price of the coin [quote units]")
    tick_size: Annotated[Decimal, Field(gt=0)] | None = Field(None, description="Price step; null = as at Binance [quote units]")
    lot_size: Annotated[Decimal, Field(gt=0)] | None = Field(None, description="Quantity step; null = as at Binance [base units]")
    min_notional: Annotated[Decimal, Field(ge=0)] | None = Field(None, description="Least order value; null = as at Binance [quote units]")
    spread_ticks: Annotated[int, Field(ge=0)] = Field(1, description="Bid and ask lie this far from the last price [ticks]")
    depth: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Notional within 1 % a side, which prices takers; 0 = unknown [quote units]"
    )
    funding_rate: Decimal = Field(Decimal("0.0001"), description="Expected at the next settlement [fraction per interval]")
    funding_interval_h: Literal[1, 4, 8] = Field(8, description="Between settlements [h]")

    @field_validator("name")
    @classmethod
    def _canonical(cls, value: str) -> str:
        return hedge_pair(value).name

    def instrument(self) -> Instrument:
        """Trading rules: the catalogue's, under what is given here."""
        pair = hedge_pair(self.name)
        try:
            known = builtin_instrument(pair)
        except ConfigError:
            tick, lot = self.tick_size or Decimal("0.01"), self.lot_size or Decimal("0.01")
            base = pair.perpetual.partition("/")[0]
            known = Instrument(pair.perpetual, base, pair.quote, tick, lot, lot, Decimal(5))
        return Instrument(
            symbol=known.symbol,
            base=known.base,
            quote=known.quote,
            tick_size=self.tick_size or known.tick_size,
            lot_size=self.lot_size or known.lot_size,
            min_quantity=self.lot_size or known.min_quantity,
            min_notional=known.min_notional if self.min_notional is None else self.min_notional,
            funding_interval_hours=self.funding_interval_h,
            margin_tiers=known.margin_tiers,
        )

    def start_price(self) -> Decimal:
        """The first price [quote units]."""
        if self.price is not None:
            return self.price
        try:
            return Decimal(repr(builtin_start_price(hedge_pair(self.name))))
        except ConfigError:
            return Decimal(100)


class AccountConfig(Section):
    """One account, known by its API key. Balances in units of their asset."""

    key: str = Field(DEFAULT_KEY, description="API key [name]")
    secret: str = Field(DEFAULT_SECRET, description="API secret; it protects nothing here [name]", repr=False)
    usdt: Decimal = Field(Decimal(100_000), description="Futures wallet [USDT]")
    usdc: Decimal = Field(Decimal(100_000), description="Futures wallet [USDC]")
    bnb: Decimal = Field(Decimal(0), description="Futures wallet, for fees [BNB]")
    spot: dict[str, Decimal] = Field(
        default_factory=lambda: {
            "BTC": Decimal(1),
            "ETH": Decimal(10),
            "SOL": Decimal(100),
            "PEPE": Decimal(10_000_000),
            "USDT": Decimal(10_000),
        },
        description="Spot balances by coin [coins]",
    )
    maker_fee: Decimal = Field(Decimal("0.0002"), description="Futures [fraction of notional]")
    taker_fee: Decimal = Field(Decimal("0.0005"), description="Futures [fraction of notional]")
    spot_fee: Decimal = Field(Decimal("0.001"), description="Spot, maker and taker, taken from what is received [fraction]")
    fee_asset: Literal["quote", "BNB"] = Field("quote", description="What futures fees are paid in [name]")
    leverage: Annotated[int, Field(ge=1, le=125)] = Field(20, description="Of every symbol at first [notional / margin]")
    margin_type: Literal["CROSSED", "ISOLATED"] = Field("CROSSED", description="Of every symbol at first [name]")
    dual_side: bool = Field(False, description="Hedge mode at first [yes/no]")
    can_trade: bool = Field(True, description="The key may trade [yes/no]")
    can_withdraw: bool = Field(False, description="The key may withdraw [yes/no]")


class LimitsConfig(Section):
    """Request limits. A minute is one of the venue's clock."""

    weight_per_minute: Annotated[int, Field(gt=0)] = Field(100_000, description="Request weight of all keys together [1/min]")
    orders_per_minute: Annotated[int, Field(gt=0)] = Field(20_000, description="New orders of an account [1/min]")
    ban_after: Annotated[int, Field(gt=0)] = Field(20, description="Requests beyond the limit until the ban [requests]")
    ban_s: Annotated[float, Field(gt=0)] = Field(120.0, description="Length of a ban [s]")
    listen_key_minutes: Annotated[float, Field(gt=0)] = Field(60.0, description="Life of a listen key without renewal [min]")


class FakeConfig(Section):
    """The whole exchange."""

    symbols: tuple[SymbolConfig, ...] = Field(
        default_factory=lambda: tuple(SymbolConfig(name=name) for name in DEFAULT_SYMBOLS), description="What is listed"
    )
    accounts: tuple[AccountConfig, ...] = Field((AccountConfig(),), description="Who is known")
    limits: LimitsConfig = Field(LimitsConfig(), description="Request limits")
    fill_rule: Literal["touch", "through"] = Field(
        "through", description="When a resting order fills: price touches it, or trades beyond it [name]"
    )
    slippage_bps: Annotated[float, Field(ge=0, le=500)] = Field(
        1.0, description="What a taker pays beyond the touch where depth is unknown [basis points]"
    )
    bnb_price: Annotated[Decimal, Field(gt=0)] = Field(Decimal(600), description="For fees in BNB [USDT]")
    seed: Annotated[int, Field(ge=0)] = Field(7, description="Of the walk [number]")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML file.

        Raises:
            ConfigError: no such file, not YAML, or a value that cannot be.
        """
        try:
            given: Any = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"cannot be read: {error}", field="--config", value=str(path), fix="name a YAML file") from None
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigError(f"{first['msg']}.", field=where, value=first.get("input"), fix=f"mend it in {path}") from None


def many_symbols(count: int) -> tuple[SymbolConfig, ...]:
    """Made-up perpetuals C01USDT, C02USDT ... for runs with many pairs, at prices around 100."""
    return tuple(
        SymbolConfig(name=f"C{number:02d}USDT", price=Decimal(100 + number), tick_size=Decimal("0.01"), lot_size=Decimal("0.01"))
        for number in range(1, count + 1)
    )
