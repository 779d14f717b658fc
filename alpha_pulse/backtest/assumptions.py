"""What a run's figures rest on: read from its settings, said in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY

_FILL_RULES = {
    "touch": "a resting order fills when the price touches it (optimistic: it ignores the queue)",
    "through": "a resting order fills only when the price trades beyond it",
    "queue": "a resting order fills when the price trades beyond it, by at most {share:.3g} of the bar's volume",
}


_OWN_MARK = "no mark prices in the data: the perpetual's own price stands in for them, for the stop, margin and liquidation too"
_NO_FUNDING = "none was paid or received: the data hold no rate that settled on the position"


def assumptions(record: RunRecord) -> dict[str, str]:
    """What the figures of a run rest on, in words, by topic."""
    return assumptions_of(
        record.settings,
        record.instrument,
        has_funding=record.simulated or bool(record.funding),
        has_mark=record.simulated or record.mark != record.last,
    )


def assumptions_of(settings: Mapping[str, Any], instrument: Instrument, *, has_funding: bool, has_mark: bool) -> dict[str, str]:
    """What runs of these settings rest on, in words, by topic.

    Args:
        settings: every effective setting, JSON values.
        instrument: what is traded.
        has_funding: whether the market brought funding rates.
        has_mark: whether the market brought mark prices.
    """
    paper = _section(settings, "paper")
    rule = str(paper.get("fill_rule", "through"))
    maker = Decimal(str(paper.get("maker_fee", instrument.maker_fee)))
    taker = Decimal(str(paper.get("taker_fee", instrument.taker_fee)))
    slippage = float(paper.get("slippage_bps", 0))
    return {
        "fill rule": f"{rule}: {_FILL_RULES.get(rule, 'a rule of its own').format(share=float(paper.get('queue_share', 0)))}",
        "bar path": "inside a bar the price walks open → nearer extreme → other extreme → close",
        "latency": "the bot decides on a bar's close and its orders act from the next bar on; nothing beyond that",
        "fees": f"maker {_percent(maker)}, taker {_percent(taker)} of notional",
        "slippage": f"takers pay half the spread and for the depth they use; where depth is unknown, {slippage:g} bp beyond the touch",
        "funding": "settles on the position held before that bar's fills: −position · mark · rate" if has_funding else _NO_FUNDING,
        **({} if has_mark else {"mark": _OWN_MARK}),
        "margin": (
            f"cross margin at {_plain(paper.get('leverage', 3))} × leverage, maintenance by the venue's tiers on mark; "
            f"a liquidation closes at mark with the taker fee and {_percent(LIQUIDATION_PENALTY)} more"
        ),
        "net worth": "wallet + inventory at spot + perpetual at mark; the wallet counts in all three paths",
        "static hedge": "the run's own average position (known only afterwards), opened by a taker at the first bar, same funding",
        "not modelled": "our orders move no price; no outages of the venue, no interest on cash, no tax",
    }


def taker_fee(record: RunRecord) -> float:
    """The taker fee that the run paid, as a fraction of notional."""
    return float(_section(record.settings, "paper").get("taker_fee", record.instrument.taker_fee))


def seed(record: RunRecord) -> int | None:
    """The seed of the simulated market; None on recorded data."""
    value = _section(record.settings, "feed").get("seed")
    return int(value) if record.simulated and value is not None else None


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}


def _plain(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}"


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f} %"
