"""The plain analysis in sentences for a person. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpha_pulse.hedging.common.advice import HedgeView
from alpha_pulse.hedging.risk.analyzers.view import DUST, Margin


@dataclass(frozen=True, slots=True)
class Findings:
    """What an analysis found. Sizes are signed base units."""

    view: HedgeView
    margin: Margin
    inventory: float
    position: float
    ratio: float  # −F/S
    target_ratio: float
    gap: float  # target − F
    reachable_gap: float  # as far as the leverage cap allows
    step: float  # what is proposed
    min_usd: float


def commentary_of(found: Findings, priority: str) -> str:
    """A few sentences: holdings, margin, what to do, and what stands in the way. ``priority`` is empty when nothing is proposed."""
    sentences = [_holdings(found), _margin(found), _action(found, priority)]
    if _blocked(found):
        sentences.append(_cap(found))
    rest = found.gap - found.step
    if found.step and abs(rest) * found.view.price >= 0.01:  # noqa: PLR2004 - a cent: below it, rounding
        sentences.append(f"{_size(found, abs(rest))} ({_money(found, abs(rest) * found.view.price)}) to the target remain after it.")
    return " ".join(sentences)


def reason_of(found: Findings) -> str:
    """Why an adjustment is proposed, in a line."""
    if found.inventory == 0.0:
        return "there is no inventory to hedge, so the position is exposure of its own"
    if found.ratio < 0.0:
        return f"the perpetual adds to the inventory instead of hedging it; the target is {found.target_ratio:.1%}"
    word = "under" if found.ratio < found.target_ratio else "over"
    away = abs(found.target_ratio - found.ratio)
    return f"hedged {found.ratio:.1%}, {away:.1%} of the inventory {word} the target of {found.target_ratio:.1%}"


def _holdings(found: Findings) -> str:
    net = found.inventory + found.position
    delta = f"Net delta {net:+,.8g} {found.view.base} ({_money(found, net * found.view.price)})."
    if found.inventory == 0.0:
        return f"No inventory, perpetual {found.position:+,.8g} {found.view.base}: there is nothing to hedge. {delta}"
    side = "Long" if found.inventory > 0.0 else "Short"
    hedged = f"hedged {found.ratio + 0.0:.1%}, target {found.target_ratio:.1%}"
    return f"{side} {_size(found, abs(found.inventory))}, perpetual {found.position:+,.8g} {found.view.base}: {hedged}. {delta}"


def _margin(found: Findings) -> str:
    margin = found.margin
    if found.position == 0.0:
        return f"Equity {_money(found, margin.equity)}, no position."
    if margin.equity <= 0.0:
        return f"Equity {_money(found, margin.equity)}: the position stands on no equity."
    leverage = f"effective leverage {margin.effective_leverage:.2f} of at most {found.view.max_leverage:g}"
    use = f"{leverage}, initial margin {margin.margin_use:.1%} of it"
    if margin.liquidation_distance == math.inf:
        return f"Equity {_money(found, margin.equity)}, {use}; no price liquidates the position."
    price = f"{margin.liquidation_price:,.8g}"
    return f"Equity {_money(found, margin.equity)}, {use}; liquidation at {price}, {margin.liquidation_distance:.1%} away."


def _action(found: Findings, priority: str) -> str:
    if priority:
        verb, size = ("Buy" if found.step > 0.0 else "Sell"), abs(found.step)
        return f"{verb} {_size(found, size)} ({_money(found, size * found.view.price)}), priority {priority}: {reason_of(found)}."
    missing = abs(found.gap) * found.view.price
    if abs(found.gap) < DUST:
        return "The hedge is at its target."
    if _blocked(found):
        return f"Nothing is proposed, although {_size(found, abs(found.gap))} ({_money(found, missing)}) are missing."
    return f"Nothing is proposed: the gap of {_money(found, missing)} is under the smallest size of {_money(found, found.min_usd)}."


def _blocked(found: Findings) -> bool:
    """Whether the leverage cap keeps the position from its target."""
    return abs(found.gap - found.reachable_gap) * found.view.price >= 0.01  # noqa: PLR2004 - a cent: below it, rounding


def _cap(found: Findings) -> str:
    """What the cap holds back, and the cash that would make room: |target|·P/L − equity."""
    needed = abs(found.position + found.gap) * found.view.price / found.view.max_leverage - found.margin.equity
    held = abs(found.gap - found.reachable_gap)
    return (
        f"The cap on effective leverage ({found.view.max_leverage:g}) holds back {_size(found, held)}: "
        f"it takes {_money(found, max(0.0, needed))} more in the perpetual wallet to reach the target."
    )


def _size(found: Findings, size: float) -> str:
    return f"{size:,.8g} {found.view.base}"


def _money(found: Findings, amount: float) -> str:
    return f"{amount + 0.0:,.2f} {found.view.quote}"
