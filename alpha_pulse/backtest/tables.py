"""The figures of a run as the console and the report both show them: titled rows of label, value and a word of explanation."""

from __future__ import annotations

from dataclasses import dataclass

from alpha_pulse.backtest.metrics import MONTH_DAYS, Equity, Figure
from alpha_pulse.backtest.result import RunResult

MINUS = "−"
NONE = "n/a"
_OFTEN = 0.25  # of the time at the cap: then the cap, not the policy, sized the hedge
ATTRIBUTION_WORDS = {
    "static": "average position × move of the spot price",
    "timing": "adding to it and taking it off on the way",
    "basis": "the perpetual moving against spot",
    "funding": "received (+) or paid (−)",
    "fees": "maker and taker fees",
    "slippage": "spread and depth, paid by takers",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. ``note`` may be empty."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class PathRow:
    """One line of the comparison: what became of the net worth."""

    label: str
    end: str
    change: str
    drawdown: str
    drawdown_quote: str


@dataclass(frozen=True, slots=True)
class EffectivenessRow:
    """One line of the effectiveness table."""

    label: str
    grid: str
    static: str
    ceiling: str


def headline(result: RunResult) -> str:
    """What was run, on what: it always says so when the market was made up."""
    if result.inventory == 0:
        return f"Market-neutral grid on {result.base} over {span(result.days)}"
    return f"Grid hedge of {number(result.inventory, 8, trim=True)} {result.base} over {span(result.days)}"


def market_label(result: RunResult) -> str:
    """The market's nature: ``SIMULATED MARKET (seed 7)`` or the recorded source."""
    if not result.simulated:
        return f"Recorded market: {result.source.removeprefix('recorded: ')}"
    return "SIMULATED MARKET" + ("" if result.seed is None else f" (seed {result.seed})")


def verdict(result: RunResult) -> str:
    """One paragraph: what the price did, what each holder was left with, what the hedge cost."""
    move = result.spot_last / result.spot_first - 1
    text = f"{result.base} {'rose' if move >= 0 else 'fell'} {percent(abs(move), 1)}. "
    if result.inventory == 0:
        return text + f"There are no coins to protect; the grid made {money(result.hedged.pnl)} {result.quote}."
    text += (
        f"Change of net worth: {money(result.unhedged.pnl)} {result.quote} without a hedge, {money(result.hedged.pnl)} with the grid, "
        f"{money(result.static.pnl)} with a static hedge of the same average size."
    )
    text += _cost_sentence(result) + _cap_sentence(result)
    if result.benchmark is not None and result.benchmark.negative:
        text += f" {result.benchmark.advice}"
    return text + (" This market is made up: it shows how the hedge works, not what it will cost." if result.simulated else "")


def cost_word(result: RunResult) -> str:
    """What the hedge did apart from the price exposure that it removed: it cost, or it earned."""
    cost = result.trading.cost_per_coin_month.value
    return "The hedge earned" if cost is not None and cost < 0 else "The hedge cost"


def over_what(result: RunResult) -> str:
    """What costs are shown over: 30 days, or a shorter run's own length, for days do not foretell a month."""
    return f"{MONTH_DAYS} days" if _is_month(result) else span(result.days)


def shown_cost(result: RunResult, figure: Figure) -> float | None:
    """A cost of 30 days, scaled to the time of ``over_what``."""
    if figure.value is None or _is_month(result):
        return figure.value
    return figure.value * result.days / MONTH_DAYS


def _is_month(result: RunResult) -> bool:
    """Whether the run is as long as a month, its first bar, which the days leave out, rounded in."""
    return round(result.days, 1) >= MONTH_DAYS


def _cost_sentence(result: RunResult) -> str:
    cost, share = (shown_cost(result, figure) for figure in (result.trading.cost_per_coin_month, result.trading.cost_per_month))
    if cost is None or share is None:
        return ""
    did = f"{cost_word(result).lower()} {money(abs(cost), plus=False)} {result.quote} per coin"
    text = f" Apart from the price exposure that it removed, {did}"
    if _is_month(result):
        return f"{text} and month ({percent(abs(share))} of the price)."
    return f"{text} ({percent(abs(share))} of the price) in these {span(result.days)}, too few to say what a month costs."


def _cap_sentence(result: RunResult) -> str:
    """That a cap has sized the hedge, where it has, and what came of it. At the full ratio there was nothing to hold down."""
    limits = result.activity.limits
    held = (limits.at_cap.value or 0.0) - (limits.at_max_ratio.value or 0.0)
    if held < _OFTEN or result.hedge_ratio is None:
        return ""
    text = (
        f" For {percent(held, 0)} of the time a cap held the hedge down (wallet × risk.max_effective_leverage, or risk.max_position_size); "
        f"it ended at {percent(result.hedge_ratio, 1)} of the inventory."
    )
    hedged, unhedged = result.hedged.max_drawdown.value, result.unhedged.max_drawdown.value
    if hedged is not None and unhedged is not None and hedged > unhedged:
        text += f" The worst drawdown was deeper than without a hedge: {percent(hedged, 1)}, not {percent(unhedged, 1)}."
    return text


def state_rows(result: RunResult) -> list[Row]:
    """Where the run ended."""
    base, quote = result.base, result.quote
    move = result.spot_last / result.spot_first - 1
    target = "" if result.target_position is None else f"{number(result.target_position, 4)} {base}"
    side = "Short" if result.perp_position < 0 else "Long" if result.perp_position > 0 else "Perpetual"
    return [
        Row("Spot", f"{money(result.spot_last, plus=False)} {quote}", f"{percent(move, 1, plus=True)} since the start"),
        Row("Target hedge", target or NONE, _ratio(result.target_ratio, "of the inventory")),
        Row(side, f"{number(result.perp_position, 4)} {base}", _ratio(result.hedge_ratio, "of the inventory")),
        Row("Residual delta", f"{number(result.delta.end, 4)} {base}", f"average {number(result.delta.average, 4)}"),
        Row("Cash", f"{money(result.cash, plus=False)} {quote}", f"of {money(result.initial_wallet, plus=False)} at the start"),
    ]


def cost_rows(result: RunResult) -> list[Row]:
    """What the hedge paid and received."""
    quote, trading = result.quote, result.trading
    makers = "" if trading.maker_share.value is None else f", {percent(trading.maker_share.value, 0)} maker by value"
    fills = trading.maker_fills + trading.taker_fills
    cost = shown_cost(result, trading.cost_per_coin_month)
    earned = NONE if cost is None else f"{money(-cost)} {quote}"
    stops = f", stop {trading.stop_fills}" if trading.stop_fills else ""
    return [
        Row("Fees", f"{money(-result.fees)} {quote}", f"on a turnover of {money(trading.turnover, plus=False)}"),
        Row("Funding", f"{money(result.funding)} {quote}", _annual(trading.funding_annualised)),
        Row("Fills", f"{fills:,}", f"sells {trading.sells:,}, buys {trading.buys:,}{makers}{stops}"),
        Row(
            "Tracking error",
            NONE if result.delta.tracking_rms.value is None else f"{number(result.delta.tracking_rms.value, 4)} {result.base}",
            "position from its target, rms",
        ),
        Row(cost_word(result), earned, f"per coin and {over_what(result)}, exposure aside"),
    ]


def path_rows(result: RunResult) -> list[PathRow]:
    """Net worth hedged, unhedged, static."""
    labels = {"hedged": "Grid hedge", "unhedged": "Unhedged", "static": "Static hedge"}
    return [_path_row(labels[name], path) for name, path in result.paths().items()]


def effectiveness_rows(result: RunResult) -> list[EffectivenessRow]:
    """Share of the price risk removed, at one hour and one day."""
    e = result.effectiveness
    return [
        EffectivenessRow("1 hour", _share(e.hour), _share(e.static_hour), _share(e.ceiling)),
        EffectivenessRow("1 day", _share(e.day), _share(e.static_day), _share(e.ceiling)),
    ]


def effectiveness_note(result: RunResult) -> str:
    """How to read the effectiveness, or why there is none."""
    e = result.effectiveness
    reasons = dict.fromkeys(f.reason for f in (e.hour, e.day) if f.value is None)
    text = "" if e.average_ratio.value is None else f"Ceiling 1 − (1 − h)² at the average ratio h = {percent(e.average_ratio.value, 1)}."
    return " ".join([text, *(f"{NONE}: {reason}." for reason in reasons)]).strip()


def attribution_rows(result: RunResult) -> list[Row]:
    """The terms as they add up, signed by what they did to the hedge's result; the last row is the sum."""
    shown = result.attribution.cents()
    rows = [
        Row(name.capitalize(), money(float(-shown[name] if name in {"fees", "slippage"} else shown[name])), words)
        for name, words in ATTRIBUTION_WORDS.items()
    ]
    return [*rows, Row("Hedge PnL", money(float(shown["hedge_pnl"])), "the sum, to the cent")]


def money(value: float, *, plus: bool = True) -> str:
    """Quote units to the cent, with a real minus sign and, if wanted, a plus."""
    return number(value, 2, plus=plus)


def number(value: float, decimals: int, *, plus: bool = False, trim: bool = False) -> str:
    """A number with thousands separators; zero never has a sign."""
    text = f"{abs(value):,.{decimals}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    if not any(c in "123456789" for c in text):
        return text
    return f"{MINUS if value < 0 else '+' if plus else ''}{text}"


def percent(value: float, decimals: int = 2, *, plus: bool = False) -> str:
    """A fraction as per cent."""
    return f"{number(100 * value, decimals, plus=plus)} %"


def span(days: float) -> str:
    """A length of time in the unit that a person would use."""
    if days >= 2:  # noqa: PLR2004 - under two days, hours say more
        return f"{number(days, 1, trim=True)} days"
    return f"{number(24 * days, 1, trim=True)} hours"


def _path_row(label: str, path: Equity) -> PathRow:
    fraction = path.max_drawdown.value
    return PathRow(
        label=label,
        end=money(path.last, plus=False),
        change=money(path.pnl),
        drawdown=NONE if fraction is None else percent(-fraction),
        drawdown_quote=money(-path.max_drawdown_quote),
    )


def _ratio(value: float | None, words: str) -> str:
    return "" if value is None else f"{percent(value, 1)} {words}"


def _share(figure: Figure) -> str:
    return NONE if figure.value is None else percent(figure.value, 1)


def _annual(figure: Figure) -> str:
    return figure.reason if figure.value is None else f"{percent(figure.value, 1, plus=True)} a year on its average size"
