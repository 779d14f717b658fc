"""The base of every settings section: frozen, no unknown keys, numbers checked for the usual slips."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """One section of the settings tree. Each field's description ends with its unit in square brackets."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


Fraction = Annotated[Decimal, Field(gt=0, le=1)]
"""A share of something: 0.01 means 1 %."""

Ratio = Annotated[float, Field(ge=0, le=1)]
"""A hedge ratio: 1 hedges the whole inventory."""
