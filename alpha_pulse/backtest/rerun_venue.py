"""The parts that let a bot live through a recorded run again: its market path, its inventory, its memory, its books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from alpha_pulse.backtest.recorded_run import RecordedRun, RecordedTick, Skipped
from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.events import Event, StoredEvent
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import OrderRequest
from alpha_pulse.errors import Transient
from alpha_pulse.execution.journal import JournalRecord
from alpha_pulse.execution.matching.book import kind_of
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.common.interfaces import Command, FeedProblem
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id
from alpha_pulse.hedging.common.types import BotState, MarketState, Snapshot
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.hedging.state.why import RecordedTarget
from alpha_pulse.runtime.clock import SimulatedClock

HOUR_MS: Final = 3_600_000


def market_path(run: RecordedRun) -> tuple[list[RecordedTick | Skipped], int]:
    """The run's path with every funding settlement in it, and how many of those had to be put back.

    A live settlement arrives with one update; where no tick ran on that one, the payment alone tells of it, and the next tick carries it.
    """
    path = list(run.path)
    settled = [item.market.open_ms for item in run.ticks if item.market.settled_rate is not None]
    restored = 0
    for payment in run.funding:
        if any(abs(payment.ts_ms - at) < HOUR_MS for at in settled):
            continue
        for number, item in enumerate(path):
            if isinstance(item, RecordedTick) and item.market.close_ms > payment.ts_ms:
                path[number] = replace(item, market=item.market._replace(settled_rate=float(payment.rate)))
                restored += 1
                break
    return path, restored


class PathFeed:
    """A ``MarketFeed`` over a recorded path. ``at`` is the tick that was delivered last."""

    def __init__(self, path: Sequence[RecordedTick | Skipped], instrument: Instrument) -> None:
        self._path = path
        self._next = 0
        self._instrument = instrument
        self.at: RecordedTick | None = None

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Nothing to get ready."""

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:  # noqa: ARG002 - the port's signature
        """The next recorded update or problem."""
        if self._next >= len(self._path):
            return None
        item = self._path[self._next]
        self._next += 1
        if isinstance(item, Skipped):
            return FeedProblem(item.ts_ms, item.reason)
        self.at = item
        return item.market

    def latest(self, symbol: str) -> MarketUpdate | None:  # noqa: ARG002 - the port's signature
        """The last good update delivered."""
        return None if self.at is None else self.at.market

    def history(self, symbol: str) -> Iterable[MarketUpdate]:  # noqa: ARG002 - the port's signature
        """None: the indicators are recorded with each tick."""
        return ()

    async def instrument(self, pair: HedgePair) -> Instrument | None:  # noqa: ARG002 - the port's signature
        """The trading rules of the run."""
        return self._instrument

    def expected(self, symbol: str) -> int | None:  # noqa: ARG002 - the port's signature
        """The length of the path."""
        return len(self._path)

    async def close(self) -> None:
        """Nothing is held."""


class PathProvider:
    """Market states with the indicators that the run had, not ones made anew: their warm-up is not recorded."""

    def __init__(self, broker: PaperBroker, path: PathFeed, clock: SimulatedClock) -> None:
        self._broker = broker
        self._path = path
        self._clock = clock
        self._state: MarketState | None = None
        self._deposits: Decimal | None = None

    async def get_current_price(self, symbol: str) -> Decimal:
        """See ``MarketDataProvider``."""
        state = await self.advance(symbol)
        if not isinstance(state, MarketState):
            raise Transient("the recorded run has no price here")
        return state.last

    async def advance(self, symbol: str) -> MarketState | FeedProblem | None:
        """See ``MarketDataProvider``; what was paid into the wallet is paid in again, before the tick that saw it."""
        update = await self._broker.feed.next(symbol)
        if update is None:
            return None
        if isinstance(update, FeedProblem):
            self._clock.advance_to(update.ts_ms)
            return update
        self._clock.advance_to(update.close_ms)
        tick = self._path.at
        if tick is None:
            return None
        before, self._deposits = self._deposits, tick.account.deposits
        if before is not None and before != self._deposits:
            await self._broker.transfer(symbol, self._deposits - before)
        self._state = MarketState(symbol, update, tick.indicators)
        return self._state

    def current(self, symbol: str) -> MarketState | None:  # noqa: ARG002 - the port's signature
        """See ``MarketDataProvider``."""
        return self._state


class PathInventory:
    """The coins that were held at each tick."""

    def __init__(self, path: PathFeed, first: Decimal) -> None:
        self._path = path
        self._first = first

    async def fetch_inventory(self, symbol: str) -> Decimal:  # noqa: ARG002 - the port's signature
        """As recorded with the tick."""
        return self._first if self._path.at is None else self._path.at.inventory


