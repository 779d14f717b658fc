"""What a search makes large or small: figures of a run's result, by a short name or by their place in ``result.json``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from alpha_pulse.backtest.result import RunResult
from alpha_pulse.backtest.tables import NONE, number, percent
from alpha_pulse.errors import ConfigError

Direction = Literal["maximize", "minimize"]
_DIRECTIONS: Final[Mapping[str, Direction]] = {"max": "maximize", "maximize": "maximize", "min": "minimize", "minimize": "minimize"}
_NO_FIGURES: Final = ("settings", "notes", "assumptions", "unavailable", "schema", "seed")


@dataclass(frozen=True, slots=True)
class Objective:
    """One figure to search for. ``path``: its place in ``result.json``, dotted."""

    name: str
    path: str
    direction: Direction
    text: str = ""
    account: bool = False  # of the whole account's return, not of what moving the hedge adds
    share: bool = False  # a fraction, shown as per cent

    def better(self, one: float, other: float) -> bool:
        """Whether ``one`` is better than ``other``."""
        return one > other if self.direction == "maximize" else one < other

    def shown(self, value: float | None) -> str:
        """The value for a person."""
        if value is None:
            return NONE
        return percent(value, 2) if self.share else number(value, 2 if abs(value) >= 1.0 else 4, trim=value == 0.0)

    def loss(self, value: float) -> float:
        """The value turned so that less is better."""
        return -value if self.direction == "maximize" else value


_KNOWN: Final = (
    Objective("effectiveness", "hedge_effectiveness.1d", "maximize", "share of the daily variance removed", share=True),
    Objective("effectiveness_1h", "hedge_effectiveness.1h", "maximize", "share of the hourly variance removed", share=True),
    Objective("cost", "cost_per_month_fraction", "minimize", "cost of the hedge in 30 days, fraction of the coins' value", share=True),
    Objective("semivariance", "protection.downside_semivariance.1d.removed", "maximize", "share of the daily downside removed", share=True),
    Objective("worst_decile", "protection.worst_decile_30d.hedged", "maximize", "mean of the worst tenth of 30-day windows", share=True),
    Objective("downside_capture", "protection.capture.down", "minimize", "share of falling days that is passed on", share=True),
    Objective("upside_capture", "protection.capture.up", "maximize", "share of rising days that is passed on", share=True),
    Objective("timing", "attribution.timing", "maximize", "what moving the hedge made, quote units"),
    Objective("hedge_pnl", "hedge_pnl", "maximize", "what the perpetual made, costs included, quote units", account=True),
    Objective("funding", "funding", "maximize", "funding received, quote units"),
    Objective("fees", "fees", "minimize", "fees paid, quote units"),
    Objective("turnover", "trading.turnover", "minimize", "traded notional, quote units"),
    Objective("max_drawdown", "equity.hedged.max_drawdown", "minimize", "worst drawdown of net worth", account=True, share=True),
    Objective("return", "account.hedged.total_return", "maximize", "return on net worth", account=True, share=True),
    Objective("volatility", "account.hedged.volatility", "minimize", "volatility of net worth a year", account=True, share=True),
    Objective("sharpe", "account.hedged.sharpe", "maximize", "Sharpe ratio of net worth", account=True),
    Objective("sortino", "account.hedged.sortino", "maximize", "Sortino ratio of net worth", account=True),
    Objective("calmar", "account.hedged.calmar", "maximize", "Calmar ratio of net worth", account=True),
    Objective("cvar", "account.hedged.cvar_95", "minimize", "expected shortfall of a day, 95 %", account=True, share=True),
)
OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType({one.name: one for one in _KNOWN})
"""The figures with a short name."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Every number of a result by its dotted place in ``result.json``, and why the missing ones are missing."""

    values: Mapping[str, float]
    reasons: Mapping[str, str]

    def of(self, objective: Objective) -> float | None:
        """The objective's figure; None where the run carries none."""
        return self.values.get(objective.path)

    def missing(self, objectives: Iterable[Objective]) -> str:
        """Which objectives have no figure, and why; empty if all have one."""
        absent = [one for one in objectives if one.path not in self.values]
        return "; ".join(f"no {one.name}: {self.reasons.get(one.path) or 'the result has no such figure'}" for one in absent)


def figures_of(result: RunResult) -> Figures:
    """The numbers of a result, rounded as ``result.json`` has them."""
    body = json.loads(result.to_json())
    values: dict[str, float] = {}
    for name, part in body.items():
        if name not in _NO_FIGURES:
            _collect(part, name, values)
    return Figures(values, body["unavailable"])


def _collect(part: Any, path: str, values: dict[str, float]) -> None:
    if isinstance(part, dict):
        for name, inner in part.items():
            _collect(inner, f"{path}.{name}", values)
    elif isinstance(part, int | float) and not isinstance(part, bool):
        values[path] = float(part)


def parse_objectives(given: Iterable[str]) -> tuple[Objective, ...]:
    """Objectives as they are typed: ``effectiveness``, or ``protection.capture.down:min`` for any other figure of ``result.json``.

    Raises:
        ConfigError: none is given, one is given twice, a name is unknown, or a place has no direction.
    """
    found = tuple(_parse(text.strip()) for text in given)
    if not found:
        raise ConfigError("nothing is searched for.", field="--objective", fix="give one, e.g. --objective effectiveness --objective cost")
    names = [one.path for one in found]
    if len(set(names)) < len(names):
        raise ConfigError("one is given twice.", field="--objective", value=", ".join(one.name for one in found), fix="give each once")
    return found


def _parse(text: str) -> Objective:
    name, colon, direction = text.partition(":")
    if colon and direction not in _DIRECTIONS:
        raise ConfigError("has no such direction.", field="--objective", value=text, fix="end it with :max or :min")
    known = OBJECTIVES.get(name)
    if known is not None:
        return Objective(known.name, known.path, _DIRECTIONS[direction], known.text, known.account, known.share) if colon else known
    if "." in name and colon:
        return Objective(name, name, _DIRECTIONS[direction], "", name.startswith(("account.", "equity.")))
    near = difflib.get_close_matches(name, OBJECTIVES, n=1)
    names = f"write {near[0]}" if near else f"write one of {', '.join(OBJECTIVES)}"
    fix = "say what is better: end it with :max or :min" if "." in name else f"{names}, or a place in result.json with :max or :min"
    raise ConfigError("is no objective.", field="--objective", value=text, fix=fix)
