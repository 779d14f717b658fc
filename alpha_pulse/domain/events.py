"""Events: the truth about a run. Append-only and hash-chained in the store; every figure shown is rebuilt from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

GENESIS = "0" * 64


class EventKind(StrEnum):
    """Every kind of event that a bot writes."""

    STARTED = "started"
    STOPPED = "stopped"
    TICK = "tick"  # the decision: snapshot, target and plan (live: every tick; replay: ticks that changed something)
    TICK_SKIPPED = "tick_skipped"  # stale or broken market: nothing was quoted on it
    TARGET_CHANGED = "target_changed"  # ratio or floor moved, with its contributions
    ANCHOR_MOVED = "anchor_moved"
    SPACING_CHANGED = "spacing_changed"
    RISK_STATE_CHANGED = "risk_state_changed"
    STOP_LATCHED = "stop_latched"
    STOP_RELEASED = "stop_released"
    DRAWDOWN_LATCHED = "drawdown_latched"
    RESUMED = "resumed"
    FLATTENED = "flattened"  # a person asked to remove the hedge
    KILLED = "killed"  # a person asked to halt at once
    ADVICE = "advice"  # a language model was asked: prompt, answer, what was refused of it
    ALERT = "alert"
    ORDER_INTENDED = "order_intended"  # saved before anything is sent
    CANCEL_INTENDED = "cancel_intended"
    ORDER_ACCEPTED = "order_accepted"
    ORDER_REJECTED = "order_rejected"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_CLOSED = "order_closed"  # found gone at the venue: filled or cancelled there
    ORDER_ADOPTED = "order_adopted"  # found at the venue on a restart and recognised by its id
    FILL = "fill"
    FUNDING = "funding"
    FLOW = "flow"  # coins or cash moved in or out: no profit or loss
    TICKET = "ticket"  # recommendation mode: an order that a person may place
    TICKET_UPDATED = "ticket_updated"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``payload`` holds JSON values only; ``tick_id`` ties it to the decision that caused it."""

    kind: EventKind
    ts_ms: int
    tick_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the chain."""

    sequence: int
    event: Event
    previous_hash: str
    hash: str


def to_jsonable(value: Any) -> Any:  # noqa: PLR0911 - one return per JSON shape reads better than a dispatch table
    """Dataclasses, named tuples, enums and Decimals as JSON values. Decimals become strings, so nothing is rounded."""
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: to_jsonable(v) for k, v in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(k): to_jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_jsonable(v) for v in value]
    msg = f"cannot be stored as JSON: {type(value).__name__}"
    raise TypeError(msg)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def chain_hash(previous_hash: str, event: Event) -> str:
    """SHA-256 over the previous link and the event's canonical JSON."""
    body = canonical_json([event.kind.value, event.ts_ms, event.tick_id, event.payload])
    return hashlib.sha256(f"{previous_hash}\n{body}".encode()).hexdigest()
