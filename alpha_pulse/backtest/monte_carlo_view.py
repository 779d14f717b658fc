"""The run on resampled markets, as a table for console and report, as a chart, and as a file. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from alpha_pulse.backtest.grids import Grid
from alpha_pulse.backtest.monte_carlo_result import FIGURES, MonteCarlo
from alpha_pulse.backtest.report_grids import grid_html
from alpha_pulse.backtest.result import RunResult
from alpha_pulse.backtest.svg_axis import Axis
from alpha_pulse.backtest.tables import money, number, percent

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD, _BOTTOM = 1180.0, 210.0, 24.0, 26.0, 24.0, 26.0  # px
_PATHS: Final = (("unhedged", "Unhedged"), ("static", "Static hedge"), ("hedged", "Grid hedge"))
_PRIVATE: Final = ("unhedged", "static")  # what a neutral grid has nothing to compare with


def monte_carlo_grid(result: RunResult) -> Grid:
    """The quantiles of each figure beside the recorded one; no row where no market was resampled."""
    found = result.monte_carlo
    if found is None:
        return Grid("On resampled markets", (), ())
    quote = result.quote
    lines: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        (f"{result.base}, change of price", "price_change", lambda value: percent(value, 1, plus=True)),
        (f"Hedge PnL, {quote}", "hedge_pnl", _money),
        ("of it timing", "timing", _money),
        *((f"{label}, change of net worth", f"{name}_change", _money) for name, label in _PATHS),
        *((f"{label}, worst drawdown", f"{name}_drawdown", _fall) for name, label in _PATHS),
    )
    kept = [line for line in lines if found.hedges or not line[1].startswith(_PRIVATE)]
    rows = tuple((label, show(getattr(found.recorded, name)), *map(show, _ordered(found, name))) for label, name, show in kept)
    heads = ("", "this run", "worst 5 %", "worst 25 %", "median", "best 25 %", "best 5 %")
    return Grid(f"On {len(found.paths):,} resampled markets", heads, rows, found.words, frozenset(range(1, len(heads))))


def monte_carlo_html(result: RunResult) -> str:
    """Chart and table; nothing where no market was resampled."""
    found = result.monte_carlo
    if found is None:
        return ""
    table = grid_html(monte_carlo_grid(result), css="resampled")
    return f'<section class="charts" aria-label="Resampled markets">{_chart(found, result.quote)}{table}</section>'


def monte_carlo_rows(found: MonteCarlo) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of ``monte_carlo.csv``: a row for each market."""
    return ("path", *FIGURES), [
        (str(row), *(repr(round(getattr(path, name), 8) + 0.0) for name in FIGURES)) for row, path in enumerate(found.paths, 1)
    ]


def _ordered(found: MonteCarlo, name: str) -> list[float]:
    """The quantiles, the worst first: of drawdowns those are the largest."""
    spread = found.spread(name)
    return spread[::-1] if name.endswith("_drawdown") else spread


def _money(value: float) -> str:
    return number(value, 0, plus=True)


def _fall(value: float) -> str:
    return number(-value, 0)


def _chart(found: MonteCarlo, quote: str) -> str:
    """A bar for each path of net worth: all but the outer 5 % thin, the middle half thick, the median a line across, this run a ring."""
    paths = [path for path in _PATHS if found.hedges or path[0] not in _PRIVATE]
    groups = ((f"Change of net worth, {quote}", "change", 1.0), (f"Worst drawdown, {quote}", "drawdown", -1.0))
    values = [0.0]
    for _, what, sign in groups:
        for name, _ in paths:
            values += [sign * value for value in (*found.spread(f"{name}_{what}"), getattr(found.recorded, f"{name}_{what}"))]
    axis = Axis.over(values, _LEFT, _WIDTH - _RIGHT)
    parts, top = [], 0.0
    for title, what, sign in groups:
        parts.append(f'<text x="0" y="{top + 16:.0f}" font-weight="600">{escape(title)}</text>')
        top += _HEAD
        for name, label in paths:
            figure = f"{name}_{what}"
            spread = [sign * value for value in found.spread(figure)]
            parts.append(_bar(axis, top + _ROW / 2, name, label, spread, sign * getattr(found.recorded, figure)))
            top += _ROW
    words = "All but the outer 5 % on either side thin, the middle half thick, the line across it the median, the ring this run."
    return (
        f"<figure><figcaption><h2>How much of it was the path</h2><span>{words}</span></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH:.0f} {top + _BOTTOM:.0f}" width="100%" role="img" aria-label="{escape(found.words)}" '
        f'fill="currentColor" font-size="13">{_rules(axis, top)}{"".join(parts)}</svg></figure>'
    )


def _bar(axis: Axis, height: float, name: str, label: str, spread: list[float], recorded: float) -> str:
    low, inner_low, middle, inner_high, high = (axis.at(value) for value in spread)
    colour = f"var(--{name})"
    return (
        f'<text x="{_LEFT - 12:.0f}" y="{height + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        f"{_stroke((low, height), (high, height), 2, colour)}{_stroke((inner_low, height), (inner_high, height), 10, colour)}"
        f"{_stroke((middle, height - 8), (middle, height + 8), 2.5, 'var(--ink)')}"
        f'<circle cx="{axis.at(recorded):.1f}" cy="{height:.1f}" r="5.5" stroke-width="2" style="stroke:var(--ink);fill:var(--card)"/>'
    )


def _stroke(start: tuple[float, float], end: tuple[float, float], width: float, colour: str) -> str:
    return (
        f'<line x1="{start[0]:.1f}" x2="{end[0]:.1f}" y1="{start[1]:.1f}" y2="{end[1]:.1f}" stroke-width="{width:g}" '
        f'style="stroke:{colour}"/>'
    )


def _rules(axis: Axis, bottom: float) -> str:
    parts = []
    for tick in axis.ticks():
        colour = "soft" if tick == 0.0 else "grid"
        parts.append(
            f'<line x1="{axis.at(tick):.1f}" x2="{axis.at(tick):.1f}" y1="4" y2="{bottom:.0f}" style="stroke:var(--{colour})"/>'
            f'<text x="{axis.at(tick):.1f}" y="{bottom + 18:.0f}" text-anchor="middle">{escape(money(tick).removesuffix(".00"))}</text>'
        )
    return "".join(parts)
