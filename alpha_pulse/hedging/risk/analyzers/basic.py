"""The plain analysis of a hedge: where it stands, what would bring it to its target, and what a person should know. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import HedgeView
from alpha_pulse.hedging.risk.analyzers.commentary import Findings, commentary_of, reason_of
from alpha_pulse.hedging.risk.analyzers.view import DUST, Margin, check_view, margin_of

_ROUNDING = 1e-9  # of a size: differences below it are the float's, not the market's


class Priority(IntEnum):
    """How soon an adjustment should be made; a higher one is more pressing."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    URGENT = 4


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of the perpetual position that leads to the target. Not rounded to a venue's steps: the grid does that."""

    side: Side
    quantity: float  # base units, above 0
    notional: float  # quote units, at mark
    priority: Priority
    reason: str


@dataclass(frozen=True, slots=True)
class HedgeAnalysis:
    """Where a hedge stands. See ``Margin`` for how leverage and margin use are defined."""

    current_ratio: float  # −F/S: 1 = fully hedged, negative = the perpetual adds to the exposure; 0 without an inventory
    target_ratio: float
    net_delta: float  # S + F, base units
    net_delta_usd: float  # at mark, quote units
    margin_use: float  # share of equity that the initial margin takes; inf when equity is gone
    effective_leverage: float  # |F|·price / equity; inf when equity is gone
    liquidation_distance: float  # fraction of mark; inf when it cannot be liquidated
    adjustments: tuple[Adjustment, ...]  # in the order in which to make them
    remainder: float  # signed base units that they leave to the target, because of the largest size, the smallest, or the leverage cap
    commentary: str


@dataclass(frozen=True, slots=True)
class BasicFuturesHedgeAnalyzer:
    """Compares a hedge with its target. The same view always gives the same analysis.

    An adjustment never exceeds ``max_adjustment_usd``: a larger one is capped and the remainder is named, to be closed by a later
    analysis of the position as it is then. It never raises the effective leverage over the view's cap; one that shrinks the
    position always may. Priority follows the whole gap over |S| (over |F| without an inventory); what shrinks a position whose
    leverage is near or over its cap is HIGH or URGENT. Fees and slippage are not counted.

    Raises:
        ConfigError: sizes or thresholds that are not finite, negative, or out of order.
    """

    min_adjustment_usd: float = 100.0  # quote units; smaller ones are not proposed
    max_adjustment_usd: float = 1_000_000.0  # quote units
    medium_gap: float = 0.10  # of the inventory
    high_gap: float = 0.25
    urgent_gap: float = 0.50
    high_leverage_use: float = 0.80  # of the leverage cap

    def __post_init__(self) -> None:
        """Check sizes and thresholds."""
        if not 0.0 <= self.min_adjustment_usd <= self.max_adjustment_usd < math.inf or self.max_adjustment_usd == 0.0:
            value = (self.min_adjustment_usd, self.max_adjustment_usd)
            fix = "give 0 or more for the smallest size, and at least as much for the largest"
            raise ConfigError("sizes must be finite and in order", field="min_adjustment_usd, max_adjustment_usd", value=value, fix=fix)
        if not 0.0 < self.medium_gap <= self.high_gap <= self.urgent_gap < math.inf:
            gaps = (self.medium_gap, self.high_gap, self.urgent_gap)
            raise ConfigError(
                "thresholds must be above 0 and rise", field="medium_gap, high_gap, urgent_gap", value=gaps, fix="0.1, 0.25, 0.5"
            )
        if not 0.0 < self.high_leverage_use <= 1.0:
            raise ConfigError("must be above 0 and at most 1", field="high_leverage_use", value=self.high_leverage_use, fix="give 0.8")

    def analyze(self, view: HedgeView, target_ratio: float) -> HedgeAnalysis:
        """Where the hedge stands, and what leads to ``target_ratio`` of the inventory (0 … 1; with S = 0 the target is flat).

        Raises:
            ConfigError: the view or the target is out of range; see ``check_view``.
        """
        check_view(view)
        if not 0.0 <= target_ratio <= 1.0:
            raise ConfigError("must be from 0 to 1", field="target_ratio", value=target_ratio, fix="give a share of the inventory")
        inventory, position = _no_dust(view.inventory), _no_dust(view.perpetual)
        margin = margin_of(view)
        target = -inventory * target_ratio
        reachable = _reachable(view, margin, position, target)
        step = _step(reachable - position, view.price, self.min_adjustment_usd, self.max_adjustment_usd)
        gap_share = abs(target - position) / abs(inventory or position or 1.0)
        findings = Findings(
            view=view,
            margin=margin,
            inventory=inventory,
            position=position,
            ratio=-position / inventory if inventory else 0.0,
            target_ratio=target_ratio,
            gap=target - position,
            reachable_gap=reachable - position,
            step=step,
            min_usd=self.min_adjustment_usd,
        )
        adjustments = (self._adjustment(findings, gap_share),) if step else ()
        return HedgeAnalysis(
            current_ratio=findings.ratio + 0.0,  # −0.0 reads badly
            target_ratio=target_ratio,
            net_delta=inventory + position,
            net_delta_usd=(inventory + position) * view.price,
            margin_use=margin.margin_use,
            effective_leverage=margin.effective_leverage,
            liquidation_distance=margin.liquidation_distance,
            adjustments=adjustments,
            remainder=findings.gap - step,
            commentary=commentary_of(findings, adjustments[0].priority.name if adjustments else ""),
        )

    def _adjustment(self, found: Findings, gap_share: float) -> Adjustment:
        side = Side.BUY if found.step > 0.0 else Side.SELL
        size = abs(found.step)
        return Adjustment(side, size, size * found.view.price, self._priority(found, gap_share), reason_of(found))

    def _priority(self, found: Findings, gap_share: float) -> Priority:
        by_gap = (self.medium_gap, self.high_gap, self.urgent_gap)
        priority = Priority(1 + sum(gap_share >= threshold for threshold in by_gap))
        if abs(found.position + found.step) >= abs(found.position):
            return priority  # near the cap, growing is no more pressing
        use = found.margin.effective_leverage / found.view.max_leverage
        by_margin = Priority.URGENT if use > 1.0 else Priority.HIGH if use >= self.high_leverage_use else Priority.LOW
        return max(priority, by_margin)


def _no_dust(size: float) -> float:
    return size if abs(size) >= DUST else 0.0


def _reachable(view: HedgeView, margin: Margin, position: float, target: float) -> float:
    """The position nearest to the target that the leverage cap allows. Shrinking is always allowed; so is staying."""
    most = max(0.0, view.max_leverage * margin.equity / view.price)
    if position * target > 0.0:
        most = max(most, abs(position))
    return math.copysign(min(abs(target), most), target)


def _step(gap: float, price: float, least_usd: float, most_usd: float) -> float:
    """The signed part of a gap to close now: nothing under the smallest size, and never more than the largest."""
    if abs(gap) < DUST or abs(gap) * price < least_usd * (1.0 - _ROUNDING):
        return 0.0
    return math.copysign(min(abs(gap), most_usd / price), gap)
