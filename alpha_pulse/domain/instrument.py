"""The instrument: what a venue lets us trade, and the one place where floats become exact prices and quantities."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from alpha_pulse.errors import ConfigError

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class MarginTier:
    """One maintenance-margin bracket: it applies to a notional up to ``max_notional`` (quote units).

    ``maintenance_amount`` is the venue's cumulative deduction, so that the requirement is continuous:
    required = notional · maintenance_rate − maintenance_amount (Binance USD-M "cum" field).
    """

    max_notional: Decimal
    maintenance_rate: Decimal
    maintenance_amount: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class HedgePair:
    """A spot market and the perpetual that hedges it.

    ``multiplier`` is how many coins one unit of the perpetual's base is (1000 for 1000PEPE). Everything inside the bot is
    in the perpetual's base units and prices; coins are converted where they enter.
    """

    spot: str  # "BTC/USDT"
    perpetual: str  # "BTC/USDT:USDT"
    base: str  # the coin held, "BTC"
    quote: str  # "USDT"
    multiplier: int = 1

    @property
    def name(self) -> str:
        """The short form that logs and configs use, e.g. ``BTCUSDT``."""
        return f"{self.perpetual.split('/', maxsplit=1)[0]}{self.quote}"


@dataclass(frozen=True, slots=True)
class Instrument:
    """A linear perpetual's trading rules. Prices in quote per base unit, quantities in base units."""

    symbol: str  # unified symbol of the perpetual, "BTC/USDT:USDT"
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    contract_size: Decimal = Decimal(1)
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0005")
    funding_interval_hours: int = 8
    margin_tiers: tuple[MarginTier, ...] = (MarginTier(Decimal("1e18"), Decimal("0.005")),)
    tick: float = field(init=False)  # float views of tick_size and lot_size for the numeric kernel
    lot: float = field(init=False)

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "contract_size"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise ConfigError("must be a positive number", field=f"{self.symbol}.{name}", value=str(value))
        object.__setattr__(self, "tick", float(self.tick_size))
        object.__setattr__(self, "lot", float(self.lot_size))

    # --- prices -------------------------------------------------------------------------------------------------
    def ticks_down(self, price: Decimal) -> int:
        """Whole ticks at or below ``price``: how a bid is rounded."""
        return int((price / self.tick_size).to_integral_value(ROUND_FLOOR))

    def ticks_up(self, price: Decimal) -> int:
        """Whole ticks at or above ``price``: how an ask is rounded."""
        return int((price / self.tick_size).to_integral_value(ROUND_CEILING))

    def price(self, ticks: int) -> Decimal:
        """The exact price of a number of ticks."""
        return self.tick_size * ticks

    # --- quantities ---------------------------------------------------------------------------------------------
    def lots_down(self, quantity: Decimal) -> int:
        """Whole lots in ``quantity``, towards zero: never more than was asked for."""
        return int(quantity / self.lot_size)

    def quantity(self, lots: int) -> Decimal:
        """The exact quantity of a number of lots (signed)."""
        return self.lot_size * lots

    def min_lots(self, price: float) -> int:
        """The smallest number of lots that the venue takes at ``price``: minimum quantity and minimum notional, both."""
        return least_lots(price, float(self.min_quantity), float(self.min_notional), self.lot)

    def tier(self, notional: float) -> MarginTier:
        """The bracket that an absolute notional falls into; beyond the last one, the last."""
        for tier in self.margin_tiers:
            if notional <= float(tier.max_notional):
                return tier
        return self.margin_tiers[-1]


def least_lots(price: float, min_quantity: float, min_notional: float, lot: float) -> int:
    """The smallest whole number of lots at ``price`` that reaches both minima; see ``Instrument.min_lots``."""
    return max(1, math.ceil(max(min_quantity / lot, min_notional / (price * lot)) - 1e-9))


def exact(value: float) -> Decimal:
    """A float as the Decimal that a person would write: 0.1 → Decimal("0.1"). NaN and infinity are refused.

    Raises:
        ValueError: the value is not finite.
    """
    if not math.isfinite(value):
        msg = f"not a finite number: {value!r}"
        raise ValueError(msg)
    return Decimal(repr(value))
