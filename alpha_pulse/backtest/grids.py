"""The figures of a backtest beyond the demo's, as tables of text that the console and the report both show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from alpha_pulse.backtest.fill_rules import RuleFigures, reading
from alpha_pulse.backtest.metrics import Figure
from alpha_pulse.backtest.protection import SemiVariance
from alpha_pulse.backtest.record import TargetMove
from alpha_pulse.backtest.result import RunResult, iso_utc
from alpha_pulse.backtest.tables import NONE, money, number, percent
from alpha_pulse.backtest.tables import span as _span

MOST_DECISIONS: Final = 60
_BENCHMARK: Final = "Against a static hedge of the same average size"
_TIMING: Final = "Timing: grid less static hedge, fees, slippage and funding included; block bootstrap of whole days."
_LEAST_P: Final = 0.001  # the last digit shown
Show = Callable[[float], str]
PATHS: Final = {"hedged": "grid hedge", "unhedged": "unhedged", "static": "static hedge"}


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: the first cell of each row is its label. ``signed`` columns (by index) are coloured by their sign."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    signed: frozenset[int] = frozenset()
    prose: frozenset[int] = frozenset()  # columns of words, set to the left


def backtest_grids(result: RunResult) -> list[Grid]:
    """Every table, in the order in which a reader wants them; those without a row are left out."""
    found = [
        rules_grid(result),
        protection_grid(result),
        benchmark_grid(result),
        account_grid(result),
        ledger_grid(result),
        markouts_grid(result),
        orders_grid(result),
        limits_grid(result),
    ]
    return [grid for grid in found if grid.rows]


def rules_grid(result: RunResult) -> Grid:
    """The run under each fill rule; a rule a column."""
    rules = result.fill_rules
    if not rules:
        return Grid("Under each fill rule", (), ())
    chosen = result.assumptions.get("fill rule", "").partition(":")[0]
    lines: tuple[tuple[str, Callable[[RuleFigures], str]], ...] = (
        (f"Hedge PnL, {result.quote}", lambda r: money(r.hedge_pnl)),
        ("Timing", lambda r: money(r.timing)),
        ("Funding", lambda r: money(r.funding)),
        ("Fees and slippage", lambda r: money(-r.fees_and_slippage)),
        ("Cost per coin and 30 days", lambda r: _figure(r.cost_per_coin_month, _cost)),
        ("Variance removed, 1 day", lambda r: _figure(r.effectiveness_day, lambda v: percent(v, 1))),
        ("Worst drawdown", lambda r: _figure(r.max_drawdown, lambda v: percent(-v))),
        ("Average hedge ratio", lambda r: _figure(r.average_ratio, lambda v: percent(v, 1))),
        ("Fills", lambda r: f"{r.fills:,}"),
        ("Maker share of the notional", lambda r: _figure(r.maker_share, lambda v: percent(v, 0))),
        ("Maker markout at 5 bars", lambda r: _figure(r.maker_markout_bps, _bps)),
    )
    rows = tuple((label, *(show(found) for found in rules.values())) for label, show in lines)
    heads = ("", *(f"{rule} (this run)" if rule == chosen else rule for rule in rules))
    return Grid("Under each fill rule", heads, rows, reading(rules, result.quote))


def protection_grid(result: RunResult) -> Grid:
    """Hedge figures beside the static hedge and none."""
    found, activity = result.protection, result.activity
    worst, captured = found.worst_decile, found.capture
    if result.inventory == 0:
        return Grid("Protection", (), ())
    note = (
        "Semi-variance counts losses alone. Worst tenth: the windows of 30 days in which the unhedged holder lost most, of "
        f"{worst.windows}, in fractions of the coins' value. Capture: mean day where the unhedged net worth rose or fell."
    )
    unit = f"{result.quote} per hedged coin and day"
    rows = (
        _semi("Downside semi-variance removed, 1 hour", found.downside_hour),
        _semi("Downside semi-variance removed, 1 day", found.downside_day),
        ("Worst tenth of 30-day windows", *(_signed(f) for f in (worst.hedged, worst.unhedged, worst.static))),
        ("Upside capture, 1 day", _share(captured.up), "100.0 %", _share(captured.static_up)),
        ("Downside capture, 1 day", _share(captured.down), "100.0 %", _share(captured.static_down)),
        (f"Cost, {unit}", _figure(activity.cost_per_hedged_coin_day, _cost), "", ""),
        (f"Fees and slippage, {unit}", _figure(activity.trading_cost_per_hedged_coin_day, _cost), "", ""),
    )
    return Grid("Protection", ("", *PATHS.values()), rows, note)


def benchmark_grid(result: RunResult) -> Grid:
    """What the gate of the static benchmark says of the run's days; no row where it was not run."""
    found = result.benchmark
    if found is None:
        return Grid(_BENCHMARK, (), ())
    gate = found.gate
    if gate is None or found.reason:
        cells = (NONE, NONE, NONE, f"{0 if gate is None else gate.periods:,}")
    else:
        low, high = (percent(value, 4, plus=True) for value in (gate.low, gate.high))
        p_value = number(gate.p_value, 3) if gate.p_value >= _LEAST_P else f"under {_LEAST_P}"
        cells = (percent(gate.mean, 4, plus=True), f"{low} … {high}", p_value, f"{gate.periods:,}")
    heads = ("", "mean a day", "90 % interval", "p-value, one-sided", "whole days")
    return Grid(_BENCHMARK, heads, (("Timing, of the coins' value", *cells),), f"{_TIMING} {found.words}")


