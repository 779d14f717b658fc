"""What a search found, as tables that the console and the report both show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from alpha_pulse.backtest.assumptions import assumptions_of
from alpha_pulse.backtest.grids import Grid
from alpha_pulse.backtest.result import iso_utc
from alpha_pulse.backtest.search.candidate import candidate, given_values, value_at
from alpha_pulse.backtest.search.evaluate import Outcome
from alpha_pulse.backtest.search.market_data import Part
from alpha_pulse.backtest.search.objectives import OBJECTIVES, Objective
from alpha_pulse.backtest.search.result import FoldResult, SearchResult
from alpha_pulse.backtest.search.space import shown
from alpha_pulse.backtest.tables import NONE, percent
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair

_BESIDE: Final = ("effectiveness", "cost", "timing", "hedge_pnl", "worst_decile", "max_drawdown", "return", "sharpe")
"""What is shown beside the objectives."""
_ACCOUNT: Final = ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "var_95", "cvar_95")
_STATIC: Final[Mapping[str, str]] = {
    "hedge_effectiveness.1d": "hedge_effectiveness.static_1d",
    "hedge_effectiveness.1h": "hedge_effectiveness.static_1h",
    "protection.worst_decile_30d.hedged": "protection.worst_decile_30d.static",
    "protection.downside_semivariance.1d.removed": "protection.downside_semivariance.1d.static_removed",
    "protection.capture.down": "protection.capture.static_down",
    "protection.capture.up": "protection.capture.static_up",
    "equity.hedged.max_drawdown": "equity.static.max_drawdown",
    **{f"account.hedged.{name}": f"account.static.{name}" for name in _ACCOUNT},
}
"""Where a result has the same figure of a static hedge."""
_MOST_REASONS: Final = 8
_FATES: Final = {
    "done": "run to the end",
    "repeated": "the same settings as an earlier trial: not run again",
    "stopped": "stopped early, not among the best third",
    "refused": "refused: an invalid combination",
}


def search_grids(result: SearchResult) -> list[Grid]:
    """Every table, in the order in which a reader wants them; those without a row are left out."""
    found = [
        figures_grid(result),
        chosen_grid(result),
        folds_grid(result),
        front_grid(result),
        importance_grid(result),
        trials_grid(result),
    ]
    return [grid for grid in found if grid.rows]


def figures_grid(result: SearchResult) -> Grid:
    """Training beside test, for the choice and for the configuration as it was."""
    chosen, base = result.last.chosen, result.baseline
    runs = (chosen.train, chosen.test, *base)
    beside = [OBJECTIVES[name] for name in _BESIDE]
    objectives = result.options.plan.objectives
    shown_ones = [*objectives, *(one for one in beside if one.path not in {o.path for o in objectives})]
    rows = tuple(
        (f"{one.name}{' (searched for)' if one in objectives else ''}", *(_of(one, run) for run in runs), _static(one, chosen.test))
        for one in shown_ones
        if any(run.figures.of(one) is not None for run in runs)
    )
    heads = ("", "chosen, training", "chosen, test", "as configured, training", "as configured, test", "static hedge, test")
    train, test = result.last.fold.train, result.last.fold.test
    note = (
        f"Training: {_dates(result, train)}; test: {_dates(result, test)}, which the search never saw. Costs are of 30 days; "
        "money is in quote units. Static hedge: of the choice's own average ratio."
    )
    return Grid("In sample and out of sample", heads, rows, note)


def chosen_grid(result: SearchResult) -> Grid:
    """The values that were chosen, and where they were searched."""
    settings = result.options.settings
    chosen = result.last.chosen.trial.params
    rows = tuple((one.key, _value(value_at(settings, one.key)), shown(chosen[one.key]), one.text()) for one in result.options.plan.space)
    return Grid("What was chosen", ("field", "as configured", "chosen", "searched"), rows)


def folds_grid(result: SearchResult) -> Grid:
    """The walk, one test a row; nothing for a single one."""
    if len(result.folds) == 1 and result.options.division.folds == 1:
        return Grid("Walk-forward", (), ())
    objectives = result.options.plan.objectives
    heads = ("training", "test", *(f"{one.name}, {part}" for one in objectives for part in ("training", "test")), "chosen")
    rows = tuple(
        (
            _dates(result, fold.fold.train),
            _dates(result, fold.fold.test),
            *(_of(one, run) for one in objectives for run in (fold.chosen.train, fold.chosen.test)),
            _params(fold),
        )
        for fold in result.folds
    )
    kind = "rolling" if result.options.division.rolling else "anchored"
    note = f"{kind.capitalize()}: each test was run with what the training before it had chosen. The last choice is the one in best.yaml."
    return Grid("Walk-forward", heads, rows, note, prose=frozenset({len(heads) - 1}))


def front_grid(result: SearchResult) -> Grid:
    """The Pareto front with its tests; nothing for a single objective."""
    objectives = result.options.plan.objectives
    if len(objectives) == 1:
        return Grid("Pareto front", (), ())
    keys = [one.key for one in result.options.plan.space]
    heads = ("trial", *(f"{one.name}, {part}" for one in objectives for part in ("training", "test")), *keys)
    rows = tuple(
        (
            f"{trial.number}{' ★' if trial.number == result.last.chosen.trial.number else ''}",
            *(text for one, value in zip(objectives, trial.values, strict=True) for text in (one.shown(value), _of(one, test))),
            *(shown(trial.params[key]) for key in keys),
        )
        for trial, test in result.last.front
    )
    note = "In training no trial beats these in everything. ★: the knee, where giving up a little of one stops buying much of the other."
    return Grid("Pareto front", heads, rows, note)


def importance_grid(result: SearchResult) -> Grid:
    """Which fields mattered."""
    found = result.last.importances
    if not found:
        return Grid("Importance of the fields", (), ())
    totals = {one.key: sum(weights.get(one.key, 0.0) for weights in found.values()) for one in result.options.plan.space}
    rows = tuple(
        (key, *(percent(weights[key], 1) if key in weights else NONE for weights in found.values()))
        for key in sorted(totals, key=lambda key: -totals[key])
    )
    note = "How much of what set the best trials apart lies in each field (PED-ANOVA). A field without importance can stay as it is."
    return Grid("Importance of the fields", ("field", *found), rows, note)


def trials_grid(result: SearchResult) -> Grid:
    """How the trials ended, and why some were refused."""
    fates = result.fates
    rows = [(words, f"{fates[fate]:,}", "") for fate, words in _FATES.items() if fates.get(fate)]
    reasons = result.reasons
    rows += [("", f"{count:,}", f"{'such as: ' if count > 1 else ''}{reason}") for reason, count in reasons[:_MOST_REASONS]]
    if len(reasons) > _MOST_REASONS:
        rows.append(("", f"{sum(count for _, count in reasons[_MOST_REASONS:]):,}", "for other reasons: trials.csv has them"))
    rows += [("run by the replay", f"{count:,}", note) for note, count in result.notes[:_MOST_REASONS]]
    if result.rerun:
        rows.append(("run again", f"{result.rerun:,}", "their worker had died"))
    return Grid("Trials", ("", "number", "why"), tuple(rows), prose=frozenset({2}))


def verdict_grid(result: SearchResult) -> Grid:
    """Every test in words."""
    return Grid("Does it survive?", ("test", "what it says"), result.verdict.words, prose=frozenset({1}))


def market_text(result: SearchResult) -> str:
    """What was searched on, in a line."""
    data, part = result.data, Part(0, result.data.bars)
    return f"{data.symbol} · {data.source} · {_dates(result, part)} · {data.bars:,} bars"


def search_assumptions(result: SearchResult) -> dict[str, str]:
    """What the figures rest on: what was chosen, on the market that was read."""
    data, options = result.data, result.options
    rows = data.table[data.first :]
    perp_close, mark_close, settled = rows[:, 5], rows[:, 10], rows[:, 23]
    return assumptions_of(
        candidate(given_values(options.settings), result.last.chosen.trial.params).model_dump(mode="json", by_alias=True),
        data.instrument or builtin_instrument(hedge_pair(data.symbol)),
        has_funding=data.simulated or bool(np.isfinite(settled).any()),
        has_mark=data.simulated or not np.array_equal(mark_close, perp_close),
    )


def _of(objective: Objective, run: Outcome) -> str:
    return objective.shown(run.figures.of(objective))


def _static(objective: Objective, run: Outcome) -> str:
    if objective.path == "attribution.timing":  # what moving the hedge made, and that one is never moved
        return objective.shown(0.0)
    path = _STATIC.get(objective.path)
    return "" if path is None else objective.shown(run.figures.values.get(path))


def _dates(result: SearchResult, part: Part) -> str:
    times = result.data.close_ms
    return f"{iso_utc(int(times[part.start]))[:10]} to {iso_utc(int(times[part.stop - 1]))[:10]}"


def _params(fold: FoldResult) -> str:
    return ", ".join(f"{key} {shown(value)}" for key, value in fold.chosen.trial.params.items())


def _value(value: object) -> str:
    return shown(value) if value is None or isinstance(value, bool | int | float) else str(value)
