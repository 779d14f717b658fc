"""Not asking a venue again and again for what it refuses or fails to give, nor a second time for what it may have taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from alpha_pulse.domain.orders import OrderRequest, Purpose
from alpha_pulse.hedging.common.types import Alert, DesiredOrder, Rejection

_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 3_600_000
_WORTH_AN_ALERT = 3  # rejections in a row
_FIRST_PATIENCE_S = 0.5  # after a failure
_LONGEST_PATIENCE_S = 30.0
_MOST_DOUBLINGS = 10  # beyond the longest; powers of 2 overflow a float at 1,024, which a long outage reaches


def wait_after(failures: int) -> float:
    """Seconds until the next try after so many failures in a row: 0.5, 1, 2 … 30."""
    return min(_LONGEST_PATIENCE_S, _FIRST_PATIENCE_S * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def after_sending(
    known: tuple[Rejection, ...], accepted: Sequence[OrderRequest], rejected: Sequence[tuple[OrderRequest, str]], now_ms: int
) -> tuple[Rejection, ...]:
    """What is remembered after a plan was sent: the first rejection is tried again at once, then after 1, 2, 4 … minutes, up to an hour.

    An accepted order of the same kind, or an hour after its wait without another try, clears the memory.
    """
    kept = {_key(r): r for r in known if now_ms - r.until_ms < _LONGEST_WAIT_MS}
    for request in accepted:
        kept.pop(_key(request), None)
    for request, reason in rejected:
        before = kept.get(_key(request))
        tries = 1 if before is None else before.tries + 1
        wait = 0 if tries == 1 else min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS * 2 ** min(tries - 2, 10))
        kept[_key(request)] = Rejection(request.purpose, request.side, request.node, tries, now_ms + wait, reason)
    return tuple(kept.values())


def not_refused(orders: Sequence[DesiredOrder], rejected: tuple[Rejection, ...], now_ms: int) -> list[DesiredOrder]:
    """The orders that may be asked for now."""
    waiting = {_key(r) for r in rejected if r.until_ms > now_ms}
    return [order for order in orders if _key(order) not in waiting]


def not_in_doubt(orders: Sequence[DesiredOrder], unknown: Sequence[OrderRequest]) -> list[DesiredOrder]:
    """The orders whose place is free: one whose outcome is unknown may be live, and holds its own until the venue has told."""
    held = {_place(request) for request in unknown}
    return [order for order in orders if _place(order) not in held]


def rejection_alert(rejected: tuple[Rejection, ...]) -> Alert | None:
    """What a person should know when the venue keeps refusing."""
    worst = max(rejected, key=lambda r: r.tries, default=None)
    if worst is None or worst.tries < _WORTH_AN_ALERT:
        return None
    text = f"The venue rejected a {worst.purpose.value} {worst.side.value} {worst.tries} times in a row: {worst.reason}"
    return Alert("rejected orders", f"{text}. It is asked again less and less often")


def _key(order: Rejection | OrderRequest | DesiredOrder) -> tuple[str, str, int]:
    return order.purpose.value, order.side.value, order.node


def _place(order: OrderRequest | DesiredOrder) -> tuple[str, ...]:
    """What may be live once: a side of a node, the order that closes a gap, the stop."""
    if order.purpose is Purpose.GRID:
        return order.purpose.value, order.side.value, str(order.node)
    return ("stop",) if order.purpose is Purpose.STOP else ("gap",)
