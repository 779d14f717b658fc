"""What a search may vary: fields of the settings, each with a range or a list of values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import dotted_keys, joined, translate, unknown_key
from alpha_pulse.hedging.common.tree import FLAT_KEYS
from alpha_pulse.settings import Settings
from alpha_pulse.settings.yaml_file import read_yaml

Value = str | float | int | bool | None

_FIXED: Final[Mapping[str, str]] = {
    "feed": "the market is read once, for all trials",
    "symbol": "the market is read once, for all trials",
    "mode": "a trial runs on the paper venue",
    "pairs": "a search runs one pair",
    "exchange": "a trial talks to no exchange",
    "tickets": "a trial recommends nothing",
    "notify": "it changes no result",
    "store": "it changes no result",
    "logging": "it changes no result",
}
"""Sections that no trial can vary, and why."""
_RANGE: Final = re.compile(r"^(?P<low>[^./:\s]*\.?[^./:\s]*?)\s*\.\.\s*(?P<high>[^/:\s]+)(/(?P<step>[^:\s]+))?(?P<log>:log)?$")
_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}
_LEAST: Final = 2
_GRAMMAR: Final = "write KEY=LOW..HIGH, KEY=LOW..HIGH/STEP, KEY=LOW..HIGH:log or KEY=A,B,C"


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``step`` None is any number between."""

    key: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value can be tried."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return False
        on_step = self.step is None or math.isclose((number - self.low) / self.step, round((number - self.low) / self.step), abs_tol=1e-9)
        return self.low <= number <= self.high and on_step and (not self.whole or number == int(number))

    def as_param(self, value: Any) -> Value:
        """A value of the settings as the sampler has it."""
        return int(value) if self.whole else float(value)

    def text(self) -> str:
        """As it is typed."""
        step = f"/{self.step:g}" if self.step is not None else ""
        return f"{self.low:g}..{self.high:g}{step}{':log' if self.log else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    key: str
    values: tuple[Value, ...]

    def holds(self, value: Any) -> bool:
        """Whether a value can be tried."""
        return self._index(value) is not None

    def as_param(self, value: Any) -> Value:
        """A value of the settings as the sampler has it."""
        index = self._index(value)
        return None if index is None else self.values[index]

    def text(self) -> str:
        """As it is typed."""
        return ",".join(shown(value) for value in self.values)

    def _index(self, value: Any) -> int | None:
        for index, own in enumerate(self.values):
            if own == value and isinstance(own, bool) == isinstance(value, bool):
                return index
            if _is_number(own) and not isinstance(value, str | bool) and value is not None and float(value) == float(str(own)):
                return index
        return None


Dimension = Range | Choice


