"""A finished run lived through again under each fill rule: where its decisions part, and what fills, costs and PnL became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from alpha_pulse.backtest.fill_rules import FILL_RULES
from alpha_pulse.backtest.recorded_run import Decided, RecordedRun, RecordedTick, Skipped
from alpha_pulse.backtest.rerun_limits import limits_of
from alpha_pulse.backtest.rerun_venue import (
    ForgetfulStore,
    PathFeed,
    PathInventory,
    PathProvider,
    SeededBooks,
    books_of,
    instrument_of,
    market_path,
    memory_of,
)
from alpha_pulse.domain.instrument import ZERO, Instrument
from alpha_pulse.domain.orders import Fill, Liquidity, Side
from alpha_pulse.domain.position import Account
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.common.types import BrokerCapabilities, Snapshot
from alpha_pulse.hedging.grid.again import decide_again
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decision
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.runtime.ids import SeededIds


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first tick on which the replay did not do what the run did."""

    ts_ms: int
    tick: int  # counted from 1
    differences: tuple[tuple[str, str, str], ...]  # (what, in the run, in the replay)


@dataclass(frozen=True, slots=True)
class Books:
    """What a run booked up to its last tick. Money in quote units, quantities in base units."""

    fills: int
    maker_fills: int
    bought: Decimal
    sold: Decimal
    fees: Decimal  # paid > 0
    slippage: Decimal  # paid > 0
    funding: Decimal  # received > 0
    pnl: float  # of the perpetual: change of wallet less flows, and of unrealised PnL
    position: Decimal


@dataclass(frozen=True, slots=True)
class Rerun:
    """The run again, under one fill rule."""

    rule: str
    books: Books
    differing: int  # ticks that decided otherwise
    first: Divergence | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """Everything that came of replaying a run."""

    run: RecordedRun
    recorded: Books
    reruns: tuple[Rerun, ...]  # by rule, the most optimistic first
    decided_again: int  # recorded targets that their snapshots give again, to the last bit
    decided_otherwise: tuple[tuple[int, str], ...]  # (event, difference)
    without_snapshot: int
    limits: tuple[str, ...]  # what the record does not hold, and what stands in for it


async def replay_run(
    run: RecordedRun, paper: PaperSettings, *, rules: Sequence[str] = FILL_RULES, progress: Callable[[float], None] | None = None
) -> Replayed:
    """Decide every recorded target again, and live through the whole run under each fill rule.

    Args:
        run: out of the store.
        paper: what the record does not hold of the simulated venue: slippage and the queue's share.
        rules: which fill rules.
        progress: is told the share done, 0 … 1.

    Raises:
        ConfigError: this version cannot read the run's settings.
        Fatal: a snapshot cannot be read.
    """
    kept = [target for target in run.targets if target.snapshot is not None]
    otherwise = [(target.sequence, text) for target in kept if (text := decide_again(target))]
    path, restored = market_path(run)
    reruns = []
    for number, rule in enumerate(rules):
        told = None if progress is None else lambda share, at=number: progress((at + share) / len(rules))
        reruns.append(await _rerun(run, path, paper, rule, told))
    return Replayed(
        run=run,
        recorded=_books(run.fills, run.ticks[0], run.ticks[-1].account, run.ticks[-1]),
        reruns=tuple(reruns),
        decided_again=len(kept) - len(otherwise),
        decided_otherwise=tuple(otherwise),
        without_snapshot=len(run.targets) - len(kept),
        limits=tuple(limits_of(run, restored)),
    )


async def _rerun(
    run: RecordedRun,
    path: Sequence[RecordedTick | Skipped],
    paper: PaperSettings,
    rule: str,
    progress: Callable[[float], None] | None,
) -> Rerun:
    """One pass. A tick runs wherever the run had one, so that the two can be laid side by side."""
    bot, provider, store = _bot(run, path, paper, rule)
    await bot.start()
    differing, first, number = 0, None, 0
    last: Account = run.ticks[0].account
    for at, item in enumerate(path, 1):
        store.now_ms = item.market.close_ms if isinstance(item, RecordedTick) else item.ts_ms
        if isinstance(item, Skipped):
            await bot.step()
            continue
        number += 1
        await provider.advance(run.symbol)
        decision = await bot.execute()
        snapshot = bot.last[0] if bot.last is not None else None
        last = last if snapshot is None else snapshot.account
        found = _differences(item, decision, last)
        if found:
            differing += 1
            first = first or Divergence(item.market.close_ms, number, found)
        if progress is not None and at % 500 == 0:
            progress(at / len(path))
    fills = await bot.broker.fills(run.symbol)
    await bot.stop(cancel=False)
    if progress is not None:
        progress(1.0)
    return Rerun(rule, _books(fills, run.ticks[0], last, run.ticks[-1]), differing, first)


