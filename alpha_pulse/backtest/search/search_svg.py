"""The search's charts, as SVG that needs no script. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from alpha_pulse.backtest.search.objectives import Objective
from alpha_pulse.backtest.search.result import SearchResult
from alpha_pulse.backtest.svg_axis import Axis

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1180.0, 420.0, 84.0, 24.0, 14.0, 46.0  # px
Point = tuple[float, float]


def charts_html(result: SearchResult) -> str:
    """The Pareto front against the first objective, a chart for each other one; of a single objective what was found when."""
    objectives = result.options.plan.objectives
    if len(objectives) == 1:
        return _progress(result, objectives[0])
    return "".join(_front(result, 0, other) for other in range(1, len(objectives)))


def _front(result: SearchResult, across: int, up: int) -> str:
    objectives, last = result.options.plan.objectives, result.last
    one, other = objectives[across], objectives[up]
    tried = [(t.values[across], t.values[up]) for t in last.trials if t.fate == "done"]
    front = sorted((t.values[across], t.values[up]) for t, _ in last.front)
    pairs = [((t.values[across], t.values[up]), (test.figures.of(one), test.figures.of(other))) for t, test in last.front]
    tested = [(train, (a, b)) for train, (a, b) in pairs if a is not None and b is not None]
    everything = [*tried, *(test for _, test in tested)]
    x = Axis.over([p[0] for p in everything], _LEFT, _WIDTH - _RIGHT)
    y = Axis.over([p[1] for p in everything], _HEIGHT - _BOTTOM, _TOP)

    def dot(point: Point, radius: float, style: str) -> str:
        return f'<circle cx="{x.at(point[0]):.1f}" cy="{y.at(point[1]):.1f}" r="{radius:g}" style="{style}"/>'

    path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in front)
    best = last.chosen.trial.values
    marks = [
        *(dot(point, 3, "fill:var(--node)") for point in tried),
        *(_line(x, y, train, test) for train, test in tested),
        f'<polyline points="{path}" fill="none" stroke-width="2" style="stroke:var(--hedged)"/>' if len(objectives) == 2 else "",  # noqa: PLR2004 - of more objectives the front is no line
        *(dot(point, 4, "fill:var(--hedged)") for point in front),
        *(dot(test, 4, "fill:var(--card);stroke:var(--unhedged);stroke-width:1.5") for _, test in tested),
        dot((best[across], best[up]), 9, "fill:none;stroke:var(--ink);stroke-width:2"),
    ]
    keys = (
        ("node", "trials, training"),
        ("hedged", "Pareto front, training"),
        ("unhedged", "the front, tested out of sample"),
        ("ink", "chosen"),
    )
    words = f"{one.name} against {other.name}: {len(tried)} trials, {len(front)} on the Pareto front."
    return _figure(f"{other.name} against {one.name}", keys, words, _frame(x, y, one, other) + "".join(marks))


def _progress(result: SearchResult, objective: Objective) -> str:
    done = [t for t in result.last.trials if t.fate == "done"]
    best: list[Point] = []
    for trial in done:
        value = trial.values[0]
        best.append((trial.number, value if not best or objective.better(value, best[-1][1]) else best[-1][1]))
    x = Axis.over([float(t.number) for t in result.last.trials], _LEFT, _WIDTH - _RIGHT)
    y = Axis.over([t.values[0] for t in done], _HEIGHT - _BOTTOM, _TOP)
    dots = "".join(f'<circle cx="{x.at(t.number):.1f}" cy="{y.at(t.values[0]):.1f}" r="3.5" style="fill:var(--node)"/>' for t in done)
    left = "".join(
        f'<line x1="{x.at(t.number):.1f}" x2="{x.at(t.number):.1f}" y1="{_HEIGHT - _BOTTOM:.0f}" y2="{_HEIGHT - _BOTTOM - 8:.0f}" '
        f'style="stroke:var(--{"bad" if t.fate == "refused" else "soft"})"/>'
        for t in result.last.trials
        if t.fate != "done"
    )
    path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in best)
    line = f'<polyline points="{path}" fill="none" stroke-width="2" style="stroke:var(--hedged)"/>'
    chosen = result.last.chosen.trial
    ring = (
        f'<circle cx="{x.at(chosen.number):.1f}" cy="{y.at(chosen.values[0]):.1f}" r="9" '
        'style="fill:none;stroke:var(--ink);stroke-width:2"/>'
    )
    keys = (("node", "trials, training"), ("hedged", "best so far"), ("soft", "stopped early"), ("bad", "refused"), ("ink", "chosen"))
    words = f"{objective.name} of {len(done)} trials; the best is {objective.shown(chosen.values[0])}."
    trial_axis = Objective("trial", "", "maximize")
    return _figure(f"{objective.name} by trial", keys, words, _frame(x, y, trial_axis, objective) + dots + left + line + ring)


def _line(x: Axis, y: Axis, start: Point, end: Point) -> str:
    return (
        f'<line x1="{x.at(start[0]):.1f}" y1="{y.at(start[1]):.1f}" x2="{x.at(end[0]):.1f}" y2="{y.at(end[1]):.1f}" '
        'stroke-dasharray="2 3" style="stroke:var(--rule)"/>'
    )


def _frame(x: Axis, y: Axis, across: Objective, up: Objective) -> str:
    parts = []
    for tick in y.ticks():
        parts.append(
            f'<line x1="{_LEFT:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}" style="stroke:var(--grid)"/>'
        )
        parts.append(f'<text x="{_LEFT - 8:.0f}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{escape(up.shown(tick))}</text>')
    for tick in x.ticks():
        name = across.shown(tick) if across.path else f"{tick:g}"
        parts.append(
            f'<line x1="{x.at(tick):.1f}" x2="{x.at(tick):.1f}" y1="{_TOP:.0f}" y2="{_HEIGHT - _BOTTOM:.0f}" style="stroke:var(--grid)"/>'
        )
        parts.append(f'<text x="{x.at(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18:.0f}" text-anchor="middle">{escape(name)}</text>')
    better = "" if not across.path else f" ({'more' if across.direction == 'maximize' else 'less'} is better)"
    parts.append(f'<text x="{_WIDTH - _RIGHT:.0f}" y="{_HEIGHT - 6:.0f}" text-anchor="end">{escape(across.name)}{better} →</text>')
    best = "more" if up.direction == "maximize" else "less"
    parts.append(f'<text x="{_LEFT + 6:.0f}" y="{_TOP + 12:.0f}">↑ {escape(up.name)} ({best} is better)</text>')
    return "".join(parts)


def _figure(title: str, keys: Sequence[tuple[str, str]], words: str, inner: str) -> str:
    marks = {"unhedged": "○", "ink": "◯", "bad": "|", "soft": "|"}
    legend = " ".join(f'<span><span style="color:var(--{css})">{marks.get(css, "●")}</span> {escape(name)}</span>' for css, name in keys)
    return (
        f"<figure><figcaption><h2>{escape(title)}</h2>{legend}</figcaption>"
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" width="100%" role="img" aria-label="{escape(words)}" '
        f'fill="currentColor" font-size="13">{inner}</svg></div></figure>'
    )
