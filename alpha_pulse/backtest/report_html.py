"""The report's tables as HTML. Every text is escaped here, whatever it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from alpha_pulse.backtest import tables
from alpha_pulse.backtest.attribution import SIGNS
from alpha_pulse.backtest.result import RunResult, iso_utc

MAX_NOTES = 300


def cards_html(result: RunResult) -> str:
    """The four figures that answer: did it protect, what did it earn or lose, what did it cost, what did it do."""
    hedged, unhedged, static = tables.path_rows(result)
    share = result.hedged.max_drawdown.value is not None
    worst = [row.drawdown if share else row.drawdown_quote for row in (hedged, unhedged, static)]
    cost = tables.shown_cost(result, result.trading.cost_per_month)
    effect = tables.effectiveness_rows(result)
    best = effect[1] if result.effectiveness.day.value is not None else effect[0]
    pnl = tables.attribution_rows(result)[-1].value
    return "".join(
        [
            _card("Worst drawdown", worst[0], f"unhedged {worst[1]}, static hedge {worst[2]}"),
            _card(f"Hedge PnL, {result.quote}", pnl, f"unhedged coins {unhedged.change}", signed=True),
            _card(
                tables.cost_word(result),
                tables.NONE if cost is None else tables.percent(abs(cost)),
                result.trading.cost_per_month.reason
                or f"of the coin's price in {tables.over_what(result)}, apart from the price exposure that it removed",
            ),
            _card(f"Price variance removed, {best.label}", best.grid, f"ceiling {best.ceiling}, static hedge {best.static}"),
        ]
    )


def tables_html(result: RunResult) -> str:
    """All tables, in the order of the console's."""
    ended, took = _rows("Where it ended", tables.state_rows(result)), _rows("What it took", tables.cost_rows(result), signed=True)
    return f'<div class="stack">{ended}{_paths(result)}{_effectiveness(result)}</div><div class="stack">{took}{_attribution(result)}</div>'


def assumptions_html(assumptions: Mapping[str, str]) -> str:
    """What the figures rest on, by topic."""
    items = "".join(f"<dt>{escape(name.capitalize())}</dt><dd>{escape(text)}</dd>" for name, text in assumptions.items())
    return f'<section class="prose"><div><h2>What these figures assume</h2><dl>{items}</dl></div></section>'


def notes_html(result: RunResult) -> str:
    """What happened on the way, oldest first; a page shows a few hundred at most, result.json all."""
    if not result.notes:
        return "<p>Nothing but fills and funding.</p>"
    items = "".join(f"<li><time>{iso_utc(ts)[:16].replace('T', ' ')}</time>{escape(text)}</li>" for ts, text in result.notes[:MAX_NOTES])
    more = len(result.notes) - MAX_NOTES
    return f"<ol>{items}</ol>" + (f"<p>{more:,} more in result.json.</p>" if more > 0 else "")


def _card(title: str, value: str, note: str, *, signed: bool = False) -> str:
    css = _sign_class(value) if signed else ""
    return f'<div class="card"><h2>{escape(title)}</h2><p class="big {css}">{escape(value)}</p><p class="note">{escape(note)}</p></div>'


def _rows(title: str, rows: Iterable[tables.Row], *, signed: bool = False) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th><td class="{_sign_class(row.value) if signed else ""}">{escape(row.value)}</td>'
        f'<td class="note">{escape(row.note)}</td></tr>'
        for row in rows
    )
    return _table(title, "", body)


def _paths(result: RunResult) -> str:
    body = "".join(
        f'<tr class="{"main" if i == 0 else ""}"><th scope="row">{escape(row.label)}</th><td>{escape(row.end)}</td>'
        f'<td class="{_sign_class(row.change)}">{escape(row.change)}</td>'
        f"<td>{escape(row.drawdown)}</td><td>{escape(row.drawdown_quote)}</td></tr>"
        for i, row in enumerate(tables.path_rows(result))
    )
    head = _head("", "at the end", "change", "worst drawdown", f"in {result.quote}")
    return _table(
        f"Net worth, {result.quote}", head, body, "Wallet, coins at spot and perpetual at mark; the wallet's cash counts in all three."
    )


def _effectiveness(result: RunResult) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(row.label)}</th><td><b>{escape(row.grid)}</b></td>'
        f"<td>{escape(row.static)}</td><td>{escape(row.ceiling)}</td></tr>"
        for row in tables.effectiveness_rows(result)
    )
    head = _head("over", "grid hedge", "static hedge", "ceiling")
    return _table("Effectiveness: share of price variance removed", head, body, tables.effectiveness_note(result))


def _attribution(result: RunResult) -> str:
    """The terms as a waterfall: each bar starts where the one above ended; the thin line is zero."""
    rows = tables.attribution_rows(result)
    shown = result.attribution.cents()
    spans: list[tuple[float, float]] = []
    level = 0.0
    for name, sign in SIGNS.items():
        spans.append((level, level + sign * float(shown[name])))
        level = spans[-1][1]
    spans.append((0.0, level))
    low, high = min(0.0, *(min(s) for s in spans)), max(0.0, *(max(s) for s in spans))
    width = (high - low) or 1.0
    body = "".join(
        f'<tr class="{"total" if row is rows[-1] else ""}"><th scope="row" title="{escape(row.note)}">{escape(row.label)}</th>'
        f'<td class="{_sign_class(row.value)}">{escape(row.value)}</td><td class="bar">{_bar(span, low, width)}</td>'
        f'<td class="note">{escape(row.note)}</td></tr>'
        for row, span in zip(rows, spans, strict=True)
    )
    return _table(f"Where the hedge's PnL came from, {result.quote}", "", body)


def _bar(span: tuple[float, float], low: float, width: float) -> str:
    left, size = 100 * (min(span) - low) / width, 100 * abs(span[1] - span[0]) / width
    css = "gain" if span[1] >= span[0] else "loss"
    zero = -100 * low / width
    return f'<div aria-hidden="true"><b style="left:{zero:.2f}%"></b><i class="{css}" style="left:{left:.2f}%;width:{size:.2f}%"></i></div>'


def _table(title: str, head: str, body: str, note: str = "") -> str:
    text = f"<p>{escape(note)}</p>" if note else ""
    return f'<div class="table"><table><caption>{escape(title)}</caption>{head}<tbody>{body}</tbody></table>{text}</div>'


def _head(*names: str) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{escape(name)}</th>' for name in names) + "</tr></thead>"


def _sign_class(text: str) -> str:
    return "minus" if text.startswith(tables.MINUS) else "plus" if text.startswith("+") else ""
