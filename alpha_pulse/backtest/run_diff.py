"""Two finished runs beside each other: which settings, figures and fills differ. Reads nothing but their folders."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alpha_pulse.backtest.export import figures
from alpha_pulse.backtest.result import SCHEMA
from alpha_pulse.errors import ConfigError, DataError

_PROSE: Final = ("settings", "notes", "assumptions", "unavailable", "fill_rules")
_MARKET: Final = ("pair", "source", "first_time", "last_time", "bars", "simulated", "seed")
_PLACES: Final = frozenset({"store", "logging"})  # settings that change no result
FILL_COLUMNS: Final = ("time", "side", "price", "quantity", "liquidity")

FillKey = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a run's folder holds, as far as it is compared."""

    name: str
    result: Mapping[str, Any]  # the body of result.json
    fills: tuple[FillKey, ...]  # time, side, price, quantity, liquidity, as written


@dataclass(frozen=True, slots=True)
class FillsDiff:
    """How the fills differ; each is a row of fills.csv without its id."""

    common: int
    only_a: tuple[FillKey, ...]
    only_b: tuple[FillKey, ...]

    @property
    def first(self) -> str:
        """When they part, ISO 8601 UTC; empty if they are the same."""
        return min((key[0] for key in (*self.only_a, *self.only_b)), default="")


@dataclass(frozen=True, slots=True)
class RunDiff:
    """Everything that differs between run A and run B. A figure that a run does not carry is None."""

    names: tuple[str, str]
    market: Mapping[str, tuple[Any, Any]]  # what the market was, where it was not the same
    settings: Mapping[str, tuple[Any, Any]]  # by dotted key
    figures: Mapping[str, tuple[float | None, float | None]]  # every figure of both, equal ones too
    fills: FillsDiff

    @property
    def same(self) -> bool:
        """Whether settings apart nothing differs."""
        return not self.market and not self.fills.first and all(a == b for a, b in self.figures.values())

    def as_json(self) -> dict[str, Any]:
        """For a machine: what differs only."""
        return {
            "a": self.names[0],
            "b": self.names[1],
            "market": {key: list(pair) for key, pair in self.market.items()},
            "settings": {key: list(pair) for key, pair in self.settings.items()},
            "figures": {key: list(pair) for key, pair in self.figures.items() if pair[0] != pair[1]},
            "fills": {
                "common": self.fills.common,
                "only_a": len(self.fills.only_a),
                "only_b": len(self.fills.only_b),
                "first_difference": self.fills.first or None,
            },
        }


def read_run(folder: Path) -> StoredRun:
    """A run from its folder.

    Raises:
        ConfigError: the folder is none, or holds no result.
        DataError: a file in it cannot be trusted.
    """
    file = folder / "result.json"
    if not file.is_file():
        what = "holds no result.json." if folder.is_dir() else "is no folder of a run."
        raise ConfigError(what, field="run", value=str(folder), fix="name a folder that `alpha-pulse backtest --out` wrote")
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"cannot be read: {error}.", path=str(file)) from error
    if not isinstance(body, dict) or not isinstance(body.get("schema"), int):
        raise DataError("is no result of a run.", path=str(file))
    if body["schema"] > SCHEMA:
        raise DataError(f"was written by a newer version (schema {body['schema']}, known is {SCHEMA}).", path=str(file), fix="update")
    return StoredRun(folder.name or str(folder), body, _read_fills(folder / "fills.csv"))


def diff_runs(a: StoredRun, b: StoredRun) -> RunDiff:
    """What differs."""
    left, right = (dict(figures({k: v for k, v in run.result.items() if k not in _PROSE})) for run in (a, b))
    settings = [dict(_flat(run.result.get("settings", {}))) for run in (a, b)]
    here, there = Counter(a.fills), Counter(b.fills)
    names = (a.name, b.name) if a.name != b.name else (f"{a.name} (A)", f"{b.name} (B)")
    return RunDiff(
        names=names,
        market={key: pair for key in _MARKET if (pair := (a.result.get(key), b.result.get(key)))[0] != pair[1]},
        settings={
            key: pair
            for key in sorted(settings[0].keys() | settings[1].keys())
            if (pair := (settings[0].get(key), settings[1].get(key)))[0] != pair[1]
        },
        figures={key: (left.get(key), right.get(key)) for key in dict.fromkeys([*left, *right])},
        fills=FillsDiff((here & there).total(), _in_order(here - there), _in_order(there - here)),
    )


def _in_order(left: Counter[FillKey]) -> tuple[FillKey, ...]:
    return tuple(sorted(left.elements()))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key; where a file lies is none that changes a result."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            if path or key not in _PLACES:
                yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _read_fills(path: Path) -> tuple[FillKey, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(tuple(row[name] for name in FILL_COLUMNS) for row in csv.DictReader(file))
    except FileNotFoundError:
        raise DataError("is missing.", path=str(path), fix="name a folder that `alpha-pulse backtest --out` wrote") from None
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"holds no fills of a run: {error!r}.", path=str(path)) from error