def account_grid(result: RunResult) -> Grid:
    """The whole account's return and risk."""
    account = [result.account[name] for name in PATHS]
    rows = (
        ("Return", *(_signed(f.total_return) for f in account)),
        ("Return a year (CAGR)", *(_signed(f.cagr) for f in account)),
        ("Volatility a year", *(_share(f.volatility) for f in account)),
        ("Sharpe ratio", *(_ratio(f.sharpe) for f in account)),
        ("Sortino ratio", *(_ratio(f.sortino) for f in account)),
        ("Calmar ratio", *(_ratio(f.calmar) for f in account)),
        ("Value at risk, 1 day, 95 %", *(_figure(f.var_95, percent) for f in account)),
        ("Expected shortfall, 1 day, 95 %", *(_figure(f.cvar_95, percent) for f in account)),
        ("Longest drawdown", *(_figure(f.longest_drawdown_days, _span) for f in account)),
    )
    days = account[0].daily_returns
    note = (
        f"Of net worth, wallet included: a larger wallet makes every figure smaller. {days} daily returns, 365 a year, no risk-free rate."
    )
    turnover = _figure(result.activity.turnover_per_year, lambda v: f"{number(v, 1)} × a year")
    return Grid("The account", ("", *PATHS.values()), (*rows, ("Turnover of net worth", turnover, "", "")), note)


def ledger_grid(result: RunResult) -> Grid:
    """What each kind of order cost, and what funding brought."""
    quote, activity = result.quote, result.activity
    rows = [
        (
            name,
            f"{bill.fills:,}",
            number(bill.quantity, 4),
            money(bill.notional, plus=False),
            money(-bill.fees),
            money(-bill.slippage),
            _bps((bill.fees + bill.slippage) / bill.notional * -1e4),
        )
        for name, bill in activity.ledger.items()
        if bill.notional > 0
    ]
    blank = ("", "", "")
    if result.funding or activity.funding_paid:
        rows.append(("funding received", *blank, money(activity.funding_received), "", ""))
        rows.append(("funding paid", *blank, money(-activity.funding_paid), "", ""))
    if rows:
        shown = result.attribution
        rows.append(("all together", *blank, money(shown.funding - shown.fees), money(-shown.slippage), ""))
    heads = ("orders", "fills", result.base, f"notional, {quote}", "fees, funding", "slippage", "of notional")
    return Grid(f"Cost ledger, {quote}", heads, tuple(rows), "", frozenset({4, 5}))


