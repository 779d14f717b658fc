"""Two runs beside each other as tables, and as a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from alpha_pulse.backtest.grids import Grid
from alpha_pulse.backtest.report_grids import grid_html
from alpha_pulse.backtest.run_diff import FILL_COLUMNS, RunDiff
from alpha_pulse.backtest.tables import NONE, money, number, percent

Show = Callable[[float], str]


def _percent(value: float) -> str:
    return percent(value, 2)


def _count(value: float) -> str:
    return number(value, 0)


def _money(value: float) -> str:
    return money(value, plus=False)


def _plain(value: float) -> str:
    return number(value, 2)


MAIN: Final[Mapping[str, tuple[str, Show]]] = {
    "hedge_pnl": ("Hedge PnL", money),
    "attribution.static": ("  static", money),
    "attribution.timing": ("  timing", money),
    "attribution.basis": ("  basis", money),
    "attribution.funding": ("  funding", money),
    "attribution.fees": ("  fees paid", _money),
    "attribution.slippage": ("  slippage paid", _money),
    "equity.hedged.pnl": ("Change of net worth, hedged", money),
    "cost_per_coin_month": ("Cost per coin and 30 days", _money),
    "hedge_effectiveness.average_ratio": ("Average hedge ratio", _percent),
    "hedge_effectiveness.1h": ("Variance removed, 1 hour", _percent),
    "hedge_effectiveness.1d": ("Variance removed, 1 day", _percent),
    "hedge_effectiveness.ceiling": ("  ceiling", _percent),
    "protection.downside_semivariance.1d.removed": ("Downside semi-variance removed, 1 day", _percent),
    "protection.worst_decile_30d.hedged": ("Worst tenth of 30-day windows", _percent),
    "protection.capture.up": ("Upside capture", _percent),
    "protection.capture.down": ("Downside capture", _percent),
    "equity.hedged.max_drawdown": ("Worst drawdown, hedged", _percent),
    "account.hedged.total_return": ("Return", _percent),
    "account.hedged.volatility": ("Volatility a year", _percent),
    "account.hedged.sharpe": ("Sharpe ratio", _plain),
    "account.hedged.sortino": ("Sortino ratio", _plain),
    "account.hedged.calmar": ("Calmar ratio", _plain),
    "trading.fills": ("Fills", _count),
    "trading.maker_share": ("Maker share of the notional", _percent),
    "trading.turnover": ("Turnover", _money),
    "tracking_error_rms": ("Tracking error, base units", lambda value: number(value, 4)),
}
_MOST_FILLS: Final = 20


def diff_grids(diff: RunDiff, *, everything: bool = False) -> list[Grid]:
    """The tables of a comparison; those without a row are left out."""
    a, b = diff.names
    market = tuple((key, _text(pair[0]), _text(pair[1])) for key, pair in diff.market.items())
    settings = tuple((key, _text(pair[0]), _text(pair[1])) for key, pair in diff.settings.items())
    fills = diff.fills
    counts = (("in both", f"{fills.common:,}"), (f"only in {a}", f"{len(fills.only_a):,}"), (f"only in {b}", f"{len(fills.only_b):,}"))
    parting = sorted([(*key, a) for key in fills.only_a] + [(*key, b) for key in fills.only_b])[:_MOST_FILLS]
    found = [
        Grid("Not the same market", ("", a, b), market, "Figures of different markets say little about the settings."),
        Grid("Settings that differ", ("setting", a, b), settings),
        Grid("Figures", ("", a, b, "difference"), tuple(_rows(diff, everything=everything)), "", frozenset({3})),
        Grid("Fills", ("", "number"), counts, f"They part at {fills.first}." if fills.first else "The fills are the same."),
        Grid("The first fills that differ", (*FILL_COLUMNS, "only in"), tuple(parting)),
    ]
    return [grid for grid in found if grid.rows]


def _rows(diff: RunDiff, *, everything: bool) -> Iterator[tuple[str, ...]]:
    for path, (label, show) in MAIN.items():
        pair = diff.figures.get(path)
        if pair is not None and pair != (None, None):
            yield label, *_shown(pair, show)
    if everything:
        for path, pair in diff.figures.items():
            if path not in MAIN and pair[0] != pair[1]:
                yield path, *_shown(pair, lambda value: number(value, 8, trim=True))


def _shown(pair: tuple[float | None, float | None], show: Show) -> tuple[str, str, str]:
    a, b = pair
    texts = [NONE if value is None else show(value) for value in pair]
    if a is None or b is None:
        return texts[0], texts[1], NONE
    text = show(b - a)
    return texts[0], texts[1], f"+{text}" if b > a and text[:1].isdigit() and any(c in "123456789" for c in text) else text


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else str(value)


def diff_html(diff: RunDiff, grids: Sequence[Grid]) -> str:
    """The comparison as one self-contained page without a script."""
    css = (files("alpha_pulse.backtest") / "assets" / "report.css").read_text(encoding="utf-8")
    title = escape(f"{diff.names[0]} against {diff.names[1]}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{css}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{''.join(grid_html(grid, css='wide') for grid in grids)}\n</body>\n</html>\n"
    )
