"""Domain values as JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.domain.instrument import Instrument, MarginTier
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, OrderRequest, Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.types import BotState, Contribution, HedgeTarget, RiskState
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.testing.bookings import make_fill, make_order, make_payment


def through_json(value: Any) -> Any:
    return decode(type(value), json.loads(canonical_json(encode(value))))


@dataclass(frozen=True)
class Memory:
    """Every kind of field that a stored value has."""

    ticks: int = 0
    anchor: float = 0.0
    cap: float = 0.0
    latched: bool = False
    reason: str = ""
    state: RiskState = RiskState.NORMAL
    inventory: Decimal = Decimal(0)
    snapped: tuple[tuple[int, float], ...] = ()
    target: HedgeTarget | None = None
    unknown: tuple[OrderRequest, ...] = ()


def full_memory() -> Memory:
    contributions = (Contribution("sizer", 0.5, 0.55, "constant", {"ratio": 0.5, "nested": {"a": [1, None, True]}}),)
    return Memory(
        ticks=3,
        anchor=1e-300,
        cap=math.inf,
        snapped=((2, 101.5), (-1, 99.25)),
        target=HedgeTarget(0.55, 0.1, 0.0, 1.0, contributions),
        state=RiskState.DELTA_REDUCE,
        inventory=Decimal("1.00000000"),
        unknown=(make_order("x", price=None, trigger_price=Decimal("-0E-8")), make_order("y")),
    )


@pytest.mark.parametrize(
    "value", [Memory(), full_memory(), BotState(), make_order(), make_fill(), make_payment()], ids=lambda v: type(v).__name__
)
def test_what_is_encoded_comes_back_to_the_last_digit(value):
    back = through_json(value)
    assert back == value
    assert canonical_json(encode(back)) == canonical_json(encode(value))  # Decimal exponents and number types too


def test_named_tuples_and_derived_fields_come_back():
    bar = Bar(1.0, 2.0, 0.5, 1.5)
    update = MarketUpdate(0, 60_000, bar, bar, None, 1.5, 1.4, 1.6, 0.0001, 8.0, 1, None, 0.0, 0.0)
    assert through_json(update) == update
    instrument = Instrument(
        "X", "B", "Q", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(5), margin_tiers=(MarginTier(Decimal(1), Decimal(1)),)
    )
    assert through_json(instrument) == instrument


def test_floats_that_json_cannot_write_survive():
    assert through_json(Memory(cap=-math.inf)).cap == -math.inf
    assert math.isnan(through_json(Memory(anchor=math.nan)).anchor)
    assert "Infinity" not in canonical_json(encode(Memory(cap=math.inf)))
    assert through_json(Memory(anchor=-0.0)).anchor.hex() == "-0x0.0p+0"


def test_a_key_from_the_future_is_ignored_and_a_key_from_the_past_takes_its_default():
    data = encode(full_memory())
    data["invented_later"] = {"x": 1}
    data["target"]["invented_later"] = 5
    del data["anchor"], data["unknown"][0]["node"], data["target"]["contributions"][0]["inputs"]
    back = decode(Memory, data)
    assert back.anchor == 0.0
    assert back.unknown[0].node == 0
    assert back.target is not None
    assert back.target.contributions == (Contribution("sizer", 0.5, 0.55, "constant", {}),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticks": "5"}, r"Memory\.ticks = '5': expected a whole number"),
        ({"ticks": True}, "expected a whole number"),
        ({"ticks": 5.0}, "expected a whole number"),
        ({"anchor": "high"}, r"Memory\.anchor = 'high': expected a number"),
        ({"anchor": True}, "expected a number"),
        ({"latched": 1}, "expected true or false"),
        ({"reason": None}, "expected a text"),
        ({"inventory": 0.1}, "expected a finite decimal number"),
        ({"inventory": "NaN"}, "expected a finite decimal number"),
        ({"inventory": "one"}, "is not a decimal number"),
        ({"state": "calm"}, "is none of 'normal', 'delta_reduce'"),
        ({"snapped": [[1, 2.0, 3]]}, r"Memory\.snapped\[0\] = .*expected a list of 2 values"),
        ({"snapped": {"a": 1}}, "expected a list"),
        ({"unknown": "all"}, "expected a list"),
        ({"target": {"ratio": 1.0}}, r"Memory\.target\.floor: is missing"),
        ({"target": 5}, "expected an object"),
        ({"target": {"ratio": 1, "floor": 0, "min_ratio": 0, "max_ratio": 1, "contributions": [{"inputs": []}]}}, "is missing"),
    ],
)
def test_data_that_does_not_fit_is_refused_with_its_path(change, message):
    with pytest.raises(ConfigError, match=message):
        decode(Memory, encode(Memory()) | change)


def test_data_that_is_no_object_at_all_is_refused():
    for cls in (BotState, OrderRequest, Fill, FundingPayment, Bar):
        with pytest.raises(ConfigError, match=f"{cls.__name__} = 'x': expected an object"):
            decode(cls, "x")


def test_whole_numbers_may_stand_for_floats_and_decimals():
    assert decode(Bar, {"open": 1, "high": 2, "low": 1, "close": 1}) == Bar(1.0, 2.0, 1.0, 1.0)
    assert decode(MarginTier, {"max_notional": 5, "maintenance_rate": "1"}).max_notional == Decimal(5)


class Deep(NamedTuple):
    sides: Sequence[Side]
    ratios: Mapping[str, float]
    children: tuple[Deep, ...] = ()


def test_classes_may_hold_lists_mappings_and_themselves():
    value = Deep([Side.BUY], {"a": 0.5}, (Deep([], {}),))
    assert through_json(value) == value
    with pytest.raises(ConfigError, match=r"Deep\.ratios = 5: expected an object"):
        decode(Deep, {"sides": [], "ratios": 5})


@dataclass
class Ambiguous:
    value: int | str


@dataclass
class Formless:
    value: complex


def test_types_without_one_json_form_are_refused():
    with pytest.raises(TypeError, match="cannot be told apart"):
        decode(Ambiguous, {"value": 1})
    with pytest.raises(TypeError, match="no JSON form"):
        decode(Formless, {"value": 1})
    with pytest.raises(TypeError, match="cannot be stored"):
        encode(Formless(1j))
