"""Every port of the hedging core. Implement one of these protocols to bring your own part; the docstrings are the contract.

A port needs no base class: any object with the methods will do. ``class Mine(GridCalculator)`` works too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from alpha_pulse.domain.events import Event, StoredEvent
from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, Order, OrderRequest
from alpha_pulse.domain.position import Account
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.hedging.common.types import (
    Assessment,
    BotState,
    BrokerCapabilities,
    GridLevel,
    MarketState,
    Plan,
    PositionState,
    Snapshot,
)

if TYPE_CHECKING:
    from alpha_pulse.hedging.common.approved import ApprovedOrder, ApprovedPlan


class Clock(Protocol):
    """Time, injected. Nothing else may read it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. A simulated clock returns at once."""
        ...


class IdSource(Protocol):
    """Identities, injected, so that a simulated run repeats to the last digit."""

    def new_run_id(self) -> str:
        """An id for one process run of a bot (not part of client order ids)."""
        ...


class MarketFeed(Protocol):
    """Delivers market updates of one or more pairs, oldest first, each symbol its own stream.

    Contract: updates of a symbol have strictly increasing ``close_ms``. An update whose prices are zero, negative, NaN,
    infinite, crossed or missing is delivered as ``FeedProblem`` (never repaired, never silently dropped). Deterministic feeds
    resume after ``resume_after_ms``.
    """

    async def open(self, pair: HedgePair, instrument: Instrument, *, resume_after_ms: int = 0) -> None:
        """Get ready to deliver ``pair``. With ``resume_after_ms`` the first update delivered is the first with a later close_ms;
        what came before can be had with ``history``.
        """
        ...

    async def next(self, symbol: str) -> MarketUpdate | FeedProblem | None:
        """The next update, waiting for it if the feed is live; None when a finite feed has ended."""
        ...

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last good update delivered, or None before the first."""
        ...

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """Good updates before the first one that ``next`` delivers, oldest first, to warm indicators up; may be empty."""
        ...

    async def instrument(self, pair: HedgePair) -> Instrument | None:
        """The trading rules if this feed knows them (a live exchange does, and is asked now), else None."""
        ...

    def expected(self, symbol: str) -> int | None:
        """How many updates ``next`` delivers in all since ``open``; None where nobody knows. Shown as progress, never relied upon."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class FeedProblem:
    """A market update that cannot be used: the tick is skipped and says why."""

    ts_ms: int
    reason: str


@runtime_checkable
class MarketDataProvider(Protocol):
    """Turns a feed into market states: remembers indicators, judges staleness."""

    async def get_current_price(self, symbol: str) -> Decimal:
        """Last price of the perpetual, moving to the newest update (a simulated or recorded feed moves one bar per call)."""
        ...

    async def advance(self, symbol: str) -> MarketState | FeedProblem | None:
        """Wait for the next update and return the state after it; None when the feed has ended."""
        ...

    def current(self, symbol: str) -> MarketState | None:
        """The state after the last good update, judged for staleness now."""
        ...


class MarketDataFactory(Protocol):
    """Makes a market data provider over a broker's feed and clock."""

    def __call__(self, *, stale_after_s: float = 180.0, anchor_ema_hours: float = 24.0) -> MarketDataProvider:
        """``stale_after_s``: age at which a market is stale [s]; ``anchor_ema_hours``: time constant of the anchor's average [h]."""
        ...


class Broker(Protocol):
    """A venue, or something that behaves like one. The contract suite in ``alpha_pulse.testing.broker_contract`` holds every one to this.

    Creates are never retried blindly; a lost outcome raises ``AmbiguousOutcome``. Reads raise ``Transient``. All quantities in base units.
    """

    account: str  # stable name of the account, part of the bot's lock
    feed: MarketFeed
    clock: Clock
    ids: IdSource
    market_data: MarketDataFactory  # makes a provider over ``feed``; a bot made without one uses it

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What this venue can do now that changes decisions."""
        ...

    async def open_pair(self, pair: HedgePair, inventory: Decimal) -> Instrument:
        """Get ready to trade ``pair`` (the feed is opened too) and return its trading rules. ``inventory`` is what the user holds,
        base units of the perpetual; a paper broker credits the wallet from it. Idempotent.
        """
        ...

    async def create_order(self, order: ApprovedOrder) -> Order:
        """Send one approved order. Raises ``Rejected``, ``AmbiguousOutcome`` or ``Fatal``."""
        ...

    async def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """Cancel; an order that is already gone is no error. Raises ``AmbiguousOutcome``."""
        ...

    async def open_orders(self, symbol: str) -> tuple[Order, ...]:
        """Every live order of ours and of others, stops included. The same tuple object returns until something changed."""
        ...

    async def find_order(self, symbol: str, client_order_id: str) -> Order | None:
        """Ask for one order by our id, live or gone; None if the venue never saw it.

        Raises ``AmbiguousOutcome`` while that is not proven, ``Transient`` when it cannot be asked.
        """
        ...

    async def fills(self, symbol: str, already: int = 0) -> Sequence[Fill]:
        """Our fills of this pair since it was opened, oldest first, without the first ``already``."""
        ...

    async def funding(self, symbol: str, already: int = 0) -> Sequence[FundingPayment]:
        """Funding settlements of this pair since it was opened, oldest first, without the first ``already``."""
        ...

    async def fetch_account(self, symbol: str) -> Account:
        """Wallet and position. The same object returns until something was booked, or the venue ended an order by itself."""
        ...

    async def close(self) -> None:
        """Release connections; leaves orders as they are. Idempotent."""
        ...


class PositionFetcher(Protocol):
    """Reads what the user holds."""

    async def fetch_inventory(self, symbol: str) -> Decimal:
        """Inventory S in base units of the perpetual, signed. Raises ``Transient``."""
        ...


@runtime_checkable
class GridCalculator(Protocol):
    """Decides where orders rest. Pure: the same market and position give the same levels."""

    def calculate_grid_levels(self, market: MarketState, position: PositionState) -> Sequence[GridLevel]:
        """The rungs that should be live now. Sells must lie above the bid and buys below the ask (others are dropped with a reason);
        whatever is returned still passes the risk manager's caps and floors.
        """
        ...


class RiskManager(Protocol):
    """Says how much to hedge, and which orders may pass. Pure."""

    def assess(self, snapshot: Snapshot) -> Assessment:
        """Target, floors, risk state and caps for this snapshot."""
        ...

    def check(self, plan: Plan, snapshot: Snapshot, assessment: Assessment) -> ApprovedPlan:
        """Approve or refuse every order of a plan. The only way to an ``ApprovedOrder``."""
        ...


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of sending a plan."""

    events: tuple[Event, ...]
    accepted: tuple[OrderRequest, ...] = ()
    rejected: tuple[tuple[OrderRequest, str], ...] = ()  # with the venue's reason
    unknown: tuple[OrderRequest, ...] = ()  # sent, and nobody knows whether they arrived


