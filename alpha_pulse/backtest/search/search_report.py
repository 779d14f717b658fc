"""The HTML report of a search: one self-contained page without scripts, readable from a file."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import Final

from alpha_pulse.backtest.report_grids import grid_html
from alpha_pulse.backtest.report_html import assumptions_html
from alpha_pulse.backtest.search.objectives import Objective
from alpha_pulse.backtest.search.result import SearchResult
from alpha_pulse.backtest.search.search_grids import (
    chosen_grid,
    figures_grid,
    folds_grid,
    front_grid,
    importance_grid,
    market_text,
    search_assumptions,
    trials_grid,
    verdict_grid,
)
from alpha_pulse.backtest.search.search_svg import charts_html

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_OWN_CSS: Final = (
    ".bars i { display: inline-block; height: 10px; border-radius: 2px; background: var(--hedged); min-width: 2px; }"
    " .bars td:last-child { width: 40%; text-align: left; } #verdict td.words { white-space: normal; color: var(--ink); font-size: 14px; }"
    " #verdict th { white-space: nowrap; } figure svg text { fill: var(--soft); } figcaption > span { margin-right: 8px; }"
    " section { margin-top: 12px; }"
)


def render_search(result: SearchResult) -> str:
    """The whole page as text. Everything that comes from data or settings is escaped."""
    css = (files("alpha_pulse.backtest") / "assets" / "report.css").read_text(encoding="utf-8")
    objectives = "; ".join(_told(one) for one in result.options.plan.objectives)
    title = f"{result.data.symbol}: settings for {', '.join(one.name for one in result.options.plan.objectives)}"
    kind = ("simulated", "SIMULATED MARKET") if result.data.simulated else ("recorded", "recorded market")
    stopped = " Interrupted: this is what was found until then." if result.interrupted else ""
    folds, front, trials = folds_grid(result), front_grid(result), trials_grid(result)
    wide = "".join(f"<section>{grid_html(grid, css='wide times')}</section>" for grid in (folds, front) if grid.rows)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{css}{_OWN_CSS}</style></head><body><header>"
        f'<p class="badge {kind[0]}">{kind[1]}</p><h1>{escape(title)}</h1>'
        f'<p class="when">{escape(market_text(result))} </p><p class="when">Searched for {escape(objectives)}.</p>'
        f'<p class="verdict"><b>{escape(result.verdict.headline)}</b>{stopped}</p></header><main>'
        f"{assumptions_html(search_assumptions(result))}"
        f"<section>{grid_html(verdict_grid(result), css='wide', name='verdict')}</section>"
        f"<section>{grid_html(figures_grid(result), css='wide')}</section>"
        f'<section class="charts">{charts_html(result)}</section>'
        f'<section class="tables">{grid_html(chosen_grid(result))}{_importances(result)}</section>{wide}'
        f"<section>{grid_html(trials, css='wide')}</section>"
        "</main></body></html>\n"
    )


def _told(one: Objective) -> str:
    what = f" ({one.text})" if one.text else ""
    return f"{'more' if one.direction == 'maximize' else 'less'} {one.name}{what}"


def _importances(result: SearchResult) -> str:
    """The table with a bar for the mean over the objectives."""
    grid = importance_grid(result)
    if not grid.rows:
        return ""
    weights = result.last.importances
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in (*grid.heads, ""))
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(text)}</td>" for text in row[1:])}'
        f'<td><i style="width:{100 * sum(own.get(row[0], 0.0) for own in weights.values()) / len(weights):.1f}%"></i></td></tr>'
        for row in grid.rows
    )
    return (
        f'<div class="table bars"><table><caption>{escape(grid.title)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table><p>{escape(grid.note)}</p></div>"
    )
