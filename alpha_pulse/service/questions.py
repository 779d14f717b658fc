"""What clients send: request bodies, strict. Their ranges stand in OpenAPI too, so that generated clients know them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from alpha_pulse.hedging.risk.inventory import InventoryPosition, MarketConditions, RiskConfig
from alpha_pulse.hedging.risk.inventory_config import CONFIG_RANGES, WHOLE_MINUTES

LARGEST_USD: Final = 1e12
_DEEPEST_USD: Final = 1e15
_HUGE: Final = 1e30
_TINY: Final = 1e-30
_MOST_SIGNALS: Final = 64
_TEXT: Final = "^[^\\x00-\\x1f\\x7f]*$"  # one line

Amount = Annotated[float, Field(gt=0, le=LARGEST_USD, description="USD to hedge")]
Asset = Annotated[str, Field(pattern="^[A-Z0-9]{1,16}$", description="One of the configured assets (HE_ASSETS)")]
Unit = Annotated[float, Field(ge=0, le=1)]
Depth = Annotated[float, Field(ge=0, le=_DEEPEST_USD, description="Depth of the order book, USD within 1 % of mid")]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Number = Annotated[float, Field(ge=-_HUGE, le=_HUGE)]
NotNegative = Annotated[float, Field(ge=0, le=_HUGE)]
_ONLY_NAMES: Final = {"additionalProperties": False}  # pydantic says which keys are meant, not that no others are
Scores = Annotated[
    dict[Name, Unit],
    Field(min_length=1, max_length=_MOST_SIGNALS, description="Score in [0, 1] by the name of its curve", json_schema_extra=_ONLY_NAMES),
]
Weights = Annotated[dict[Name, Weight], Field(min_length=1, max_length=_MOST_SIGNALS, json_schema_extra=_ONLY_NAMES)]


class Question(BaseModel):
    """A body: no unknown keys, and numbers that are numbers."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"example": body})


class HedgeQuestion(Question):
    """How much of an amount to hedge, by the score of its asset."""

    model_config = _example(asset="BTC", amount_usd=250_000.0, override_score=0.7, depth_usd=2_500_000.0)

    asset: Asset
    amount_usd: Amount
    override_score: Unit | None = Field(None, description="Score to use instead of the one from Redis, 0 bullish … 1 bearish")
    depth_usd: Depth | None = None


class MultiQuestion(Question):
    """How much to hedge by several signals, each through its own curve."""

    model_config = _example(
        asset="ETH", amount_usd=100_000.0, signals={"sentiment": 0.7, "funding": 0.4}, weights={"sentiment": 2.0, "funding": 1.0}
    )

    asset: Asset
    amount_usd: Amount
    signals: Scores
    weights: Weights | None = Field(None, description="Weight of each signal, in any unit; left out, all count the same")
    depth_usd: Depth | None = None


ARITIES: Final = {
    "funding_rate": (1, 1),
    "orderbook_imbalance": (2, 2),
    "price_momentum": (1, 1000),
    "volatility_regime": (1, 1),
    "zscore": (3, 3),
}
"""How many readings a normalizer takes, at least and at most."""

_READINGS: Final[dict[str, dict[str, Any]]] = {
    "orderbook_imbalance": {"items": {"minimum": 0}},
    "volatility_regime": {"items": {"minimum": 0}},
    "zscore": {"prefixItems": [{}, {}, {"minimum": 0}]},
}
"""Which readings a normalizer takes, in the words of JSON Schema; any number where nothing is said."""


def _either_value_or_readings(schema: dict[str, Any]) -> None:
    """Say in OpenAPI what the validator below checks, and which readings each normalizer takes."""
    nothing = {"type": "null"}
    schema["oneOf"] = [
        {"required": ["value"], "properties": {"value": {"type": "number"}, "normalizer": nothing, "readings": nothing}},
        *(
            {
                "required": ["normalizer", "readings"],
                "properties": {
                    "value": nothing,
                    "normalizer": {"const": name},
                    "readings": {"type": "array", "minItems": least, "maxItems": most, **_READINGS.get(name, {})},
                },
            }
            for name, (least, most) in ARITIES.items()
        ),
    ]


Normalizer = Literal["funding_rate", "orderbook_imbalance", "price_momentum", "volatility_regime", "zscore"]


