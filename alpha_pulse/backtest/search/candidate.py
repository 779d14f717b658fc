"""A trial's settings: the configuration with the trial's values in it, read and checked by the settings themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alpha_pulse.backtest.search.space import Dimension, Value, shown
from alpha_pulse.hedging.common.section import key_of
from alpha_pulse.settings import Settings

Params = Mapping[str, Value]
"""A trial's values by dotted key."""


def given_values(settings: Settings) -> dict[str, Any]:
    """What was set, by dotted key; defaults are left out, so that what was never given still counts as not given."""
    found: dict[str, Any] = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        section = Settings.sections().get(name)
        if section is None:
            found[name] = value
        else:
            found |= {f"{name}.{key_of(field, section.model_fields[field])}": getattr(value, field) for field in value.model_fields_set}
    return found


def candidate(base: Mapping[str, Any], params: Params) -> Settings:
    """The settings of a trial: ``base`` (see ``given_values``) under ``params``.

    Raises:
        ConfigError: this combination is refused, with every reason.
    """
    typed = {key: shown(value) if isinstance(value, float) else value for key, value in params.items()}
    return Settings.read({**base, **typed})


def value_at(settings: Settings, key: str) -> Any:
    """The value of a dotted key."""
    section, _, name = key.rpartition(".")
    holder = getattr(settings, section) if section else settings
    return getattr(holder, next(field for field, info in type(holder).model_fields.items() if key_of(field, info) == name))


def params_at(settings: Settings, space: Iterable[Dimension]) -> dict[str, Value] | None:
    """Where in the space the settings lie; None if outside of it."""
    found: dict[str, Value] = {}
    for one in space:
        value = value_at(settings, one.key)
        if not one.holds(value):
            return None
        found[one.key] = one.as_param(value)
    return found
