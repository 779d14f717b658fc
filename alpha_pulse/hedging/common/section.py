"""The base of every settings section: frozen, no unknown keys, numbers checked for the usual slips."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

_UNIT: Final = re.compile(r"\s*\[([^\]]*)\]\s*$")
_LARGEST: Final = 1e15  # far beyond any price or quantity, and still exact enough in a float
_SMALLEST: Final = 1e-12


class Section(BaseModel):
    """One section of the settings tree. Each field's description ends with its unit in square brackets.

    Numbers may be given as strings or as numbers; a boolean is no number, and neither is NaN, an infinity or 1e309.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Catch what pydantic would take for a number and a person would not."""
        if info.field_name is None or not is_number(cls.model_fields[info.field_name]):
            return value
        if isinstance(value, bool):
            raise PydanticCustomError("not_a_number", "is not a number")
        if isinstance(value, str):
            value = value.strip()
        if not isinstance(value, str | int | float | Decimal):
            return value
        try:
            number = abs(float(Decimal(value)))
        except (InvalidOperation, OverflowError, ValueError):
            return value  # pydantic says it better
        if math.isnan(number) or number == math.inf:
            raise PydanticCustomError("finite_number", "must be a finite number")
        if number > _LARGEST or 0 < number < _SMALLEST or (number == 0 and Decimal(value) != 0):
            raise PydanticCustomError("absurd_number", "is beyond any sensible size")
        return value


def slip(problem: str, fix: str, key: str = "") -> PydanticCustomError:
    """What a section's own validator raises: ``problem`` and ``fix`` in words, at ``key`` of that section if one is to blame."""
    return PydanticCustomError("config", "{problem} Fix: {fix}", {"problem": problem, "fix": fix, "key": key})


def is_number(field: FieldInfo) -> bool:
    """Whether a field holds an int, a float or a Decimal (or null)."""
    return bool(_leaf_types(field.annotation) & {int, float, Decimal})


def is_nullable(field: FieldInfo) -> bool:
    """Whether a field may be null."""
    return type(None) in _leaf_types(field.annotation)


def _leaf_types(annotation: Any) -> set[Any]:
    """The plain types inside an annotation: ``Annotated[int, ...] | None`` gives {int, NoneType}."""
    if hasattr(annotation, "__metadata__"):
        return _leaf_types(annotation.__origin__)
    arguments = get_args(annotation)
    if not arguments:
        return {annotation}
    return set().union(*(_leaf_types(argument) for argument in arguments))


def unit_of(field: FieldInfo) -> str:
    """The unit at the end of a field's description, without its brackets; empty if it names none."""
    found = _UNIT.search(field.description or "")
    return found.group(1) if found else ""


def text_of(field: FieldInfo) -> str:
    """A field's description without its unit."""
    return _UNIT.sub("", field.description or "")


def key_of(name: str, field: FieldInfo) -> str:
    """How a field is called in a config file: its alias if it has one, else its name."""
    return field.alias or name


Fraction = Annotated[Decimal, Field(gt=0, lt=1)]
"""A share of something: 0.01 means 1 %. The whole (1) is refused, because it is nearly always meant as 1 %."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A hedge ratio: 1 hedges the whole inventory."""
