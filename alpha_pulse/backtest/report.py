"""The HTML report of a run: one self-contained page, readable from a file, without a network.

Charts are drawn by the vendored uPlot 1.6.32. Everything that comes from data or settings is escaped; a content security policy lets only
the page's own two scripts run and nothing load.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from alpha_pulse.backtest import tables
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.charts import chart_data
from alpha_pulse.backtest.metrics import Paths
from alpha_pulse.backtest.monte_carlo_view import monte_carlo_html
from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.report_grids import decisions_html, grids_html, rules_html
from alpha_pulse.backtest.report_html import assumptions_html, cards_html, notes_html, tables_html
from alpha_pulse.backtest.report_shocks import no_shocks_html, shocks_html
from alpha_pulse.backtest.result import RunResult, iso_utc
from alpha_pulse.backtest.shock_starts import start_of_record
from alpha_pulse.backtest.shocks import shock_table
from alpha_pulse.errors import ConfigError

_TOKEN = re.compile(r"\{\{(\w+)\}\}")


def render_report(record: RunRecord, result: RunResult, bars: Bars, paths: Paths) -> str:
    """The whole page as text."""
    uplot_js, report_js = _asset("uPlot.iife.min.js"), _asset("report.js")
    data = chart_data(record, result, bars, paths)
    parts = {
        "script_hashes": " ".join(f"'sha256-{_digest(script)}'" for script in (uplot_js, report_js)),
        "title": escape(f"{result.pair}: {tables.headline(result)}"),
        "licence": _asset("uPlot.LICENSE").replace("--", ""),
        "uplot_css": _asset("uPlot.min.css"),
        "report_css": _asset("report.css"),
        "badge_class": "simulated" if result.simulated else "recorded",
        "badge": escape(tables.market_label(result)),
        "headline": escape(tables.headline(result)),
        "when": escape(f"{result.pair} · {_minute(result.first_ms)} to {_minute(result.last_ms)} UTC · {result.bars:,} bars"),
        "verdict": escape(tables.verdict(result)),
        "cards": cards_html(result),
        "rules": rules_html(result),
        "tables": tables_html(result),
        "grids": grids_html(result),
        "decisions": decisions_html(result),
        "monte_carlo": monte_carlo_html(result),
        "shocks": _shocks(record),
        "figures": _figures(result, data["panels"]),
        "assumptions": assumptions_html(result.assumptions),
        "notes": notes_html(result),
        "settings": escape(json.dumps(result.settings, indent=2, ensure_ascii=False, default=str)),
        "data": _script_safe(json.dumps(data, separators=(",", ":"), allow_nan=False)),
        "uplot_js": uplot_js,
        "report_js": report_js,
    }
    return _TOKEN.sub(lambda match: parts[match[1]], _asset("report.html"))


def _shocks(record: RunRecord) -> str:
    """What price shocks would do to what the run ended with."""
    try:
        return shocks_html(shock_table(start_of_record(record)))
    except ConfigError as error:
        return no_shocks_html(str(error))


_CAPTIONS = {
    "price": "Price, grid nodes and fills",
    "ratio": "Hedge ratio against its target",
    "equity": "Net worth",
    "drawdown": "Drawdown",
    "costs": "Costs so far",
}
_KEYS = (("sell", "sell"), ("buy", "buy"), ("taker", "hollow: taker"), ("stop", "stop"), ("node", "nodes; solid: anchor"))


def _figures(result: RunResult, panels: Mapping[str, Any]) -> str:
    """One figure per chart; its text alternative says what the table says."""
    rows = tables.path_rows(result)
    words = {
        "price": f"{result.base} went from {tables.money(result.spot_first, plus=False)} to {tables.money(result.spot_last, plus=False)}.",
        "ratio": "The share of the inventory that was hedged, the share wanted, and the floor that risk demanded.",
        "equity": " ".join(f"{row.label}: change {row.change} {result.quote}." for row in rows),
        "drawdown": " ".join(f"{row.label}: worst {row.drawdown}, {row.drawdown_quote} {result.quote}." for row in rows),
        "costs": f"Funding {tables.money(result.funding)}, fees {tables.money(-result.fees)} {result.quote} at the end.",
    }
    caption = dict(_CAPTIONS)
    units = {"price": result.quote, "ratio": "% of the inventory", "equity": result.quote, "drawdown": "% of the highest net worth"}
    units["costs"] = f"{result.quote}, received above zero, paid below"
    if result.inventory == 0:
        caption["ratio"], units["ratio"] = "Position against its target", result.base
    if panels["drawdown"]["unit"] != "%":
        units["drawdown"] = result.quote
    keys = "".join(f'<span class="key {css}">{text}</span>' for css, text in _KEYS)
    return "\n".join(
        f"<figure><figcaption><h2>{caption[name]}</h2><span>{escape(units[name])}</span>{keys if name == 'price' else ''}</figcaption>"
        f'<div class="plot" id="plot-{name}" role="img" aria-label="{escape(caption[name])}. {escape(words[name])}"></div></figure>'
        for name in _CAPTIONS
    )


def _script_safe(text: str) -> str:
    """JSON that no HTML parser can mistake for markup, wherever its strings came from."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _digest(script: str) -> str:
    return b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _minute(ts_ms: int) -> str:
    return iso_utc(ts_ms)[:16].replace("T", " ")


def _asset(name: str) -> str:
    return (files("alpha_pulse.backtest") / "assets" / name).read_text(encoding="utf-8")