def shown(value: Value) -> str:
    """A value as a configuration file writes it; numbers with six digits, which is also what a trial runs on."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def parse_space(vary: Iterable[str], file: str | Path | None = None) -> tuple[Dimension, ...]:
    """The search space from a YAML file and from ``KEY=…`` texts, which beat the file's.

    Raises:
        ConfigError: with everything that is wrong; nothing is varied, a field is unknown or cannot be varied, a range is none.
    """
    problems: list[ConfigError] = []
    found: dict[str, Dimension] = {}
    for key, given, place in (*_of_file(file), *_of_flags(vary)):
        try:
            dimension = _dimension(key, given)
            found[dimension.key] = dimension
        except ConfigError as error:
            problems.append(ConfigError(error.problem, field=f"{place}: {error.field}", value=error.value, fix=error.fix))
    if problems:
        raise joined(problems)
    if not found:
        fix = "give --vary hedge.amplitude=0..0.5, once for each field, or --space FILE"
        raise ConfigError("nothing is varied.", field="--vary", fix=fix)
    return tuple(found.values())


def _of_flags(vary: Iterable[str]) -> Iterator[tuple[str, Any, str]]:
    for text in vary:
        key, equals, given = text.partition("=")
        yield key.strip(), given.strip() if equals else "", "--vary"


def _of_file(file: str | Path | None) -> Iterator[tuple[str, Any, str]]:
    if file is None:
        return
    read = read_yaml(Path(file))
    sections = Settings.sections()
    for name, given in read.data.items():
        nested = given.items() if name in sections and isinstance(given, Mapping) else ()
        for key, inner in nested:
            yield f"{name}.{key}", inner, f"{file}:{read.lines[f'{name}.{key}']}"
        if not nested:
            yield name, given, f"{file}:{read.lines[name]}"


def _dimension(written: str, given: Any) -> Dimension:
    key = FLAT_KEYS.get(written, written)
    field = _field(key)
    if isinstance(given, Mapping):
        return _mapped(key, given, field)
    if isinstance(given, list):
        return _choice(key, given)
    text = str(given)
    span = _RANGE.match(text)
    if span is None:
        return _choice(key, text.split(","))
    return _range(key, span["low"], span["high"], span["step"], log=span["log"] is not None, field=field)


def _field(key: str) -> FieldInfo:
    section = key.partition(".")[0]
    if section in _FIXED:
        raise ConfigError(f"cannot be varied: {_FIXED[section]}.", field=key, fix="set it in the configuration")
    known = dotted_keys(Settings)
    if key not in known:
        raise unknown_key(key, None, known)
    if key in Settings.sections():
        raise ConfigError("is a section, not a field.", field=key, fix=f"vary one of its fields, e.g. {_first_of(key)}")
    return known[key]


def _first_of(section: str) -> str:
    return next(key for key in dotted_keys(Settings) if key.startswith(f"{section}."))


def _mapped(key: str, given: Mapping[str, Any], field: FieldInfo) -> Dimension:
    extra = set(given) - {"low", "high", "step", "log", "values"}
    if "values" in given and len(given) == 1 and isinstance(given["values"], list):
        return _choice(key, given["values"])
    if extra or not {"low", "high"} <= set(given) or "values" in given:
        raise ConfigError("is no range.", field=key, fix="give low and high, with step or log: true if wanted, or values: [A, B]")
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError("must be true or false.", field=f"{key}.log", value=log, fix="write log: true")
    return _range(key, given["low"], given["high"], given.get("step"), log=log, field=field)


def _range(key: str, low: Any, high: Any, step: Any, *, log: bool, field: FieldInfo) -> Range:
    first, last = _number(key, low), _number(key, high)
    stride = None if step is None else _number(key, step)
    types = set(_leaf_types(field.annotation))
    if not types & {int, float} and not any(t.__name__ == "Decimal" for t in types):
        raise ConfigError("takes no numbers, so it has no range.", field=key, fix=f"list its values: {key}=A,B")
    whole = types <= {int, type(None)}
    if first >= last:
        raise ConfigError("begins where it should end.", field=key, value=f"{low}..{high}", fix="give the lower bound first")
    if log and (first <= 0.0 or stride is not None):
        raise ConfigError("a logarithmic range begins above 0 and has no step.", field=key, value=f"{low}..{high}", fix="leave :log out")
    if stride is not None and not 0.0 < stride <= last - first:
        raise ConfigError("is no step of this range.", field=key, value=stride, fix=f"give a step above 0, at most {last - first:g}")
    if whole and any(value != int(value) for value in (first, last, stride or 1.0)):
        raise ConfigError("takes whole numbers.", field=key, value=f"{low}..{high}", fix="give whole bounds")
    return Range(key, first, last, stride, log, whole)


def _number(key: str, given: Any) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise ConfigError("is no number.", field=key, value=str(given), fix=_GRAMMAR) from None
    if not math.isfinite(number):
        raise ConfigError("must be a finite number.", field=key, value=str(given), fix=_GRAMMAR)
    return number


def _choice(key: str, given: Iterable[Any]) -> Choice:
    values: list[Value] = []
    for one in given:
        text = str(one).strip() if one is not None else "null"
        if isinstance(one, Mapping | list) or not text:
            raise ConfigError("holds something that is no value.", field=key, value=str(one), fix=_GRAMMAR)
        if not isinstance(one, bool):
            one = _value(text)  # noqa: PLW2901 - the same value, typed
        values.append(one)
    if len(values) < _LEAST or len({(type(v).__name__, v) for v in values}) < len(values):
        raise ConfigError("must offer two different values at least.", field=key, value=", ".join(map(shown, values)), fix=_GRAMMAR)
    for value in values:
        _check_value(key, value)
    return Choice(key, tuple(values))


def _check_value(key: str, value: Value) -> None:
    """Refuse what its field refuses whatever the other settings are."""
    name, _, leaf = key.partition(".")
    section = Settings.sections().get(name)
    if section is None:
        return
    try:
        section.model_validate({leaf: value})
    except ValidationError as error:
        for item, problem in zip(error.errors(), translate(error, section, lambda path: f"{name}.{path}"), strict=True):
            if item["loc"] == (leaf,):
                raise problem from None


def _value(text: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _leaf_types(annotation: Any) -> Iterator[type]:
    """The plain types inside an annotation: ``Annotated[int, …] | None`` gives int and NoneType."""
    if hasattr(annotation, "__metadata__"):
        yield from _leaf_types(annotation.__origin__)
    elif arguments := get_args(annotation):
        for argument in arguments:
            yield from _leaf_types(argument)
    elif isinstance(annotation, type) and not issubclass(annotation, BaseModel):
        yield annotation
