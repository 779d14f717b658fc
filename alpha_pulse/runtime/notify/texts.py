"""Events in words for a person: which pair, what happened in units, what to do. Nothing in them is markup, and nothing is secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.runtime.masking import mask
from alpha_pulse.runtime.notify.config import Severity, Topic

_LONGEST: Final = 400  # characters of one text from outside
_SHOWN_FILLS: Final = 5
# What HTML, Markdown and chat dialects give a meaning to, and a look-alike that none of them knows.
_INERT: Final = str.maketrans(
    {"<": "‹", ">": "›", "&": "＆", "*": "∗", "_": "＿", "`": "'", "~": "∼", "|": "¦", "[": "(", "]": ")", "#": "＃", "@": "＠", "\\": "⧵"}
)
_CRITICAL_ALERTS: Final = frozenset({"liquidation", "portfolio drawdown", "top up", "margin", "halted", "unexplained difference"})
_CONNECTION_WORDS: Final = ("stream", "connect", "unreachable", "stale", "socket", "clock", "time-out", "timeout", "rate limit", "banned")
_HALT_WORDS: Final = ("halt", "lease", "key", "delist")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. ``group`` is what it is about and ``identity`` what it says of it, both without figures that change: a notice is a
    repetition when the last one of its group had the same identity.
    """

    topic: Topic
    severity: Severity
    title: str
    body: str
    group: str
    identity: str


@dataclass(frozen=True, slots=True)
class _Words:
    """What one event says."""

    topic: Topic
    severity: Severity
    headline: str
    sentence: str
    todo: str = ""
    group: str = ""
    identity: str = ""


def plain(text: object, limit: int = _LONGEST) -> str:
    """A text from outside on one line, without secrets, markup, links, control characters or marks of text direction."""
    kept = "".join(c if c.isprintable() else " " for c in mask(str(text)))
    kept = " ".join(kept.replace("://", ":/ /").split()).translate(_INERT)
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def notices(events: Sequence[Event], symbol: str) -> list[Notice]:
    """What a person may want to know of these events of one pair, oldest first; fills of one call are one message."""
    fills = [event for event in events if event.kind is EventKind.FILL]
    found: list[Notice] = []
    for event in events:
        if event.kind is EventKind.FILL:
            if event is fills[0]:
                found.append(_notice(_fills([_inner(e, "fill") for e in fills], symbol), fills[-1], symbol))
            continue
        words = _WORDS[event.kind](event.payload, symbol) if event.kind in _WORDS else None
        if words is not None:
            found.append(_notice(words, event, symbol))
    return found


def _notice(words: _Words, event: Event, symbol: str) -> Notice:
    pair = plain(_pair(symbol), 40)
    marker = {Severity.CRITICAL: "CRITICAL ", Severity.WARNING: "Warning "}.get(words.severity, "")
    when = datetime.fromtimestamp(event.ts_ms / 1000.0, UTC)
    lines = [f"{pair}: {words.sentence.rstrip('.')}.", f"What to do: {words.todo}." if words.todo else "", f"{when:%Y-%m-%d %H:%M:%S} UTC"]
    group, identity = words.group or event.kind.value, words.identity or event.kind.value
    body = "\n".join(line for line in lines if line)
    return Notice(words.topic, words.severity, f"{marker}{pair}: {words.headline}", body, f"{symbol}|{group}", identity)


def _fills(fills: Sequence[Mapping[str, Any]], symbol: str) -> _Words:
    base, quote = _coins(symbol)
    shown = [_fill(fill, base, quote) for fill in fills[:_SHOWN_FILLS]]
    more = f"; and {len(fills) - len(shown)} more" if len(fills) > len(shown) else ""
    stopped = any(fill.get("purpose") == "stop" for fill in fills)
    headline = "the stop filled" if stopped else "filled" if len(fills) == 1 else f"{len(fills)} fills"
    sentence = "; ".join(shown) + more
    severity = Severity.WARNING if stopped else Severity.INFO
    trades = ",".join(str(fill.get("trade_id")) for fill in fills)
    return _Words(Topic.FILLS, severity, headline, sentence[:1].upper() + sentence[1:], group="fills", identity=trades)


def _fill(fill: Mapping[str, Any], base: str, quote: str) -> str:
    done = "sold" if fill.get("side") == "sell" else "bought"
    fee = f"fee {_number(fill.get('fee'))} {plain(fill.get('fee_currency', quote), 10)}"
    why = f"{plain(fill.get('purpose', 'grid'), 20)}, {plain(fill.get('liquidity', ''), 10)}"
    return f"{done} {_number(fill.get('quantity'))} {base} at {_number(fill.get('price'))} {quote} ({why}, {fee})"


