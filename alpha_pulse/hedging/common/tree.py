"""A tree of settings sections, read from a mapping with all of its problems at once."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ValidationError, model_validator

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import Display, joined, problems_of, relabelled, translate
from alpha_pulse.hedging.common.section import Section, key_of

FLAT_KEYS: Final[Mapping[str, str]] = {
    "grid_spacing_pct": "grid.grid_spacing_pct",
    "num_levels": "grid.num_levels",
    "min_price_distance": "grid.min_price_distance",
    "max_position_size": "risk.max_position_size",
    "max_drawdown": "risk.max_drawdown",
    "stop_loss_pct": "risk.stop_loss_pct",
    "var_limit": "risk.var_limit",
    "llm_max_tilt": "llm.max_tilt",
    "max_active_orders": "execution.max_active_orders",
    "rebalance_interval": "execution.rebalance_interval",
    "rebalance_interval_seconds": "execution.rebalance_interval",
}
"""Keys that may stand at the top level, and where they belong."""

_SYNONYMS: Final[Mapping[str, str]] = {"execution.rebalance_interval_seconds": "execution.rebalance_interval"}

Check = Callable[..., Iterator[ConfigError]]


class Tree(Section):
    """Sections side by side, with checks across them.

    ``checks`` pairs each check with the fields that it needs: it runs when those were read without a problem, so that one slip hides
    no other.
    """

    checks: ClassVar[tuple[tuple[tuple[str, ...], Check], ...]] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any], display: Display | None = None) -> Self:
        """The tree from nested sections, flat keys, or both.

        Args:
            data: sections, flat keys (``FLAT_KEYS``) and scalars, as a YAML file or a caller gives them.
            display: how the user wrote a dotted key; by default as in ``data``.

        Raises:
            ConfigError: with every problem found; a ``ConfigErrors`` if there are several.
        """
        nested = nest(data, cls.sections())
        show: Display = display or (lambda path: nested.written.get(path, path))
        problems = nested.problems
        try:
            tree = cls.model_validate(nested.data)
        except ValidationError as error:
            broken = {str(item["loc"][0]) for item in error.errors(include_url=False)}
            across = cls._cross_problems(cls._readable(nested.data, broken))
            raise joined([*problems, *translate(error, cls, show), *relabelled(across, show)]) from None
        except ConfigError as error:  # from the checks across sections
            raise joined([*problems, *relabelled(problems_of(error), show)]) from None
        if problems:
            raise joined(problems)
        return tree

    @classmethod
    def _readable(cls, nested: Mapping[str, Any], broken: set[str]) -> dict[str, Any]:
        """The parts that were read without a problem, defaults included."""
        parts: dict[str, Any] = {}
        for name, info in cls.model_fields.items():
            if name in broken:
                continue
            given = nested.get(name, info.get_default(call_default_factory=True))
            section = cls.sections().get(name)
            parts[name] = section.model_validate(given) if section else given
        return parts

    @classmethod
    def _cross_problems(cls, parts: Mapping[str, Any]) -> list[ConfigError]:
        found: list[ConfigError] = []
        for needs, check in cls.checks:
            if all(name in parts for name in needs):
                found += check(*(parts[name] for name in needs))
        return found

    @model_validator(mode="after")
    def _check_across_sections(self) -> Self:
        problems = self._cross_problems({name: getattr(self, name) for name in type(self).model_fields})
        if problems:
            raise joined(problems)
        return self

    @classmethod
    def sections(cls) -> dict[str, type[Section]]:
        """The sections by name, in order; plain values at the top level are left out."""
        return {
            key_of(name, info): info.annotation
            for name, info in cls.model_fields.items()
            if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
        }


@dataclass(slots=True)
class Nested:
    """A configuration sorted into sections: flat keys, dotted keys and synonyms moved to where they belong."""

    sections: Container[str]
    data: dict[str, Any] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  # how the user wrote a key, by dotted key
    problems: list[ConfigError] = field(default_factory=list)

    def put(self, path: str, written: str, value: Any) -> None:
        """Place one value; the second value for the same key is a problem."""
        path = _SYNONYMS.get(path, path)
        section, _, key = path.partition(".") if path.partition(".")[0] in self.sections else ("", "", path)
        if path in self.written:
            problem = f"given twice: as {self.written[path]} and as {written}."
            self.problems.append(ConfigError(problem, field=written, fix="keep one of them"))
            return
        place = self.data.setdefault(section, {}) if section else self.data
        if not isinstance(place, dict):
            return  # the section was given as a plain value, which is refused when it is read
        self.written[path] = written
        place[key] = value


def nest(data: Mapping[str, Any], sections: Container[str]) -> Nested:
    """Sort a configuration into sections. A section that is null is one of defaults."""
    nested = Nested(sections)
    for written, value in data.items():
        key = str(written)
        if isinstance(value, BaseModel):
            value = {key_of(name, type(value).model_fields[name]): getattr(value, name) for name in value.model_fields_set}  # noqa: PLW2901 - the same value as a mapping
        if key in sections:
            _nest_section(nested, key, value)
        else:
            nested.put(FLAT_KEYS.get(key, key), key, value)
    return nested


def _nest_section(nested: Nested, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        nested.data.setdefault(key, {})
        for inner, inner_value in value.items():
            nested.put(f"{key}.{inner}", f"{key}.{inner}", inner_value)
    elif value is None:
        nested.data.setdefault(key, {})
    else:
        nested.data[key] = value