class ForgetfulStore:
    """A ``StateStore`` that begins with a memory, keeps nothing, and passes on what a person asked for, at its time."""

    records_every_tick = True  # as the run's own did: people are listened to

    def __init__(self, memory: BotState | None, commands: Sequence[tuple[int, str]]) -> None:
        self._memory = memory
        self._commands = list(commands)
        self.now_ms = 0

    async def open(self, account: str, symbol: str, run_id: str, now_ms: int) -> BotState | None:  # noqa: ARG002 - the port's signature
        """The memory to begin with."""
        return self._memory

    async def unsettled(self) -> Sequence[OrderRequest]:
        """None: what the venue knew is in its books."""
        return ()

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        """Forget."""

    async def events(self, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:  # noqa: ARG002 - the port's signature
        """None are kept."""
        return ()

    async def commands(self) -> Sequence[Command]:
        """Those whose time has come, each once."""
        due = [name for at, name in self._commands if at <= self.now_ms]
        self._commands = self._commands[len(due) :]
        return [Command(number, name) for number, name in enumerate(due, 1)]

    async def close(self) -> None:
        """Nothing is held."""


class SeededBooks:
    """A ``PaperJournal`` that puts the venue where the run found it, and writes nothing."""

    def __init__(self, record: JournalRecord | None) -> None:
        self._record = record

    async def load(self, account: str) -> JournalRecord | None:  # noqa: ARG002 - the port's signature
        """The books at the run's first tick."""
        return self._record

    async def save(
        self,
        account: str,
        state: Mapping[str, Any],
        new_fills: Sequence[Mapping[str, Any]],
        new_funding: Sequence[Mapping[str, Any]],
    ) -> None:
        """Forget."""


def instrument_of(run: RecordedRun) -> Instrument:
    """The trading rules and fees that the run had: recorded with its snapshots, else the built-in ones."""
    snapshot = run.snapshot
    return builtin_instrument(hedge_pair(run.symbol)) if snapshot is None else snapshot.instrument


def books_of(run: RecordedRun, instrument: Instrument) -> JournalRecord:
    """The venue as the run's first tick saw it: wallet, position, resting orders."""
    first = run.ticks[0].account
    held = first.position.quantity
    ledger = {
        "lots": instrument.lots_down(abs(held)) * (1 if held >= 0 else -1),
        "cost": str(held * first.position.entry_price),
        "realized": str(first.realized_pnl),
        "fees": str(first.fees_paid),
        "funding": str(first.funding_received),
        "liquidated": first.liquidated,
    }
    resting = [
        {"order": encode(order), "kind": int(kind_of(order.request, crossing=False)), "sequence": number}
        for number, order in enumerate(run.adopted, 1)
    ]
    book = {"sequence": len(resting), "open": resting, "closed": []}
    desk = {"ledger": ledger, "book": book, "update": None}
    wallet = {"cash": str(first.wallet), "deposits": str(first.deposits)}
    pair = {"desk": desk, "credited": True, "inventory": str(run.ticks[0].inventory)}
    return JournalRecord(state={"wallets": {instrument.quote: wallet}, "pairs": {run.symbol: pair}})


def memory_of(run: RecordedRun) -> BotState | None:
    """The bot's memory at the run's start; None for a fresh run, which had none.

    It is recorded only with a target that the first tick decided. Else it is put together: what the last snapshot before the run knew (or
    the first one in it), what was decided on that, and the curve of the run's first tick.
    """
    if run.is_fresh:
        return None
    own, before, decided = run.decided_at_start, run.earlier, run.ticks[0].decided
    if own is not None:
        state = decode(Snapshot, own.snapshot).state
    elif before is not None:
        state = _after(before, decode(Snapshot, before.snapshot).state, decided.floor)
    elif run.snapshot is not None:
        state = run.snapshot.state
    else:
        return None
    if own is None and state.curve is not None:
        curve = replace(state.curve, anchor=decided.anchor, spacing=decided.spacing, ratio=decided.ratio, floor=decided.floor)
        state = replace(state, curve=curve)
    tag = bot_tag(run.account, run.symbol)
    names = [name.generation for order in run.adopted if (name := read_order_id(tag, order.client_order_id)) is not None]
    return replace(state, generation=max([state.generation, *names]), fills_booked=0, funding_booked=0, unknown=(), rejected=())


def _after(recorded: RecordedTarget, state: BotState, floor: float) -> BotState:
    """A snapshot's memory once its decision was made. Where a latch holds, the floor under it is not known and stays."""
    was, now, risk = state.target, recorded.target.floor, state.risk
    if floor < 1.0:
        since = risk.floor_since_ms
        if was is None or now > was.floor:
            since = 0
        elif now < was.floor:
            since = recorded.ts_ms
        risk = replace(risk, soft_floor=floor, floor_since_ms=since)
    return replace(state, target=recorded.target, risk=risk)