def _funding(payload: Mapping[str, Any], symbol: str) -> _Words:
    base, quote = _coins(symbol)
    payment = payload.get("payment") or {}
    amount = _decimal(payment.get("amount"))
    word = "received" if amount >= 0 else "paid"
    sentence = (
        f"Funding {word}: {_number(abs(amount))} {quote} on a position of {_number(payment.get('position'))} {base}, "
        f"rate {_decimal(payment.get('rate')):.4%} for {_number(payment.get('interval_h'))} h"
    )
    return _Words(Topic.FUNDING, Severity.INFO, f"funding {word}", sentence, group="funding", identity=str(payment.get("ts_ms")))


def _alert(payload: Mapping[str, Any], _symbol: str) -> _Words:
    """An alert's text says what to do by itself. Its severity and topic may be given; else its key tells."""
    key = str(payload.get("key", "alert"))
    lower = key.lower()
    topic = Topic.RISK
    if any(word in lower for word in _CONNECTION_WORDS):
        topic = Topic.CONNECTION
    if any(word in lower for word in _HALT_WORDS):
        topic = Topic.HALTS
    severity = Severity.CRITICAL if lower in _CRITICAL_ALERTS or topic is Topic.HALTS else Severity.WARNING
    topic = _member(Topic, payload.get("topic"), topic)
    severity = _member(Severity, payload.get("level"), severity)
    return _Words(topic, severity, plain(key, 60), plain(payload.get("text", key)), group=f"alert {key}", identity=key)


def _risk_state(payload: Mapping[str, Any], _symbol: str) -> _Words:
    state, before = str(payload.get("after")), str(payload.get("before"))
    topic, severity, meaning, todo = _STATES.get(state, (Topic.RISK, Severity.WARNING, "", ""))
    why = ", ".join(plain(reason, 200) for reason in payload.get("reasons") or ())
    name, was = (plain(text.replace("_", " ").upper(), 30) for text in (state, before))
    sentence = f"Risk state {name} (was {was}){': ' if meaning else ''}{meaning}{f'. Why: {why}' if why else ''}"
    return _Words(topic, severity, f"risk state {name}", sentence, todo, group="risk state", identity=state)


def _stop_latched(payload: Mapping[str, Any], symbol: str) -> _Words:
    back = f"price is back at {_number(payload.get('reference'))} {_coins(symbol)[1]}"
    sentence = f"The stop fired: the inventory is fully hedged until {back}"
    todo = f"nothing, if the hedge should stay until {back}; alpha-pulse resume re-anchors the grid now"
    return _Words(Topic.RISK, Severity.CRITICAL, "the stop fired", sentence, todo, group="stop", identity="latched")


def _stop_released(payload: Mapping[str, Any], symbol: str) -> _Words:
    sentence = (
        f"Price is back at {_number(payload.get('reference'))} {_coins(symbol)[1]}: the stop's latch is released, the grid re-anchors"
    )
    return _Words(Topic.RISK, Severity.INFO, "the stop is released", sentence, group="stop", identity="released")


def _drawdown(payload: Mapping[str, Any], symbol: str) -> _Words:
    nav, quote = _number(payload.get("nav")), _coins(symbol)[1]
    sentence = f"A drawdown of {_decimal(payload.get('drawdown')):.1%} reached its limit (NAV {nav} {quote}): fully hedged"
    todo = "look at the positions, then alpha-pulse resume"
    return _Words(Topic.RISK, Severity.CRITICAL, "drawdown limit reached", sentence, todo, group="drawdown", identity="latched")


def _skipped(payload: Mapping[str, Any], _symbol: str) -> _Words:
    reason = plain(payload.get("reason", ""), 200)
    sentence = f"Market data cannot be used: {reason}. Orders that would unwind are withdrawn, the stop stays"
    todo = "nothing if it passes; else check the network and the exchange's status page"
    return _Words(Topic.CONNECTION, Severity.WARNING, "tick skipped", sentence, todo, group="market data", identity="broken")


def _unknown(payload: Mapping[str, Any], _symbol: str) -> _Words:
    reason = plain(payload.get("reason", ""), 200)
    sentence = f"The outcome of an order is unknown ({reason}); the exchange is asked before anything else"
    todo = "nothing; an alert follows if it cannot be settled"
    return _Words(Topic.CONNECTION, Severity.WARNING, "order outcome unknown", sentence, todo, group="unknown order", identity="unknown")


