"""Settings from a file, the environment and flags, each value with where it came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import dotted_keys, is_secret, joined, masked, problems_of
from alpha_pulse.hedging.common.section import key_of, text_of, unit_of
from alpha_pulse.hedging.common.tree import FLAT_KEYS, nest
from alpha_pulse.runtime.notify.config import URLS_VARIABLE
from alpha_pulse.settings.model import SCALARS, Settings
from alpha_pulse.settings.pairs import each_pair
from alpha_pulse.settings.yaml_file import read_yaml

PREFIX: Final = "ALPHA_PULSE_"
MODE_VARIABLE: Final = "TRADING_MODE"
_NULLS: Final = {"null", "none", "~"}


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting as it is in force."""

    key: str  # dotted, as in a config file
    value: Any  # as pydantic holds it
    unit: str
    source: str  # default | FILE:LINE | variable of the environment | --flag
    text: str  # what it means

    @property
    def shown(self) -> str:
        """The value for a person: as a config file writes it, secrets masked."""
        if is_secret(self.key.rpartition(".")[2]) and self.value is not None:
            return "***"
        if self.value is None:
            return "null"
        if self.key == "pairs":
            return ", ".join(str(entry.get("symbol")) for entry in self.value) or "[]"
        return str(self.value).lower() if isinstance(self.value, bool) else masked(str(self.value))

    @property
    def json_value(self) -> str | int | float | bool | None:
        """The value as JSON: money as an exact string, secrets masked."""
        return self.value if self.value is None or isinstance(self.value, bool | int | float) else self.shown


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and how each came about."""

    settings: Settings
    effective: tuple[Effective, ...]


@dataclass(slots=True)
class _Layers:
    """Values merged so far, later layers over earlier ones, with the place and the spelling of each."""

    data: dict[str, Any] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)  # by dotted key
    written: dict[str, str] = field(default_factory=dict)
    problems: list[ConfigError] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)  # every place that a file gave, by key as written

    def add(self, values: Mapping[str, Any], places: Mapping[str, str], default_place: str) -> None:
        """Put one layer on top. ``places`` says where each key, as written, came from."""
        nested = nest(values, Settings.sections())
        self.lines.update(places)
        for path, written in nested.written.items():
            self.source[path] = places.get(written, default_place)
            self.written[path] = written
        for problem in nested.problems:
            place = places.get(problem.field, default_place)
            self.problems.append(ConfigError(problem.problem, field=f"{place}: {problem.field}", fix=problem.fix))
        for key, value in nested.data.items():
            if isinstance(value, dict) and isinstance(self.data.get(key), dict):
                self.data[key].update(value)
            else:
                self.data[key] = value
                if not isinstance(value, dict) and key not in nested.written:  # a section given as a plain value
                    self.source[key] = places.get(key, default_place)

    def display(self, path: str) -> str:
        """Where a key was written, and how: ``mine.yaml:12: grid_spacing_pct``."""
        written = self.written.get(path, path)
        return f"{self.source[path]}: {written}" if path in self.source else written


def load_settings(
    path: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Read settings: defaults, under the file, under the environment, under the overrides.

    Args:
        path: a YAML file; None for defaults.
        overrides: values that beat everything, by dotted key (``hedge.ratio``), flat key or section.
        environ: the environment; None for the process's own. ``TRADING_MODE`` and ``ALPHA_PULSE_SECTION__KEY`` are read.
        flags: how each override was typed on the command line, by the same key (``--ratio``).

    Raises:
        ConfigError: naming place, field, value and fix of everything that is wrong; a ``ConfigErrors`` if there are several.
    """
    layers = _Layers()
    if path is not None:
        file = read_yaml(Path(path))
        layers.add(file.data, {key: f"{path}:{line}" for key, line in file.lines.items()}, str(path))
    values, variables = _from_environment(os.environ if environ is None else environ, layers.problems)
    layers.add(values, variables, "environment")
    layers.add(overrides or {}, flags or {}, "override")
    try:
        settings = Settings.read(layers.data, layers.display)
    except ConfigError as error:
        raise joined([*layers.problems, *problems_of(error)]) from None
    if layers.problems:
        raise joined(layers.problems)
    each_pair(settings, layers.source | layers.lines)  # every pair must be readable before anything starts
    return LoadedSettings(settings, tuple(_effective(settings, layers.source)))


def _from_environment(environ: Mapping[str, str], problems: list[ConfigError]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by dotted key, and the variable of each. An empty variable is as good as none."""
    values: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for variable in sorted(environ):
        key = "mode" if variable == MODE_VARIABLE else _key_of_variable(variable, problems)
        if not key or not environ[variable].strip():
            continue
        if key in values and values[key] != environ[variable]:
            fix = f"unset {variables[key]} or {variable}"
            problems.append(ConfigError(f"contradicts {variables[key]}.", field=variable, value=environ[variable], fix=fix))
        values[key] = None if environ[variable].strip().lower() in _NULLS else environ[variable].strip()
        variables[key] = variable
    return values, variables


def _key_of_variable(variable: str, problems: list[ConfigError]) -> str:
    """``ALPHA_PULSE_GRID__NUM_LEVELS`` → ``grid.num_levels``; empty for what is none of ours."""
    if not variable.startswith(PREFIX) or variable.removesuffix("_FILE") == URLS_VARIABLE:
        return ""
    name = variable.removeprefix(PREFIX).lower()
    if "__" in name:
        return name.replace("__", ".")
    if name in SCALARS or name in FLAT_KEYS:
        return name
    for section in Settings.sections():
        if name.startswith(f"{section}_"):
            right = f"{PREFIX}{section}__{name.removeprefix(f'{section}_')}".upper()
            problems.append(ConfigError("section and key are joined by two underscores.", field=variable, fix=f"write {right}"))
    return ""


def _effective(settings: Settings, source: Mapping[str, str]) -> Iterable[Effective]:
    sections = Settings.sections()
    for path, info in dotted_keys(Settings).items():
        if path in sections:
            continue
        section, _, key = path.rpartition(".")
        holder = getattr(settings, section) if section else settings
        name = next(n for n, f in type(holder).model_fields.items() if key_of(n, f) == key)
        yield Effective(path, getattr(holder, name), unit_of(info), source.get(path, "default"), text_of(info))
