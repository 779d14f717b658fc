"""What is wrong with a configuration, in words: pydantic's findings become ``ConfigError``s that name field, value and fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.section import is_nullable, key_of, unit_of

Display = Callable[[str], str]
"""From a dotted key to how the user wrote it, and where: ``config/mine.yaml:12: grid.num_levels``."""

_SECRET: Final = re.compile(r"secret|passw|token|credential|api_?key|apikey|private", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(://[^:/@\s]*:)[^@\s]*(?=@)")
_SHARES: Final = ("fraction", "probability")  # units in which 1 means the whole
_LIMITS: Final = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_NUMBERS: Final = {"decimal_parsing", "decimal_type", "float_parsing", "float_type", "not_a_number"}
_DATE: Final = "write year, month and day, e.g. 2024-01-31"
_PLAIN_WORDS: Final = {
    "model_type": ("must be a section with keys of its own.", "indent its keys under it"),
    "bool_parsing": ("must be true or false.", "write true or false"),
    "bool_type": ("must be true or false.", "write true or false"),
    "date_from_datetime_inexact": ("must be a whole day.", "write a date without a time, e.g. 2024-01-31"),
    "date_parsing": ("is no date.", _DATE),
    "date_type": ("is no date.", _DATE),
    "date_from_datetime_parsing": ("is no date.", _DATE),
    "string_pattern_mismatch": ("is no name that is known here.", "write the built-in name, or package.module:Class of your own"),
}
_INTEGERS: Final = {"int_parsing", "int_type", "int_from_float", "int_parsing_size"}


class ConfigErrors(ConfigError):  # noqa: N818 - the plural of an error
    """Several things are wrong at once. ``problems`` has them one by one; the message has one on each line."""

    def __init__(self, problems: Iterable[ConfigError]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def joined(problems: Sequence[ConfigError]) -> ConfigError:
    """One error for one problem or several. ``problems`` must not be empty."""
    return problems[0] if len(problems) == 1 else ConfigErrors(problems)


def problems_of(error: ConfigError) -> tuple[ConfigError, ...]:
    """The single problems in an error."""
    return error.problems if isinstance(error, ConfigErrors) else (error,)


def relabelled(problems: Iterable[ConfigError], display: Display) -> list[ConfigError]:
    """The same problems, their fields as the user wrote them."""
    return [ConfigError(p.problem, field=display(p.field) if p.field else "", value=p.value, fix=p.fix) for p in problems]


def masked(text: str) -> str:
    """The text with the passwords of URLs replaced by stars."""
    return _URL_PASSWORD.sub(r"\1***", text)


def is_secret(key: str) -> bool:
    """Whether a key names something that must never be shown."""
    return bool(_SECRET.search(key))


def translate(error: ValidationError, model: type[BaseModel], display: Display = str) -> list[ConfigError]:
    """Every finding of pydantic as a ``ConfigError``.

    Args:
        error: what pydantic raised when it read ``model``.
        model: the section or the tree of sections that was read.
        display: how the user wrote a dotted key, and where.
    """
    known = dotted_keys(model)
    found = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        value = item.get("input")
        if item["type"] == "extra_forbidden":
            found.append(unknown_key(path, value, known, display))
            continue
        if item["type"] == "config" and item["ctx"]["key"]:  # found by a section's own validator: it knows which key is to blame
            path, value = f"{path}.{item['ctx']['key']}".lstrip("."), None
        problem, fix = _explain(item["type"], item.get("ctx", {}), item["msg"], value, known.get(path))
        found.append(ConfigError(problem, field=display(path), value=_shown(value), fix=fix))
    return found


def dotted_keys(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    """Every key of a tree of sections by its dotted name, sections included, in the order of definition."""
    keys: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        path = f"{prefix}{key_of(name, field)}"
        keys[path] = field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= dotted_keys(field.annotation, f"{path}.")
    return keys


def unknown_key(path: str, value: Any, known: Iterable[str], display: Display = str) -> ConfigError:
    """An unknown key, with the nearest known one; a key that looks like a secret is not repeated with its value."""
    section, dot, key = path.partition(".")
    if not dot:
        section, key = "", path
    if is_secret(key):
        fix = "remove it: keys are read from EXCHANGE_API_KEY and EXCHANGE_API_SECRET, or what exchange.api_key_env names"
        return ConfigError("credentials do not belong in a configuration.", field=display(path), fix=fix)
    nearest = _nearest(section, key, tuple(known))
    where = f"in the section {section}" if section else "at the top level"
    if nearest:
        fix = f"write {nearest}"
    else:
        here = sorted(name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section)
        fix = f"known here: {', '.join(here)}" if here else f"{section} takes no keys of its own"
    return ConfigError(f"unknown key {where}.", field=display(path), value=_shown(value), fix=fix)


def _nearest(section: str, key: str, known: tuple[str, ...]) -> str:
    """The known key that was probably meant, dotted; empty if none is near. The same name elsewhere beats a like one here."""
    wanted = key.lower().replace("-", "_")
    by_leaf: dict[str, list[str]] = {}
    for name in known:
        by_leaf.setdefault(name.rpartition(".")[2], []).append(name)
    if wanted in by_leaf:
        return min(by_leaf[wanted], key=lambda name: name.rpartition(".")[0] != section)
    here = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == section]
    for names, cutoff in ((here, 0.6), (list(by_leaf), 0.6)):
        close = difflib.get_close_matches(wanted, names, n=1, cutoff=cutoff)
        if close:
            return min(by_leaf[close[0]], key=lambda name: name.rpartition(".")[0] != section)
    return ""


def _explain(kind: str, context: Mapping[str, Any], message: str, value: Any, field: FieldInfo | None) -> tuple[str, str]:
    """What is wrong, and how to mend it."""
    unit = unit_of(field) if field else ""
    limit = next((name for name in _LIMITS if name in context), None)
    if kind == "config":  # raised by our own validators, already in words
        return str(context["problem"]), str(context["fix"])
    if limit:
        return _out_of_range(limit, context[limit], value, unit)
    if kind in _NUMBERS | _INTEGERS | {"finite_number", "absurd_number"}:
        problem, fix = _not_a_number(kind, value, unit)
        return problem, f"{fix}, or null" if field and is_nullable(field) and not fix.startswith("write") else fix
    if kind in {"literal_error", "enum"}:
        return _none_of(str(context["expected"]), value)
    return _PLAIN_WORDS.get(kind, (f"{message[:1].lower()}{message[1:]}.", f"give {unit}" if unit else ""))


def _out_of_range(limit: str, bound: Any, value: Any, unit: str) -> tuple[str, str]:
    words, bound = _LIMITS[limit], plain(Decimal(str(bound)))
    in_units = f" [{unit}]" if unit else ""
    problem = f"must be {words} {bound} [{unit}]." if unit else f"must be {words} {bound}."
    if limit in {"lt", "le"} and unit.startswith(_SHARES):
        return f"looks like a percentage; it {problem}", _as_fraction(value)
    return problem, f"give a number {words} {bound}{in_units}"


def _not_a_number(kind: str, value: Any, unit: str) -> tuple[str, str]:
    if isinstance(value, str) and value.strip().endswith("%"):
        if unit.startswith(_SHARES):
            return "must be a plain fraction, without a percent sign.", _as_fraction(value)
        return "must be a plain number, without a percent sign.", f"give a number in {unit}" if unit else "give a plain number"
    if kind == "finite_number":
        return "must be a finite number.", f"give a finite number [{unit}]" if unit else "give a finite number"
    if kind == "absurd_number":
        return "is beyond any sensible size.", f"give a number [{unit}]" if unit else "give a number"
    if value is None:
        return "must not be null.", f"give a number [{unit}]" if unit else "give a number"
    noun = "a whole number" if kind in _INTEGERS else "a number"
    return f"is not {noun}.", f"give {noun} [{unit}]" if unit else f"give {noun}"


def _none_of(expected: str, value: Any) -> tuple[str, str]:
    names = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(str(value).lower(), names, n=1, cutoff=0.5)
    return f"is none of {', '.join(names)}.", f"write {close[0]}" if close else f"write one of {', '.join(names)}"


def _as_fraction(value: Any) -> str:
    """``write 0.01 for 1 %``, with the user's own number."""
    try:
        percent = Decimal(str(value).strip().rstrip("%").strip())
    except InvalidOperation:
        percent = Decimal(1)
    return f"write {plain(percent / 100)} for {plain(percent)} %"


def plain(number: Decimal) -> str:
    """A Decimal without an exponent and without trailing zeros: 0.010 → ``0.01``, 1E+2 → ``100``."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(value: Any) -> object:
    """What the user gave, short and without secrets."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping | BaseModel):
        return None
    text = masked(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a terminal
