"""Hedge curves from a YAML file: how ``config/curve_knots.yaml`` becomes what the spline sizer takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import joined
from alpha_pulse.hedging.risk.sizers.curves import SignalConfig, signal_configs_from
from alpha_pulse.settings.yaml_file import YamlFile, read_yaml


def load_signal_configs(path: str | Path) -> Mapping[str, SignalConfig]:
    """Read hedge curves by signal name, in the order of the file: ``name: {description: text, knots: [{score: 0.0, hedge: 0.05}, ...]}``.

    Raises:
        ConfigError: the file cannot be read, or curves in it are wrong; it names file, line, curve and knot (counted from 1), and is a
            ``ConfigErrors`` if several curves are wrong.
    """
    file = read_yaml(Path(path))
    if not file.data:
        raise ConfigError("has no curves", field=str(path), fix="write `NAME: {knots: [{score: 0, hedge: 0.05}, {score: 1, hedge: 1}]}`")
    found: dict[str, SignalConfig] = {}
    problems: list[ConfigError] = []
    for name, entry in file.data.items():
        try:
            found.update(signal_configs_from({name: entry}))
        except ConfigError as error:
            place = f"{path}:{_line(file, name)}: {error.field or name}"
            problems.append(ConfigError(error.problem, field=place, value=error.value, fix=error.fix))
    if problems:
        raise joined(problems)
    return MappingProxyType(found)


def _line(file: YamlFile, name: str) -> int:
    """Where the knots of a curve start, or the curve itself if it has none."""
    return file.lines.get(f"{name}.knots", file.lines[name])
