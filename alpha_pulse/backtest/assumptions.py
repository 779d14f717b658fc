"""What a run's figures rest on: read from its settings, said in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY

_FILL_RULES = {
    "touch": "a resting order fills when the price touches it (optimistic: it ignores the queue)",
    "through": "a resting order fills only when the price trades beyond it",
    "queue": "a resting order fills when the price trades beyond it, by at most {share:.3g} of the bar's volume",
}


def assumptions(record: RunRecord) -> dict[str, str]:
    """What the figures rest on, in words, by topic."""
    paper = _section(record, "paper")
    rule = str(paper.get("fill_rule", "through"))
    maker = Decimal(str(paper.get("maker_fee", record.instrument.maker_fee)))
    taker = Decimal(str(paper.get("taker_fee", record.instrument.taker_fee)))
    slippage = float(paper.get("slippage_bps", 0))
    return {
        "fill rule": f"{rule}: {_FILL_RULES.get(rule, 'a rule of its own').format(share=float(paper.get('queue_share', 0)))}",
        "bar path": "inside a bar the price walks open → nearer extreme → other extreme → close",
        "latency": "the bot decides on a bar's close and its orders act from the next bar on; nothing beyond that",
        "fees": f"maker {_percent(maker)}, taker {_percent(taker)} of notional",
        "slippage": f"takers pay half the spread and for the depth they use; where depth is unknown, {slippage:g} bp beyond the touch",
        "funding": "settles on the position held before that bar's fills: −position · mark · rate",
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
    return float(_section(record, "paper").get("taker_fee", record.instrument.taker_fee))


def seed(record: RunRecord) -> int | None:
    """The seed of the simulated market; None on recorded data."""
    value = _section(record, "feed").get("seed")
    return int(value) if record.simulated and value is not None else None


def _section(record: RunRecord, name: str) -> Mapping[str, Any]:
    section = record.settings.get(name)
    return section if isinstance(section, Mapping) else {}


def _plain(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}"


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f} %"
