"""Replay: the bot itself, over a recorded or simulated market as fast as it can, with every bar noted."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from loguru import logger

from alpha_pulse.backtest.record import LATCHED, RESTRICTED, RunRecord, Sent, TargetMove
from alpha_pulse.backtest.source import remarks_of, source_of
from alpha_pulse.bootstrap import build_bot
from alpha_pulse.domain.events import EventKind
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.hedging.common.interfaces import MarketFeed, StateStore
from alpha_pulse.hedging.common.types import Contribution, HedgeTarget, RiskMemory, RiskState, Snapshot
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.grid.calculator import target_at
from alpha_pulse.hedging.grid.chronicle import describe
from alpha_pulse.hedging.grid.curve import place_on_grid
from alpha_pulse.hedging.grid.decide import Decision
from alpha_pulse.runtime.logging import market_time
from alpha_pulse.settings import Settings

_REPORT_EVERY = 1440  # bars between two reports of progress


class _Stretch(NamedTuple):
    """What stands still from row ``first`` on, until the next stretch. Units as in ``RunRecord``."""

    first: int
    position: float
    entry: float
    wallet: float
    ratio: float
    floor: float
    anchor: float
    spacing: float
    cap: float
    posture: int


_STANDING = ("position", "ratio", "floor", "wallet", "anchor", "spacing", "cap")


class Recorder:
    """Copies what each bar showed into the record's columns; what only a decision made in full can change, once for each such decision."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self._decision: Decision | None = None
        self._last_ms = 0
        self._stretches: list[_Stretch] = []

    def note(self, bot: GridHedgeBot) -> None:
        """One row. Skipped ticks repeat nothing: only bars that were acted upon are rows."""
        if bot.last is None or bot.market is None:
            return
        market = bot.market
        raw = market.raw
        now = raw.close_ms
        if now == self._last_ms:
            return
        self._last_ms = now
        record, (snapshot, decision) = self.record, bot.last
        if decision is not self._decision:
            self._take(snapshot, decision)
        curve = decision.curve
        place = place_on_grid(0.5 * (raw.bid + raw.ask), curve.anchor, curve.spacing, curve.levels, curve.geometric)
        record.ts_ms.append(now)
        record.spot.append(market.reference)
        record.mark.append(raw.mark.close)
        record.last.append(raw.perp.close)
        record.target.append(target_at(curve, place))

    def _take(self, snapshot: Snapshot, decision: Decision) -> None:
        self._decision = decision
        account, curve = snapshot.account, decision.curve
        stretch = _Stretch(
            first=len(self.record.ts_ms),
            position=float(account.position.quantity),
            entry=float(account.position.entry_price),
            wallet=float(account.wallet),
            ratio=curve.ratio,
            floor=curve.floor,
            anchor=curve.anchor,
            spacing=curve.spacing,
            cap=curve.max_abs_position,
            posture=_posture(decision.assessment.memory),
        )
        if not self._stretches or stretch[1:] != self._stretches[-1][1:]:
            self._stretches.append(stretch)
        for kind, payload in decision.changes:
            if kind is EventKind.TARGET_CHANGED:
                self.record.moves.append(_move(snapshot, decision.assessment.target))
            else:
                self.record.notes.append((snapshot.market.now_ms, describe(kind, payload)))
        for approved in decision.approved.place:
            sent = self.record.sent.setdefault(approved.request.purpose.value, Sent())
            sent.orders += 1
            sent.quantity += approved.request.quantity

    def finish(self) -> None:
        """Fill the columns that stand still between decisions."""
        record = self.record
        ends = [stretch.first for stretch in self._stretches[1:]] + [len(record.ts_ms)]
        for stretch, end in zip(self._stretches, ends, strict=True):
            for name in _STANDING:
                getattr(record, name).extend(array("d", [getattr(stretch, name)]) * (end - stretch.first))
            record.posture.extend(array("q", [stretch.posture]) * (end - stretch.first))
            record.unrealized.extend(stretch.position * (mark - stretch.entry) for mark in record.mark[stretch.first : end])


def _posture(memory: RiskMemory) -> int:
    latched = memory.stop_latched or memory.drawdown_latched or memory.portfolio_latched
    return LATCHED * latched + RESTRICTED * (memory.state is not RiskState.NORMAL)


