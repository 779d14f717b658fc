"""How much to hedge: the pipeline from a sizer's ratio and the floors to the target, each step a named contribution.

ratio:  sizer → funding tilt → bounds → cost test → hysteresis → h
floor:  max(inventory risk, VaR, VaR of the portfolio, advice), falling slowly, under the latches → f
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from alpha_pulse.hedging.common.types import Contribution, HedgeTarget, Snapshot
from alpha_pulse.hedging.risk.costs import TradeCost, protection, trade_cost, worth_trading
from alpha_pulse.hedging.risk.floors import Floors, floor_contributions
from alpha_pulse.hedging.risk.normalizers import annualize_funding
from alpha_pulse.hedging.risk.sizing import Sizer, Sizing

_DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """The numbers of the pipeline. Ratios are fractions of the inventory."""

    sizer: Sizer
    min_ratio: float | None
    max_ratio: float
    amplitude: float  # what the grid may add to the ratio
    unit: float  # ratio and floor move in these steps
    funding_tilt: float
    funding_tilt_full: float  # annual rate at which the tilt is full
    floor_half_life_ms: float
    max_cost_share: float = math.inf  # a change of the ratio may cost this share of the shortfall that it removes
    lower_after_ms: float = 0.0  # the ratio falls no sooner than this after it last rose

    @property
    def lowest(self) -> float:
        """The least ratio that the pipeline may ask for."""
        return self.min_ratio if self.min_ratio is not None else 0.0

    def bounded(self, ratio: float) -> float:
        """The ratio within [lowest, max_ratio]."""
        return bounded_ratio(ratio, self.lowest, self.max_ratio)

    def stepped(self, wanted: float, held: float, raised_ms: int, now_ms: int) -> float:
        """Where the held ratio goes: by whole units, up at once, down no sooner than ``lower_after_ms`` after it last rose."""
        return next_ratio(wanted, held, self.unit, self.lowest, self.max_ratio, now_ms - raised_ms, self.lower_after_ms)


def step_unit(amplitude: float, amplitude_adverse: float, levels: int) -> float:
    """max(node step/|S|, 0.01): the unit in which ratio and floor move."""
    return max(max(amplitude, amplitude_adverse) / levels, 0.01)


def soft_floor(raw: float, held: float, since_ms: int, now_ms: int, unit: float, half_life_ms: float) -> tuple[float, int]:
    """The floor without latches, and since when it falls: ``raw`` rounded up to a unit at once; one unit down when its half-life says so.

    Falling from f to f − u takes half_life·log2(f/(f − u)), counted from when nobody asked for f any more: an exponential decay, in steps.
    ``since_ms`` and what is returned for it: when this step down began; 0 = the floor is asked for.
    """
    wanted = min(1.0, math.ceil(raw / unit - 1e-9) * unit)
    if wanted >= held:
        return wanted, 0
    if since_ms == 0:
        return held, now_ms
    next_down = max(wanted, (math.ceil(held / unit - 1e-9) - 1) * unit)
    wait = half_life_ms * math.log2(held / next_down) if next_down > 0.0 else half_life_ms
    return (next_down, now_ms) if now_ms - since_ms >= wait else (held, since_ms)


def step_ratio(wanted: float, held: float, unit: float) -> float:
    """Hysteresis: the held ratio moves by whole units towards the wanted one, and not before it is a unit away."""
    steps = math.trunc((wanted - held) / unit + math.copysign(1e-9, wanted - held))
    return held + steps * unit if steps else held


def bounded_ratio(ratio: float, lowest: float, highest: float) -> float:
    """The ratio within [lowest, highest]."""
    return max(lowest, min(highest, ratio))


def next_ratio(
    wanted: float, held: float, unit: float, lowest: float, highest: float, since_raised_ms: float, lower_after_ms: float
) -> float:
    """Where the held ratio goes; see ``TargetPolicy.stepped``."""
    ratio = bounded_ratio(step_ratio(wanted, held, unit), lowest, highest)
    return held if ratio < held <= highest and since_raised_ms < lower_after_ms else ratio


def most_hedge(size: float, ratio: float, floor: float, max_ratio: float, amplitude: float) -> float:
    """The largest position that the curve of an inventory of ``size`` (base units, > 0) can ask for."""
    return size * max(floor, min(max_ratio, ratio + amplitude))


def tested_quantity(before: float, after: float, unit: float, size: float) -> float:
    """What a change of the ratio trades at first, base units: a larger change is traded in steps as well."""
    return min(abs(after - before), unit) * size


def funding_tilt(policy: TargetPolicy, annual: float, inventory: float) -> float:
    """What funding adds to the ratio: positive funding pays a short, so a long inventory hedges more; bounded."""
    lean = max(-1.0, min(1.0, annual / policy.funding_tilt_full))
    return policy.funding_tilt * (lean if inventory >= 0 else -lean)


@dataclass(frozen=True, slots=True)
class _Ratio:
    """The steps of the ratio on one snapshot."""

    sizing: Sizing
    annual: float
    tilted: float
    wanted: float
    held: float
    cost: TradeCost | None  # of the step that was tested; None = there was none to test
    affordable: bool
    ratio: float


def _ratio(policy: TargetPolicy, snapshot: Snapshot) -> _Ratio:
    previous, raw, inventory = snapshot.state.target, snapshot.market.raw, float(snapshot.inventory)
    sizing = Sizing(*policy.sizer.size(snapshot))
    annual = annualize_funding(raw.funding_rate, raw.funding_interval_h)
    tilted = sizing.ratio + (funding_tilt(policy, annual, inventory) if policy.funding_tilt else 0.0)
    wanted = policy.bounded(tilted)
    held = policy.bounded(sizing.ratio) if previous is None else previous.ratio
    raised_ms = 0 if previous is None else previous.raised_ms
    stepped = policy.stepped(wanted, held, raised_ms, snapshot.market.now_ms)
    cost, affordable = None, True
    if previous is not None and stepped != held and inventory != 0.0 and policy.max_cost_share < math.inf:
        quantity = tested_quantity(held, stepped, policy.unit, abs(inventory))
        cost = trade_cost(quantity, selling=(stepped > held) == (inventory > 0.0), market=snapshot.market, instrument=snapshot.instrument)
        affordable = worth_trading(cost, snapshot.market.volatility_day, policy.max_cost_share)
    return _Ratio(sizing, annual, tilted, wanted, held, cost, affordable, stepped if affordable else held)


def hedge_target(policy: TargetPolicy, snapshot: Snapshot, floors: Floors, floor_held: float, latches: tuple[str, ...]) -> HedgeTarget:
    """Ratio and floor for this snapshot. The previous target object returns while neither moved.

    Args:
        policy: the numbers of the pipeline.
        snapshot: what is seen.
        floors: what each floor asks for now.
        floor_held: the floor after its slow fall.
        latches: names of the latches that are on.
    """
    previous = snapshot.state.target
    steps = _ratio(policy, snapshot)
    floor = 1.0 if latches else floor_held
    if previous is not None and previous.ratio == steps.ratio and previous.floor == floor:
        return previous
    contributions = (
        *_ratio_contributions(policy, snapshot, steps),
        *floor_contributions(floors, snapshot, floor_held, policy.unit, latches),
    )
    raised_ms = 0 if previous is None else previous.raised_ms
    return HedgeTarget(
        ratio=steps.ratio,
        floor=floor,
        min_ratio=steps.ratio if policy.min_ratio is None else policy.min_ratio,
        max_ratio=policy.max_ratio,
        contributions=contributions,
        raised_ms=snapshot.market.now_ms if previous is not None and steps.ratio > previous.ratio else raised_ms,
    )


def _ratio_contributions(policy: TargetPolicy, snapshot: Snapshot, steps: _Ratio) -> tuple[Contribution, ...]:
    raw, sigma = snapshot.market.raw, snapshot.market.volatility_day
    sized, tested = steps.sizing.ratio, steps.wanted if steps.affordable else steps.held
    income = -float(snapshot.account.position.quantity) * raw.mark.close * steps.annual / _DAYS_PER_YEAR
    funding = f"funding of {steps.annual:+.2%} a year: {income:+,.2f} {snapshot.instrument.quote} a day on what is held"
    test, inputs = "nothing to trade for", {}
    if steps.cost is not None:
        worth = protection(sigma)
        test = f"costs {steps.cost.total:.3%}, removes a shortfall of {worth:.2%} a day: {'go' if steps.affordable else 'not worth it'}"
        inputs = {"fee": steps.cost.fee, "spread": steps.cost.spread, "impact": steps.cost.impact, "protection": worth}
    return (
        Contribution("sizer", 0.0, sized, steps.sizing.reason, _plain(steps.sizing.inputs)),
        Contribution("funding tilt", sized, steps.tilted, funding, {"rate": raw.funding_rate, "interval_h": raw.funding_interval_h}),
        Contribution("bounds", steps.tilted, steps.wanted, f"kept within {policy.lowest:.0%} … {policy.max_ratio:.0%}"),
        Contribution("cost test", steps.wanted, tested, test, inputs),
        Contribution(
            "hysteresis", tested, steps.ratio, f"held at {steps.held:.1%}; moves in units of {policy.unit:.1%}", {"held": steps.held}
        ),
    )


def _plain(inputs: Any) -> Any:
    """Mappings as plain dictionaries, so that what was stored equals what was decided."""
    return {key: _plain(value) for key, value in inputs.items()} if hasattr(inputs, "items") else inputs
