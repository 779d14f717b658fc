"""The outages that a bot is drilled in: each a script over a ``Drill``, with a name and a line that says what is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from alpha_pulse.fake_exchange.config import DEFAULT_KEY
from alpha_pulse.fake_exchange.drill import CANCEL, CREATE, Drill, Script
from alpha_pulse.fake_exchange.records import ZERO
from alpha_pulse.fake_exchange.refusals import Refusal

_REJECTIONS: Final = 20
_MOST_CREATES: Final = 100  # while the venue refuses them: more is a hot loop
_ACCOUNT: Final = "GET /fapi/v3/account"
_POSITIONS: Final = "GET /fapi/v3/positionRisk"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One outage.

    Attributes:
        name: for ``--only``.
        what: what is done, in a line.
        script: does it, and returns when it is over; before that a bot has come to rest, unless it is ``outside``.
        alarms: a person must be told.
        outside: the script starts the bot itself, in a process of its own.
        compares: the script compares what two runs lay out.
    """

    name: str
    what: str
    script: Script
    alarms: bool = False
    outside: bool = False
    compares: bool = False


_known: list[Scenario] = []


def _scenario(name: str, what: str, *, alarms: bool = False, outside: bool = False, compares: bool = False) -> Callable[[Script], Script]:
    def listed(script: Script) -> Script:
        _known.append(Scenario(name, what, script, alarms, outside, compares))
        return script

    return listed


# --- orders without an answer -----------------------------------------------------------------------------------------
@_scenario("create-lost", "two creates time out before the venue sees them")
async def create_lost(drill: Drill, _folder: Path) -> None:
    """The bot asks, learns that they never came, and places them once."""
    drill.fake.faults.add(CREATE, "timeout_before", times=2)
    drill.cross(2)
    await drill.rest()


@_scenario("create-unanswered", "two creates are accepted, and the answers are lost")
async def create_unanswered(drill: Drill, _folder: Path) -> None:
    """The bot asks, and adopts them."""
    drill.fake.faults.add(CREATE, "timeout_after", times=2)
    drill.cross(2)
    await drill.rest()


@_scenario("cancel-lost", "cancels are lost on the way there and back, also while the bot withdraws")
async def cancel_lost(drill: Drill, _folder: Path) -> None:
    """Cancels come with the next stop, and with the end of the run."""
    for kind in ("drop_before", "timeout_after"):
        drill.fake.faults.add(CANCEL, kind, times=1)
    drill.cross(1)
    await drill.rest()
    for kind in ("drop_before", "timeout_after", "status"):
        drill.fake.faults.add(CANCEL, kind, times=2)
    await drill.withdraw()


# --- streams ----------------------------------------------------------------------------------------------------------
@_scenario("stream-drops", "every websocket is cut while orders fill")
async def stream_drops(drill: Drill, _folder: Path) -> None:
    """What filled meanwhile is read over REST."""
    drill.fake.hub.fault("disconnect", seconds=1.0, abort=True)
    drill.cross(2)
    await drill.rest()


@_scenario("stream-frozen", "every websocket stays open and says nothing, pings included, while orders fill")
async def stream_frozen(drill: Drill, _folder: Path) -> None:
    """The watchdog builds new streams; REST brings the fills before that."""
    drill.fake.hub.fault("frozen", seconds=drill.settings.exchange.stream_silent_s + 1.0)
    drill.cross(1)
    await asyncio.sleep(drill.settings.exchange.stream_silent_s)
    drill.cross(1)
    await drill.rest()


@_scenario("listen-key", "the listen key expires, then orders fill")
async def listen_key(drill: Drill, _folder: Path) -> None:
    """Nothing would come on that stream any more."""
    before = drill.fake.hub.connections
    drill.fake.hub.fault("expire_listen_key")
    drill.cross(1)
    await drill.rest()
    if await drill.within(lambda: drill.fake.hub.connections > before, drill.patience_s):
        drill.note("opened a new private stream")
    else:
        drill.broke("A", "the private stream was not opened again")


# --- the venue --------------------------------------------------------------------------------------------------------
@_scenario("unreachable", "nothing reaches the venue for a while, and orders fill", alarms=True)
async def unreachable(drill: Drill, _folder: Path) -> None:
    """Longer than the account may be unread, so that the bot has to stop quoting."""
    seconds = drill.settings.exchange.stale_after_s + 2.0
    drill.fake.control.unreachable(seconds)
    drill.cross(1)
    await asyncio.sleep(seconds)
    await drill.rest()


@_scenario("banned", "too many requests (429), then a ban (418)")
async def banned(drill: Drill, _folder: Path) -> None:
    """Nothing may be sent while the ban lasts."""
    door = drill.fake.door
    drill.fake.faults.add("*", "rate_limit", seconds=1.0)
    drill.cross(1)
    await asyncio.sleep(1.5)
    drill.fake.faults.add("*", "ban", seconds=3.0)
    if not await drill.within(lambda: bool(door.limits.banned_until_ms), drill.patience_s):
        drill.broke("C", "the ban never came")
    await asyncio.sleep(0.3)  # what was on its way when the ban came
    before = door.counts.total()
    drill.cross(1)
    await asyncio.sleep(2.0)
    asked = door.counts.total() - before
    drill.note(f"{asked} requests during the ban")
    if asked:
        drill.broke("C", f"{asked} requests were sent during a ban")
    await drill.rest()


@_scenario("html", "positions and balance answer with a web page", alarms=True)
async def html(drill: Drill, _folder: Path) -> None:
    """Never believed to mean "flat"."""
    for route in (_POSITIONS, _ACCOUNT):
        drill.fake.faults.add(route, "html", times=None)
    drill.cross(1)
    await asyncio.sleep(drill.settings.exchange.stale_after_s + 1.0)
    drill.fake.faults.clear()
    await drill.rest()


