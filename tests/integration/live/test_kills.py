"""A process killed at any instant, with real orders out: it goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from alpha_pulse.domain.events import EventKind
from tests.integration.live.processes import Outside, outside

CREATES = ("POST /fapi/v1/order", "POST /fapi/v1/batchOrders", "POST /fapi/v1/algoOrder")
CREATE = "POST /fapi/v1/*rder*"
CANCEL = "DELETE /fapi/v1/*rder*"
LIMIT = Decimal(1)  # coins: no state of the venue may lead to a larger position than the inventory
FIRST = 97_300


class Rest(NamedTuple):
    """Where a run has come to rest."""

    resting: Counter[tuple[str, ...]]
    traded: Counter[tuple[str, ...]]


def rest(run: Outside) -> Rest:
    return Rest(run.resting(), run.traded())


async def same_as(run: Outside, expected: Rest, within_s: float = 30.0) -> None:
    """Wait until the venue holds what it should; say what differs if it does not come to that."""
    try:
        await run.until(lambda: rest(run) == expected, within_s)
    except TimeoutError:
        found = rest(run)
        more, less = found.resting - expected.resting, expected.resting - found.resting
        traded, missing = found.traded - expected.traded, expected.traded - found.traded
        pytest.fail(f"resting too much {more}, too little {less}; traded too much {traded}, too little {missing}\n{run.output()[-3000:]}")


def walk(seed: int, steps: int) -> list[int]:
    """Prices that cross nodes both ways, one or two at a time, far from the stop; none lies on a node."""
    dice, price = random.Random(seed), 96_430  # noqa: S311 - a test's dice
    path = [price]  # up: the order that opens the hedge rests just above
    while len(path) < steps:
        price = min(98_400, max(92_600, price + dice.choice([-1900, -950, -950, 950, 950, 1900]) + dice.randint(-40, 40)))
        path.append(price)
    return path


async def undisturbed(folder: Path, path: list[int]) -> tuple[list[Rest], dict[str, Decimal], tuple[str, ...]]:
    """What one process does that nobody kills: where it rests after each price, and its ledgers at the end."""
    async with outside(folder) as run:
        await run.start()
        await run.settled()
        seen = [rest(run)]
        for price in path:
            run.move(price)
            await run.settled()
            seen.append(rest(run))
        assert await run.broken() == []
        return seen, run.money(), await run.booked()


async def ends_well(run: Outside) -> None:
    """The invariants at rest, and after a stop."""
    await run.up()
    await run.settled()
    assert await run.broken() == []
    assert run.worst_exposure() <= LIMIT
    assert await run.stop() == 0, run.output()[-3000:]
    assert run.left_behind() == []
    assert await run.broken() == []


# --- at chosen instants -----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def hedged(tmp_path_factory: pytest.TempPathFactory) -> list[Rest]:
    """Where a run that nobody kills comes to rest: at the start, and after one move up through two nodes."""
    return asyncio.run(undisturbed(tmp_path_factory.mktemp("undisturbed"), [FIRST]))[0]


async def killed_in(run: Outside, on: str, when: str, *, reaches_venue: bool) -> None:
    """Kill it while a request is inside the venue; whoever waits for the answer is gone when the request goes on."""
    run.fake.control.fault(on, "hold", when=when)
    await run.start()
    await run.held()
    await run.kill()
    run.fake.control.release(process=reaches_venue)


@pytest.mark.parametrize("on", CREATES)
@pytest.mark.parametrize(
    ("when", "reaches_venue"),
    [("before", False), ("before", True), ("after", True)],
    ids=["never arrived", "arrived after the death", "accepted without an answer"],
)
async def test_a_kill_around_a_create_neither_loses_nor_doubles_the_order(tmp_path, hedged, on, when, reaches_venue):
    async with outside(tmp_path / "run") as run:
        await killed_in(run, on, when, reaches_venue=reaches_venue)
        if not reaches_venue:
            await killed_in(run, on, when, reaches_venue=reaches_venue)  # the same again, in what the second process sends
        await run.start()
        await same_as(run, hedged[0])
        run.move(FIRST)
        await same_as(run, hedged[1])
        await ends_well(run)


async def test_fills_that_were_received_and_not_committed_are_booked_once_after_the_restart(tmp_path, hedged):
    async with outside(tmp_path / "run") as run:
        await run.start()
        await same_as(run, hedged[0])
        await run.settled()
        with closing(sqlite3.connect(str(run.engine.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # from here on nothing can be committed
            run.move(FIRST)
            await asyncio.sleep(0.7)  # nothing tells from outside that the process waits for the lock with the fills in hand
            await run.kill()
            assert await run.events(EventKind.FILL) == []
        await run.start()
        await same_as(run, hedged[1])
        await ends_well(run)


async def test_fills_that_were_committed_get_their_counter_orders_after_the_restart(tmp_path, hedged):
    async with outside(tmp_path / "run") as run:
        await run.start()
        await same_as(run, hedged[0])
        await run.settled()
        run.fake.control.fault(CREATE, "hold")
        run.move(FIRST)
        await run.held()
        await run.kill()
        run.fake.control.release(process=False)
        assert len(await run.events(EventKind.FILL)) > 0
        await run.start()
        await same_as(run, hedged[1])
        await ends_well(run)


async def test_a_partial_fill_during_the_death_is_booked_and_the_rest_goes_on(tmp_path):
    async with outside(tmp_path / "run") as run:
        await run.start()
        await run.settled()
        run.move(FIRST)
        await run.settled()
        held = run.position
        await run.kill()
        order = min((o for o in run.ours() if o.is_open and o.side == "SELL"), key=lambda o: o.price)
        part = order.quantity / 2
        run.fake.venue.fill_part(None, run.name, order.client_id, part)
        await run.start()
        await run.settled()
        assert run.position == held - part
        assert order.is_open, "the remainder keeps its place in the queue"
        run.move(order.price + 100)
        await run.until(lambda: order.status == "FILLED")
        await ends_well(run)


@pytest.mark.parametrize("cancelled_first", [0, 1])
async def test_a_kill_in_the_middle_of_the_cancels_at_a_stop_is_mended_by_the_next_run(tmp_path, hedged, cancelled_first):
    async with outside(tmp_path / "run") as run:
        await run.start()
        await same_as(run, hedged[0])
        await run.settled()
        run.fake.control.fault(CANCEL, "hold", after=cancelled_first)
        assert run.process is not None
        run.process.send_signal(signal.SIGTERM)
        await run.held()
        await run.kill()
        run.fake.control.release(process=False)
        assert run.left_behind() != []
        await run.start()
        await same_as(run, hedged[0])
        run.move(FIRST)
        await same_as(run, hedged[1])
        await ends_well(run)


# --- at random instants -----------------------------------------------------------------------------------------------
async def walked_with_kills(folder: Path, kills: int, seed: int) -> None:
    """Walk the same prices twice, once with kills before a move, while it is answered and while the process starts."""
    path, dice = walk(seed, kills), random.Random(seed)  # noqa: S311 - a test's dice
    expected, money, booked = await undisturbed(folder / "undisturbed", path)
    killed = 0
    async with outside(folder / "killed") as run:
        await run.start()
        await same_as(run, expected[0])
        for price, there in zip(path, expected[1:], strict=True):
            if killed < kills and dice.random() < 0.25:
                await run.kill()
                killed += 1
            run.move(price)
            while killed < kills:
                if run.alive:
                    await asyncio.sleep(dice.uniform(0.0, 0.4))  # in the middle of the answer
                    killed += 1
                await run.kill()
                await run.start()
                if dice.random() < 0.7:
                    break
                await asyncio.sleep(dice.uniform(0.3, 2.5))  # in the middle of the start
            if not run.alive:
                await run.start()
            await same_as(run, there, 60.0)
        assert killed >= kills
        await run.settled()
        assert run.money() == money
        assert await run.booked() == booked
        await ends_well(run)


async def test_a_walk_with_twenty_kills_ends_where_the_walk_without_them_does(tmp_path):
    await walked_with_kills(tmp_path, 20, seed=5)


@pytest.mark.soak
async def test_a_walk_with_two_hundred_kills_ends_where_the_walk_without_them_does(tmp_path):
    await walked_with_kills(tmp_path, 200, seed=6)