def markouts_grid(result: RunResult) -> Grid:
    """Where the market went after the fills."""
    rows = tuple(
        (f"{m.bars} bar{'s' if m.bars > 1 else ''}", f"{m.fills:,}", _figure(m.maker, _bps), _figure(m.taker, _bps), _figure(m.every, _bps))
        for m in result.markouts
        if m.fills
    )
    note = "Mean move of the perpetual after our fills, weighted by notional; below zero the market went on against the fill."
    return Grid("Markouts", ("after", "fills", "maker", "taker", "all"), rows, note, frozenset({2, 3, 4}))


def orders_grid(result: RunResult) -> Grid:
    """How many of the orders filled."""
    rows = tuple(
        (name, f"{rate.sent:,}", f"{rate.filled:,}", _share(rate.rate), _share(rate.quantity_rate))
        for name, rate in result.activity.fill_rates.items()
    )
    note = "An order that is moved is a new order, so a grid that follows the price has low rates."
    return Grid("Fill rates", ("orders", "sent", "filled", "by number", "by quantity"), rows, note)


def limits_grid(result: RunResult) -> Grid:
    """How long the hedge stood at a limit."""
    limits = result.activity.limits
    named = (
        ("Target at the margin or position cap", limits.at_cap),
        ("Target at max_ratio", limits.at_max_ratio),
        ("Floor above the ratio", limits.floor_binding),
        ("Latched: stop or drawdown", limits.latched),
        ("Risk state not normal", limits.restricted),
    )
    return Grid("Time at limits", ("", "of the time"), tuple((label, _share(figure)) for label, figure in named))


def drawdowns_grid(result: RunResult) -> Grid:
    """The deepest falls of the hedged path."""
    rows = tuple(
        (
            _day(d.peak_ms),
            _day(d.trough_ms),
            NONE if d.recovered_ms is None else _day(d.recovered_ms),
            percent(-d.depth),
            _span(d.days),
        )
        for d in result.account["hedged"].drawdowns
    )
    return Grid("Deepest drawdowns of the grid hedge", ("peak", "trough", "recovered", "depth", "length"), rows)


def decisions_grid(result: RunResult, most: int = MOST_DECISIONS) -> Grid:
    """The decision table: every change of the target with what led to it; of very many the largest."""
    moves = list(result.moves)
    note = ""
    if len(moves) > most:
        note = f"The {most} largest of {len(moves):,} changes; decisions.csv has all."
        kept = sorted(range(len(moves)), key=lambda i: (-_size(moves[i]), i))[:most]
        moves = [moves[i] for i in sorted(kept)]
    rows = tuple(
        (
            _minute(m.ts_ms),
            number(m.price, 2),
            NONE if result.inventory == 0 else percent(-m.position / result.inventory + 0.0, 1),
            _moved(m.ratio_before, m.ratio),
            _moved(m.floor_before, m.floor),
            m.why,
        )
        for m in moves
    )
    return Grid("Decisions on the target", ("time, UTC", "price", "hedged then", "ratio", "floor", "why"), rows, note, prose=frozenset({5}))


def _size(move: TargetMove) -> float:
    """How far a decision moved ratio and floor; the first one outranks all."""
    if move.ratio_before is None or move.floor_before is None:
        return float("inf")
    return abs(move.ratio - move.ratio_before) + abs(move.floor - move.floor_before)


def _moved(before: float | None, after: float) -> str:
    return percent(after, 1) if before is None or before == after else f"{percent(before, 1)} → {percent(after, 1)}"


def _semi(label: str, found: SemiVariance) -> tuple[str, ...]:
    return label, _share(found.removed), "0.0 %", _share(found.static_removed)


def _figure(figure: Figure, show: Show) -> str:
    return NONE if figure.value is None else show(figure.value)


def _share(figure: Figure) -> str:
    return _figure(figure, lambda value: percent(value, 1))


def _signed(figure: Figure) -> str:
    return _figure(figure, lambda value: percent(value, 2, plus=True))


def _cost(value: float) -> str:
    return money(value, plus=False)


def _ratio(figure: Figure) -> str:
    return _figure(figure, lambda value: number(value, 2))


def _bps(value: float) -> str:
    return f"{number(value, 2, plus=True)} bp"


def _day(ts_ms: int) -> str:
    return iso_utc(ts_ms)[:10]


def _minute(ts_ms: int) -> str:
    return iso_utc(ts_ms)[:16].replace("T", " ")
