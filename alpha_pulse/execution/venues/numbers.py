"""Numbers from replies, exact or refused: a mangled reply must never be believed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from alpha_pulse.domain.instrument import ZERO


def number(value: Any, name: str) -> Decimal:
    """A finite number as a Decimal, a float as a person would write it.

    Raises:
        ValueError: it is missing, no number, NaN or infinite.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError(f"the reply has no {name} (got {value!r})")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite():
        raise ValueError(f"the reply's {name} is no finite number: {str(value)[:40]!r}")
    return found


def positive(value: Any, name: str) -> Decimal:
    """As ``number``, and above zero."""
    found = number(value, name)
    if found <= ZERO:
        raise ValueError(f"the reply's {name} is not above zero: {found}")
    return found


def not_negative(value: Any, name: str) -> Decimal:
    """As ``number``, and not below zero."""
    found = number(value, name)
    if found < ZERO:
        raise ValueError(f"the reply's {name} is negative: {found}")
    return found


def positive_or_none(value: Any, name: str) -> Decimal | None:
    """None for nothing, "" and zero, which venues write for "there is none"; else as ``number``, and above zero."""
    if value is None or value == "":
        return None
    found = not_negative(value, name)
    return found or None


def text(value: Any, name: str) -> str:
    """A text that is not empty; a whole number is taken as its digits.

    Raises:
        ValueError: it is missing or empty.
    """
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f"the reply has no {name} (got {value!r})")
    return str(value)


def exact_float(value: Decimal, name: str) -> float:
    """The float that is written exactly as the Decimal: what ccxt formats is what was meant.

    Raises:
        ValueError: the value is not finite, not above zero, or has more digits than a float keeps.
    """
    if not value.is_finite() or value <= ZERO:
        raise ValueError(f"{name} must be a number above zero, got {value}")
    found = float(value)
    if Decimal(repr(found)) != value:
        raise ValueError(f"{name} {value} has more digits than ccxt can carry")
    return found


def plain(value: Decimal) -> str:
    """A Decimal without an exponent."""
    return format(value, "f")


def table(value: Any, name: str) -> Mapping[str, Any]:
    """A part of a reply that has named fields.

    Raises:
        ValueError: it is something else: a page of HTML, null, a list.
    """
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"the reply has no {name} (got {str(value)[:40]!r})")


def rows(value: Any, name: str) -> list[Mapping[str, Any]]:
    """A part of a reply that lists such tables; an empty list is one.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, list):
        return [table(row, name) for row in value]
    raise ValueError(f"the reply has no {name} (got {str(value)[:40]!r})")
