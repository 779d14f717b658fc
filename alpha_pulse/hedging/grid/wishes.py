"""What a person may ask of a bot, as changes of its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from loguru import logger

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.hedging.common.interfaces import Herald, StateStore, TicketDesk
from alpha_pulse.hedging.common.types import BotState

KILLED = "killed by the user"


def resumed(state: BotState) -> BotState:
    """Every latch and halt released: the grid re-anchors, and drawdown counts from here."""
    fresh = replace(
        state.risk,
        high_water_mark=0.0,
        stop_reference=0.0,
        stop_latched=False,
        drawdown_latched=False,
        portfolio_latched=False,
        portfolio_drawdown=0.0,
        flattened=False,
        halted="",
        margin_cut=False,
    )
    return replace(state, risk=fresh, curve=None, rejected=())


def flattened(state: BotState) -> BotState:
    """The hedge is to be removed: the position is closed at once, and nothing is opened until the user resumes."""
    return replace(state, risk=replace(state.risk, flattened=True), rejected=())


def killed(state: BotState) -> BotState:
    """Halted until the user resumes, also after a restart."""
    return replace(state, risk=replace(state.risk, halted=KILLED))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a command does, and what is said about it."""

    change: Callable[[BotState], BotState]
    text: str
    event: EventKind | None = None  # what is recorded beside the change itself
    stops: str = ""  # not empty: the run ends, for this reason
    level: str = "INFO"


WISHES: Final[Mapping[str, Wish]] = {
    "stop": Wish(lambda state: state, "Asked to stop", stops="asked to stop"),
    "resume": Wish(resumed, "Resumed: latches released, the grid re-anchors at the current price", EventKind.RESUMED),
    "flatten": Wish(
        flattened,
        "Asked to flatten: the hedge is removed, and nothing is opened until `alpha-pulse resume`",
        EventKind.FLATTENED,
        level="WARNING",
    ),
    "kill": Wish(
        killed,
        "Killed: the grid is withdrawn, the stop stays; halted until `alpha-pulse resume`",
        EventKind.KILLED,
        stops="killed",
        level="WARNING",
    ),
}
"""By the name of the command."""


async def waiting_wishes(store: StateStore, desk: TicketDesk | None) -> list[Wish]:
    """What people asked since the last look, in order; verdicts on tickets go to the desk."""
    found: list[Wish] = []
    for command in await store.commands():
        wish = WISHES.get(command.name)
        if wish is not None:
            found.append(wish)
        elif desk is not None:
            await desk.apply(command)
        else:
            logger.warning("Nobody here understands the command {!r}", command.name)
    return found


@dataclass(frozen=True, slots=True)
class Heard:
    """What people asked for since the last look, carried out on the memory."""

    state: BotState
    events: tuple[Event, ...]
    stops: str  # not empty: the run is to end, for this reason
    resumed: bool


async def hear(store: StateStore, desk: TicketDesk | None, herald: Herald | None, state: BotState, now_ms: int) -> Heard:
    """Carry out what people asked for, in order; with what the broker has to tell besides."""
    tick_id, events, stops, again = format(now_ms, "x"), [], "", False
    for wish in await waiting_wishes(store, desk):
        state = wish.change(state)
        logger.log(wish.level, wish.text)
        if wish.event is not None:
            events.append(Event(wish.event, now_ms, tick_id, {}))
        if wish.event is EventKind.RESUMED:
            again, stops = True, "" if stops == WISHES["kill"].stops else stops
        stops = stops or wish.stops
    news = [] if herald is None else herald.drain_events()
    return Heard(state, (*events, *news), stops, again)