def _started(_payload: Mapping[str, Any], _symbol: str) -> _Words:
    return _Words(Topic.HALTS, Severity.INFO, "started", "The bot started", group="life", identity="started")


def _stopped(payload: Mapping[str, Any], _symbol: str) -> _Words:
    reason, left = str(payload.get("reason", "ended")), payload.get("left", 0)
    sentence = f"The bot stopped ({plain(reason, 200)}): {plain(payload.get('cancelled', 0), 10)} orders cancelled, {plain(left, 10)} left"
    if reason.startswith("unexpected"):
        todo = "the protective stop stays; read the log, then alpha-pulse resume and start again"
        return _Words(Topic.HALTS, Severity.CRITICAL, "halted by an error", sentence, todo, group="life", identity="failed")
    severity, todo = (Severity.WARNING, "look at the orders that are left at the exchange") if left else (Severity.INFO, "")
    return _Words(Topic.HALTS, severity, "stopped", sentence, todo, group="life", identity="stopped")


def _asked(headline: str, sentence: str, severity: Severity) -> Callable[[Mapping[str, Any], str], _Words]:
    """What a person asked for: the others who are told should know."""
    return lambda _payload, _symbol: _Words(Topic.HALTS, severity, headline, sentence, group="asked", identity=headline)


def _flow(payload: Mapping[str, Any], symbol: str) -> _Words:
    base, quote = _coins(symbol)
    held, deposits = _number(payload.get("inventory")), _number(payload.get("deposits"))
    sentence = f"Coins or cash moved: the inventory is {held} {base}, deposits are {deposits} {quote}; neither profit nor loss"
    return _Words(Topic.RISK, Severity.INFO, "coins or cash moved", sentence, group="flow", identity=f"{held} {deposits}")


_STATES: Final[Mapping[str, tuple[Topic, Severity, str, str]]] = {
    "normal": (Topic.RISK, Severity.INFO, "", ""),
    "delta_reduce": (Topic.RISK, Severity.WARNING, "only orders that bring the hedge nearer to the inventory", ""),
    "margin_reduce": (
        Topic.RISK,
        Severity.CRITICAL,
        "only orders that make the position smaller",
        "top up the perpetual wallet; the liquidation alert names the amount",
    ),
    "halted": (Topic.HALTS, Severity.CRITICAL, "nothing new is ordered, the stop stays", "find the reason, then alpha-pulse resume"),
}
_WORDS: Final[Mapping[EventKind, Callable[[Mapping[str, Any], str], _Words]]] = {
    EventKind.FUNDING: _funding,
    EventKind.ALERT: _alert,
    EventKind.RISK_STATE_CHANGED: _risk_state,
    EventKind.STOP_LATCHED: _stop_latched,
    EventKind.STOP_RELEASED: _stop_released,
    EventKind.DRAWDOWN_LATCHED: _drawdown,
    EventKind.TICK_SKIPPED: _skipped,
    EventKind.ORDER_UNKNOWN: _unknown,
    EventKind.STARTED: _started,
    EventKind.STOPPED: _stopped,
    EventKind.FLOW: _flow,
    EventKind.RESUMED: _asked("resumed", "Resumed: latches are released, the grid re-anchors at the current price", Severity.INFO),
    EventKind.FLATTENED: _asked("flattened", "Somebody asked to flatten: the hedge is removed until alpha-pulse resume", Severity.WARNING),
    EventKind.KILLED: _asked("killed", "Somebody asked to halt at once: the grid is withdrawn, the stop stays", Severity.WARNING),
}


def _inner(event: Event, key: str) -> Mapping[str, Any]:
    value = event.payload.get(key)
    return value if isinstance(value, Mapping) else {}


def _member(kind: Any, value: object, default: Any) -> Any:
    return kind(value) if value in set(kind) else default


def _pair(symbol: str) -> str:
    """``BTC/USDT:USDT`` → ``BTCUSDT``."""
    return symbol.partition(":")[0].replace("/", "")


def _coins(symbol: str) -> tuple[str, str]:
    """Base unit of the perpetual and quote currency."""
    base, _, quote = symbol.partition(":")[0].partition("/")
    return plain(base, 20), plain(quote, 20)


def _decimal(value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)


def _number(value: object) -> str:
    """A figure for a person: at most 8 decimals, no exponent, no trailing zeros."""
    text = f"{_decimal(value):,.8f}"
    return text.rstrip("0").rstrip(".")
