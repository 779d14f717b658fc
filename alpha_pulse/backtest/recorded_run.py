"""A finished run as its events tell it: what the bot saw at each tick, what it decided, what was booked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import EventKind, StoredEvent
from alpha_pulse.domain.instrument import ZERO
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, Order, OrderRequest, OrderStatus
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.hedging.common.types import Indicators, Snapshot
from alpha_pulse.hedging.state.codec import decode
from alpha_pulse.hedging.state.runs import RunSpan, run_events
from alpha_pulse.hedging.state.why import RecordedTarget, recorded_targets

COMMANDS: Final = {EventKind.RESUMED: "resume", EventKind.FLATTENED: "flatten", EventKind.KILLED: "kill"}
_KINDS: Final = (
    EventKind.STARTED,
    EventKind.TICK,
    EventKind.TICK_SKIPPED,
    EventKind.FILL,
    EventKind.FUNDING,
    EventKind.ORDER_ADOPTED,
    EventKind.ADVICE,
    *COMMANDS,
)


@dataclass(frozen=True, slots=True)
class Decided:
    """What one tick decided, as far as it is recorded. Equal inputs give equal values, to the last bit."""

    ratio: float
    floor: float
    target_position: float
    anchor: float
    spacing: float
    risk_state: str
    cancel: int
    place: int


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """One tick: what was seen, and what was decided on it."""

    market: MarketUpdate
    indicators: Indicators
    inventory: Decimal
    account: Account
    decided: Decided


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tick that was not run, because the market could not be trusted."""

    ts_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that can be replayed. ``path`` has the ticks and what was skipped between them, in order."""

    pair: str  # short name
    account: str
    symbol: str
    span: RunSpan
    settings: Mapping[str, Any]  # what the bot decided with
    path: tuple[RecordedTick | Skipped, ...]
    fills: tuple[Fill, ...]  # those booked up to the last tick
    funding: tuple[FundingPayment, ...]  # likewise
    adopted: tuple[Order, ...]  # orders that rested when it began
    commands: tuple[tuple[int, str], ...]  # (market time, what a person asked for)
    targets: tuple[RecordedTarget, ...]
    earlier: RecordedTarget | None  # the last one with a snapshot before this run
    kinds: Mapping[str, int]  # how many events there are of each kind that was read

    @property
    def ticks(self) -> tuple[RecordedTick, ...]:
        """The ticks alone."""
        return tuple(item for item in self.path if isinstance(item, RecordedTick))

    @property
    def snapshot(self) -> Snapshot | None:
        """What the run's first recorded target was decided from, or else the last one before the run."""
        kept = next((t for t in self.targets if t.snapshot is not None), self.earlier)
        return None if kept is None or kept.snapshot is None else decode(Snapshot, kept.snapshot)

    @property
    def decided_at_start(self) -> RecordedTarget | None:
        """The target with a snapshot that the run's very first tick decided, if it decided one."""
        began = self.ticks[0].market.close_ms
        return next((t for t in self.targets if t.snapshot is not None and t.ts_ms <= began), None)

    @property
    def is_fresh(self) -> bool:
        """Whether it began with nothing: no position, no orders, nothing booked before."""
        first = self.ticks[0]
        account = first.account
        flat = not account.position.quantity and not account.fees_paid and not account.realized_pnl
        return flat and not self.adopted and self.earlier is None


async def read_recorded_run(engine: AsyncEngine, account: str, symbol: str, span: RunSpan) -> RecordedRun:
    """A run of a pair out of its event store.

    Raises:
        ConfigError: it holds no tick.
        Fatal: an event cannot be read.
        Transient: the database is busy or away.
    """
    events = await run_events(engine, account, symbol, span, _KINDS)
    targets = await recorded_targets(engine, account, symbol)
    ticks = [stored.sequence for stored in events if stored.event.kind is EventKind.TICK]
    if not ticks:
        raise ConfigError("has no recorded tick.", field="run", value=span.number, fix="choose another: `alpha-pulse replay --list`")
    try:
        return _run(account, symbol, span, events, targets, last=ticks[-1])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise Fatal(f"run {span.number} cannot be read: {error!r}; `alpha-pulse audit verify` tells more") from error


def _run(
    account: str, symbol: str, span: RunSpan, events: Sequence[StoredEvent], targets: Sequence[RecordedTarget], *, last: int
) -> RecordedRun:
    booked = [stored.event for stored in events if stored.sequence < last]
    start = next(stored.event for stored in events if stored.event.kind is EventKind.STARTED)
    own = tuple(t for t in targets if t.sequence > span.first and (span.end is None or t.sequence < span.end))
    before = [t for t in targets if t.sequence < span.first and t.snapshot is not None]
    fills = tuple(decode(Fill, e.payload["fill"]) for e in booked if e.kind is EventKind.FILL)
    first_tick = next(stored.sequence for stored in events if stored.event.kind is EventKind.TICK)
    adopted = [s.event for s in events if s.event.kind is EventKind.ORDER_ADOPTED and s.sequence < first_tick]
    return RecordedRun(
        pair=str(start.payload.get("pair", symbol)),
        account=account,
        symbol=symbol,
        span=span,
        settings=start.payload["settings"],
        path=tuple(_item(stored) for stored in events if stored.event.kind in {EventKind.TICK, EventKind.TICK_SKIPPED}),
        fills=fills,
        funding=tuple(decode(FundingPayment, e.payload["payment"]) for e in booked if e.kind is EventKind.FUNDING),
        adopted=tuple(
            Order(decode(OrderRequest, e.payload["order"]), str(number), OrderStatus.OPEN, ZERO, e.ts_ms)
            for number, e in enumerate(adopted, 1)
        ),
        commands=tuple((s.event.ts_ms, COMMANDS[s.event.kind]) for s in events if s.event.kind in COMMANDS),
        targets=own,
        earlier=before[-1] if before else None,
        kinds=Counter(stored.event.kind.value for stored in events),
    )


def _item(stored: StoredEvent) -> RecordedTick | Skipped:
    payload = stored.event.payload
    if stored.event.kind is EventKind.TICK_SKIPPED:
        return Skipped(stored.event.ts_ms, str(payload.get("reason", "")))
    return RecordedTick(
        market=decode(MarketUpdate, payload["market"]),
        indicators=decode(Indicators, payload["indicators"]),
        inventory=Decimal(payload["inventory"]),
        account=decode(Account, payload["account"]),
        decided=decode(Decided, {name: payload[name] for name in Decided.__dataclass_fields__}),
    )