def _bot(
    run: RecordedRun, path: Sequence[RecordedTick | Skipped], paper: PaperSettings, rule: str
) -> tuple[GridHedgeBot, PathProvider, ForgetfulStore]:
    """The run's bot as it began, on the recorded path."""
    instrument, clock = instrument_of(run), SimulatedClock()
    feed = PathFeed(path, instrument)
    broker = _broker(run, feed, instrument, paper, rule, clock)
    store = ForgetfulStore(memory_of(run), run.commands)
    provider = PathProvider(broker, feed, clock)
    bot = GridHedgeBot(
        broker=broker,
        symbol=run.symbol,
        config=BotConfig.from_mapping(run.settings),
        data_provider=provider,
        position_fetcher=PathInventory(feed, run.ticks[0].inventory),
        store=store,
    )
    return bot, provider, store


def _broker(
    run: RecordedRun, feed: PathFeed, instrument: Instrument, paper: PaperSettings, rule: str, clock: SimulatedClock
) -> PaperBroker:
    """A simulated venue with the run's own fees, leverage and books."""
    first = run.ticks[0].account
    settings = paper.model_copy(
        update={
            "fill_rule": rule,
            "maker_fee": instrument.maker_fee,
            "taker_fee": instrument.taker_fee,
            "leverage": first.leverage_limit,
            "quote_balance": first.wallet,
        }
    )
    journal = SeededBooks(books_of(run, instrument))
    broker = PaperBroker(settings, feed, clock, SeededIds(0), account=run.account, journal=journal)
    snapshot: Snapshot | None = run.snapshot
    switch = snapshot is not None and snapshot.dead_man_switch
    broker.capabilities = BrokerCapabilities(executes=snapshot is None or not snapshot.by_hand, dead_man_switch=switch, simulated=True)
    return broker


def _differences(tick: RecordedTick, decision: Decision, account: Account) -> tuple[tuple[str, str, str], ...]:
    """What the replay saw and decided otherwise on the same tick."""
    assessment = decision.assessment
    again = Decided(
        ratio=assessment.target.ratio,
        floor=assessment.target.floor,
        target_position=decision.target_position,
        anchor=decision.curve.anchor,
        spacing=decision.curve.spacing,
        risk_state=assessment.state.value,
        cancel=len(decision.approved.cancel),
        place=len(decision.approved.place),
    )
    found = []
    if account.position.quantity != tick.account.position.quantity:
        found.append(("position", f"{tick.account.position.quantity}", f"{account.position.quantity}"))
    for part in fields(Decided):
        before, after = getattr(tick.decided, part.name), getattr(again, part.name)
        if before != after:
            found.append((part.name.replace("_", " "), f"{before}", f"{after}"))
    return tuple(found)


def _books(fills: Sequence[Fill], first: RecordedTick, last: Account, at: RecordedTick) -> Books:
    bought = sum((f.quantity for f in fills if f.side is Side.BUY), ZERO)
    start = first.account
    return Books(
        fills=len(fills),
        maker_fills=sum(f.liquidity is Liquidity.MAKER for f in fills),
        bought=bought,
        sold=sum((f.quantity for f in fills if f.side is Side.SELL), ZERO),
        fees=last.fees_paid - start.fees_paid,
        slippage=sum((f.side.sign * f.quantity * (f.price - f.reference_price) for f in fills), ZERO),
        funding=last.funding_received - start.funding_received,
        pnl=_worth(last, at) - _worth(start, first),
        position=last.position.quantity,
    )


def _worth(account: Account, tick: RecordedTick) -> float:
    """Wallet less what was paid in, and the open position at mark."""
    held = account.position
    return float(account.wallet - account.deposits) + float(held.quantity) * (tick.market.mark.close - float(held.entry_price))