class SignalGiven(Question):
    """One opinion on the price: a value, or readings and how to make a value of them."""

    model_config = ConfigDict(json_schema_extra=_either_value_or_readings)

    name: Name
    weight: Weight
    value: Annotated[float, Field(ge=-1, le=1, description="−1 bearish … +1 bullish")] | None = None
    normalizer: Normalizer | None = Field(
        None,
        description="Makes the value of the readings. funding_rate: annual rate; orderbook_imbalance: bid and ask depth; price_momentum:"
        " returns, oldest first; volatility_regime: daily volatility; zscore: value, mean, standard deviation",
    )
    readings: Annotated[list[Number], Field(min_length=1, max_length=1000)] | None = None
    description: str = Field("", max_length=200, pattern=_TEXT)

    @model_validator(mode="after")
    def _value_or_readings(self) -> Self:
        given = (self.value is not None, self.normalizer is not None, self.readings is not None)
        if given not in {(True, False, False), (False, True, True)}:
            raise PydanticCustomError("signal", "give either value, or normalizer and readings")
        return self


class SignalsQuestion(Question):
    """What to do with a position, by signals that are for or against it."""

    model_config = _example(
        asset="BTC",
        position_delta_usd=150_000.0,
        signals=[
            {"name": "momentum", "value": -0.6, "weight": 0.5},
            {"name": "funding", "normalizer": "funding_rate", "readings": [0.08], "weight": 0.3, "description": "8 % a year"},
        ],
    )

    position_delta_usd: Number = Field(description="Delta of the position, USD; above 0 long, below 0 short, 0 flat")
    signals: Annotated[list[SignalGiven], Field(max_length=_MOST_SIGNALS)]
    asset: Asset | None = None
    baseline_position_usd: Annotated[float, Field(ge=1e-6, le=_HUGE)] = 100_000.0
    size_scaling_k: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    action_threshold: Unit = 0.1
    high_conviction_threshold: Unit = 0.5


class PositionGiven(Question):
    """What is held."""

    asset: str = Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9 _./:-]*$")
    size: Number = Field(description="Base units, above 0 long, below 0 short")
    entry_price: NotNegative = Field(description="USD per base unit; above 0 unless the size is 0")
    age_minutes: NotNegative = Field(description="Minutes since the entry")
    unrealized_pnl: Number = Field(0.0, description="USD; 0 or left out = computed from the entry")

    def build(self) -> InventoryPosition:
        """As the assessor takes it. Raises ``ConfigError`` for an entry price of 0 with a position."""
        return InventoryPosition(self.asset, self.size, self.entry_price, self.age_minutes, self.unrealized_pnl)


class MarketGiven(Question):
    """The market in which it would be hedged."""

    current_price: Annotated[float, Field(ge=_TINY, le=_HUGE, description="USD per base unit")]
    volatility_1d: NotNegative = Field(description="Standard deviation of daily returns, fraction")
    spot_spread_bps: NotNegative = Field(description="Cost of crossing the spread, basis points")
    perp_funding_rate: Number = Field(description="Annual, fraction; above 0 longs pay shorts")
    bid_depth_usd: NotNegative = Field(description="USD of bids near the touch")
    ask_depth_usd: NotNegative = Field(description="USD of asks near the touch")

    def build(self) -> MarketConditions:
        """As the assessor takes it."""
        return MarketConditions(**{name: getattr(self, name) for name in type(self).model_fields})


def _given_number(name: str, default: float, text: str) -> tuple[Any, Any]:
    """One field of ``RiskConfig`` where it is given: the range that ``RiskConfig`` checks, and what it says of the field."""
    low, high = CONFIG_RANGES[name]
    step = 1 if name in WHOLE_MINUTES else None
    given = Annotated[float, Field(ge=low, le=high, multiple_of=step)] | None
    return given, Field(None, description=f"{text} (left out: {default:g})".lstrip())


if TYPE_CHECKING:
    RiskConfigGiven: TypeAlias = Question
else:  # one optional number for each field of RiskConfig; what its docstring says of them stands in OpenAPI too
    _TEXTS: Final = dict(re.findall(r"^ {8}(\w+): (.+?)\.?$", RiskConfig.__doc__ or "", re.MULTILINE))
    RiskConfigGiven = create_model(
        "RiskConfigGiven",
        __base__=Question,
        __doc__="Numbers of the assessor's formulas that differ from their defaults.",
        **{each.name: _given_number(each.name, each.default, _TEXTS.get(each.name, "")) for each in fields(RiskConfig)},
    )


class AssessQuestion(Question):
    """How risky an inventory is, and what to do about it."""

    model_config = _example(
        position={"asset": "BTC", "size": 2.5, "entry_price": 95_000.0, "age_minutes": 240.0},
        market={
            "current_price": 91_500.0,
            "volatility_1d": 0.045,
            "spot_spread_bps": 2.0,
            "perp_funding_rate": 0.08,
            "bid_depth_usd": 2_500_000.0,
            "ask_depth_usd": 2_400_000.0,
        },
        config={"max_hedge_cost_bps": 30.0},
    )

    position: PositionGiven
    market: MarketGiven
    config: RiskConfigGiven | None = None