def _move(snapshot: Snapshot, after: HedgeTarget) -> TargetMove:
    """What moved the target: of what moved, ratio or floor, the steps that did something, in words."""
    before = snapshot.state.target
    ratio, floor = _steps(after)
    told = (ratio if before is None or before.ratio != after.ratio else ()) + (
        floor if before is None or before.floor != after.floor else ()
    )
    steps = [step for step in told if step.before != step.after or step.name == "sizer"]
    return TargetMove(
        ts_ms=snapshot.market.now_ms,
        price=snapshot.market.raw.perp.close,
        position=float(snapshot.account.position.quantity),
        ratio_before=None if before is None else before.ratio,
        ratio=after.ratio,
        floor_before=None if before is None else before.floor,
        floor=after.floor,
        why="; ".join(f"{step.name} {step.before:.1%} → {step.after:.1%}: {step.reason}" for step in steps),
    )


def _steps(target: HedgeTarget) -> tuple[tuple[Contribution, ...], tuple[Contribution, ...]]:
    """The steps to the ratio, and those to the floor: each chain begins anew where a step does not begin at the last one's end."""
    steps = target.contributions
    begin = next((i for i in range(1, len(steps)) if steps[i].before != steps[i - 1].after), len(steps))
    return steps[:begin], steps[begin:]


async def replay(
    settings: Settings,
    *,
    feed: MarketFeed | None = None,
    store: StateStore | None = None,
    progress: Callable[[float], None] | None = None,
) -> RunRecord:
    """Run the bot over the settings' market to its end and return what happened.

    Args:
        settings: what to run; the feed must be finite (recorded, or simulated with ``feed.days``).
        feed: the market; made from the settings if not given.
        store: where events go; in memory if not given.
        progress: called with the share done, 0 … 1, about once a day of market.

    Raises:
        ConfigError: the market is endless, empty, or cannot be read.
    """
    if settings.feed.source == "ccxt" or (settings.feed.source == "simulated" and settings.feed.days is None):
        raise ConfigError("a live or endless market cannot be replayed.", field="feed", fix="give recorded files, or feed.days")
    if settings.llm.enabled:
        logger.warning("A replay asks no language model: its advice is left out")
        settings = without_advice(settings)
    market = feed or create_feed(settings.feed, settings.exchange)
    bot = build_bot(settings, feed=market, store=store)
    with _patient_collector(), market_time(bot.broker.clock.now_ms):
        recorder = await _run(bot, settings, progress)
    if recorder is None:
        raise ConfigError("the market has no usable bar.", field="feed", fix="look at the warnings above, and at the data files")
    recorder.finish()
    recorder.record.notes[:0] = ((recorder.record.ts_ms[0], text) for text in remarks_of(market))
    await _finish(bot, recorder.record)
    if progress is not None:
        progress(1.0)
    return recorder.record


def without_advice(settings: Settings) -> Settings:
    """The settings without a language model, whose answers would make a replay that cannot be repeated."""
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"enabled": False})})


async def _run(bot: GridHedgeBot, settings: Settings, progress: Callable[[float], None] | None) -> Recorder | None:
    """Step to the end of the market; None if no bar of it could be acted upon."""
    await bot.start()
    recorder: Recorder | None = None
    seen, bars = 0, bot.broker.feed.expected(bot.symbol)
    while await bot.step():
        seen += 1
        if recorder is None:
            recorder = _recorder(bot, settings)
        if recorder is not None:
            recorder.note(bot)
        if progress is not None and bars is not None and seen % _REPORT_EVERY == 0:
            progress(min(1.0, seen / bars))
    return recorder


@contextmanager
def _patient_collector() -> Iterator[None]:
    """A replay makes millions of short-lived tuples and no cycles: the default collector would spend a tenth of it looking."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _recorder(bot: GridHedgeBot, settings: Settings) -> Recorder | None:
    """Made after the first tick: only then is the wallet credited and the instrument known."""
    if bot.last is None:
        return None
    snapshot, _ = bot.last
    record = RunRecord(
        pair=bot.pair,
        instrument=snapshot.instrument,
        inventory=snapshot.inventory,
        initial_wallet=snapshot.account.wallet,
        settings=settings.model_dump(mode="json", by_alias=True, exclude={"store", "logging"}),  # where things lie changes no result
        simulated=settings.feed.source == "simulated",
        source=source_of(settings),
    )
    return Recorder(record)


async def _finish(bot: GridHedgeBot, record: RunRecord) -> None:
    """Collect the bookings and leave orders as they are: the run ends, the market does not. What was booked on a last bar that
    the bot could not act upon lies after the record's last row, and is left out.
    """
    last = record.ts_ms[-1]
    record.fills.extend(fill for fill in await bot.broker.fills(bot.symbol) if fill.ts_ms <= last)
    record.funding.extend(payment for payment in await bot.broker.funding(bot.symbol) if payment.ts_ms <= last)
    record.state = bot.state
    await bot.stop(cancel=False)