@_scenario("post-only", f"the next {_REJECTIONS} creates are refused as not post-only")
async def post_only(drill: Drill, _folder: Path) -> None:
    """No hot loop."""
    drill.fake.faults.add(CREATE, "status", status=400, body=json.dumps(Refusal(-5022).body()), times=_REJECTIONS)
    before = len(drill.asked(CREATE))
    for _ in range(3):
        drill.cross(1)
        await drill.rest()
    asked = len(drill.asked(CREATE)) - before
    drill.note(f"{asked} creates while they were refused")
    if asked > _MOST_CREATES:
        drill.broke("C", f"{asked} creates in a row: a hot loop")


@_scenario("key-revoked", "the key is revoked, and orders fill", alarms=True)
async def key_revoked(drill: Drill, _folder: Path) -> None:
    """The bot can do nothing any more: it halts, and the venue withdraws the grid if the dead-man switch is on."""
    drill.expects_halt = True
    drill.fake.venue.revoke_key(DEFAULT_KEY)
    drill.cross(1)
    if await drill.within(lambda: drill.ended, drill.patience_s):
        drill.note("halted")
    dead_man = drill.settings.exchange.dead_man_switch_s
    if dead_man and await drill.within(lambda: not drill.watch.grid_orders(), dead_man + 2.0):
        drill.note("the venue withdrew the grid")
    drill.fake.venue.revoke_key(DEFAULT_KEY, revoked=False)


# --- the market -------------------------------------------------------------------------------------------------------
@_scenario("manual-trade", "somebody trades in this contract by hand", alarms=True)
async def manual_trade(drill: Drill, _folder: Path) -> None:
    """It counts; the hedge is repaired."""
    lot = drill.instrument.lot_size
    quantity = max((drill.limit / 5 / lot).to_integral_value() * lot, lot)
    drill.fake.venue.trade_outside(None, drill.name, "BUY" if drill.position < 0 else "SELL", quantity)
    await drill.rest()


@_scenario("flash-crash", "price falls by 40 % and comes back to 2 % below (100, 60, 98)")
async def flash_crash(drill: Drill, _folder: Path) -> None:
    """The stop at the venue has to have worked."""
    had_stop = drill.watch.has_stop
    drill.to(0.60, gap=False)
    open_at_once = drill.watch.open_risk
    await drill.rest()
    if had_stop and any(stop.triggered_ms for stop in drill.our_stops()):
        drill.note(f"the stop fired at the venue and left {open_at_once:f} {drill.instrument.base} open")
    elif drill.watch.stop_is_due and drill.inventory > ZERO:
        drill.broke("C", "no stop fired")
    drill.to(0.98, gap=False)
    await drill.rest()


@_scenario("rally", "price rises by 40 % in steps of 5 %")
async def rally(drill: Drill, _folder: Path) -> None:
    """The short must not be liquidated."""
    for step in range(1, 9):
        drill.to(1.0 + 0.05 * step)
        await drill.rest()
    if any(row.kind == "INSURANCE_CLEAR" for row in drill.fake.venue.income()):
        drill.broke("C", "the venue liquidated the position")


@_scenario("funding", "funding of 2 % is settled, twice over")
async def funding(drill: Drill, _folder: Path) -> None:
    """The ledger equals the venue's income."""
    if drill.position == ZERO:
        drill.cross(1)
        await drill.rest()
    drill.fake.venue.settle_funding(drill.name, Decimal("0.02"), times=2)
    async with asyncio.timeout(drill.patience_s):
        while any("funding" in problem for problem in await drill.broken()):  # noqa: ASYNC110 - the record tells nobody
            await asyncio.sleep(0.2)
    await drill.rest()


# --- the bot ----------------------------------------------------------------------------------------------------------
@_scenario("crash", "the bot is killed (SIGKILL) with a create in flight, and started again", outside=True, compares=True)
async def crash(drill: Drill, folder: Path) -> None:
    """A further run, after a clean end, has to come to the same orders."""
    await drill.spawn(folder)
    await drill.until(lambda: bool(drill.watch.grid_orders()), drill.patience_s)
    drill.fake.faults.add(CREATE, "hold", when="after")
    drill.cross(1)
    held = await drill.within(lambda: bool(drill.fake.faults.held), drill.patience_s)
    drill.note("killed with a create in flight" if held else "killed; nothing was in flight")
    await drill.kill()
    drill.fake.faults.release()
    await drill.restart()
    first = drill.laid_out()
    await drill.withdraw()
    await drill.restart()
    if other := set(drill.laid_out()) ^ set(first):
        drill.broke("E", f"a further run laid other orders: {sorted(other)[:4]}")


@_scenario("dead-man", "the bot hangs (SIGSTOP): the venue withdraws the grid, not the stop; then it is killed and restarted", outside=True)
async def dead_man(drill: Drill, folder: Path) -> None:
    """Only where the switch is on."""
    await drill.spawn(folder)
    had_stop, switch_s = drill.watch.has_stop, drill.settings.exchange.dead_man_switch_s
    drill.hang()
    if not switch_s:
        drill.note("the dead-man switch is off: the grid stays until somebody comes")
    elif await drill.within(lambda: not drill.watch.grid_orders(), switch_s + 5.0):
        drill.note("the venue withdrew the grid" + (", the stop stayed" if drill.watch.has_stop else ""))
        if had_stop and not drill.watch.has_stop:
            drill.broke("C", "the venue withdrew the stop too")
    else:
        drill.broke("C", "the venue did not withdraw the grid")
    await drill.kill()
    await drill.restart()


SCENARIOS: Final = tuple(_known)
"""Every outage, in the order of the table."""