class OrderManager(Protocol):
    """Carries an approved plan to a broker, cancels before places."""

    def intents(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> list[Event]:
        """The events that must be stored before ``execute``."""
        ...

    async def execute(self, plan: ApprovedPlan, tick_id: str, now_ms: int) -> Execution:
        """Send. An unknown outcome is part of the result, never an exception; ``Fatal`` passes through."""
        ...


@runtime_checkable
class Herald(Protocol):
    """A broker with news of its own: alerts of a venue, tickets of recommendation mode."""

    def drain_events(self) -> list[Event]:
        """What happened since the last call, to be stored."""
        ...


@runtime_checkable
class Batching(Protocol):
    """A broker that sends several orders at a time."""

    async def create_orders(self, orders: Sequence[ApprovedOrder]) -> Sequence[Order | AlphaPulseError]:
        """Send limit orders of one pair; what came of each, in order: the order, ``Rejected`` or ``AmbiguousOutcome``. Raises ``Fatal``."""
        ...

    async def cancel_orders(self, symbol: str, client_order_ids: Sequence[str]) -> Sequence[AlphaPulseError | None]:
        """Cancel orders; None for each that is gone, ``AmbiguousOutcome`` or ``Transient`` where that is not proven. Raises ``Fatal``."""
        ...


@runtime_checkable
class Relisting(Protocol):
    """A broker whose venue may change its trading rules while a bot runs."""

    def rules(self, symbol: str) -> Instrument:
        """The rules as they are now; the same object until they change."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """A broker whose answers come from what it has heard: it can be told to go and look."""

    async def refresh(self, symbol: str) -> None:
        """Read orders, trades and account from the venue now, and settle what is in flight. Raises ``Transient`` or ``Fatal``."""
        ...


@runtime_checkable
class TicketDesk(Protocol):
    """A broker whose orders are carried out by a person (recommendation mode)."""

    async def apply(self, command: Command) -> None:
        """A person's verdict: ``accept``, ``reject`` or ``done``. Raises ``ConfigError`` for a ticket that is not there."""
        ...

    def drain_events(self) -> list[Event]:
        """What happened to tickets since the last call, to be stored."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """Something a person asked of a running (or the next) bot: ``stop``, ``resume``, or a ticket verdict."""

    id: int
    name: str
    argument: str = ""


class StateStore(Protocol):
    """Where events and the bot's memory live. Once ``save`` returns, a kill -9 loses nothing of it."""

    records_every_tick: bool  # live: True; a replay keeps only ticks that changed something

    async def open(self, account: str, symbol: str, run_id: str, now_ms: int) -> BotState | None:
        """Take the lock for (account, symbol) and return the memory of an earlier run, or None.

        Raises:
            ConfigError: another live bot holds the pair on this account.
        """
        ...

    async def unsettled(self) -> Sequence[OrderRequest]:
        """Orders of earlier runs that were intended and of which no outcome is recorded: they may be at the venue."""
        ...

    async def save(self, events: Sequence[Event], state: BotState | None = None) -> None:
        """Append events (and the memory, if given) in one transaction, durably, in order, each once."""
        ...

    async def events(self, after: int = 0, limit: int = 1000) -> Sequence[StoredEvent]:
        """Stored events of this account and symbol with a sequence number above ``after``."""
        ...

    async def commands(self) -> Sequence[Command]:
        """Commands that wait for this bot; each is returned once."""
        ...

    async def close(self) -> None:
        """Release the lock and the connection. Idempotent."""
        ...


__all__ = [
    "Broker",
    "Clock",
    "Command",
    "FeedProblem",
    "GridCalculator",
    "IdSource",
    "MarketDataProvider",
    "MarketFeed",
    "OrderManager",
    "OrderRequest",
    "PositionFetcher",
    "RiskManager",
    "StateStore",
]
