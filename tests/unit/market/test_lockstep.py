"""Feeds without a common clock in step: by time, then by the order of joining; nobody waits for one that has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import Transient
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketFeed
from alpha_pulse.market.lockstep import Lockstep
from alpha_pulse.testing import MINUTE_MS, PAIR, START_MS, SYMBOL, FakeFeed, bar, instrument, update

PATIENCE_S = 10.0


def minutes(*numbers: int) -> list[MarketUpdate]:
    """Bars of a minute each; bar n closes at minute n + 1."""
    return [update(number, bar(100.0)) for number in numbers]


def closing(item: Any) -> int:
    """The minute at which an update was known."""
    ms = item.close_ms if isinstance(item, MarketUpdate) else item.ts_ms
    return int((ms - START_MS) // MINUTE_MS)


async def joined(*markets: Iterable[Any], feeds: Sequence[FakeFeed] = ()) -> list[MarketFeed]:
    step = Lockstep()
    members = [step.join(feed) for feed in (feeds or [FakeFeed(market) for market in markets])]
    for member in members:
        await member.open(PAIR, instrument())
    return members


async def read(member: MarketFeed, name: str, told: list[tuple[int, str]], *, think_s: float = 0.0) -> None:
    """Take updates to the end, thinking about each before the next one is asked for."""
    while (item := await member.next(SYMBOL)) is not None:
        told.append((closing(item), name))
        await asyncio.sleep(think_s)
        told.append((closing(item), name.lower()))  # done with it


async def together(*markets: Iterable[Any], think_s: Sequence[float] = ()) -> list[tuple[int, str]]:
    """What the members A, B, C … were told and when they were done (small letter), in the order in which it happened."""
    members = await joined(*markets)
    told: list[tuple[int, str]] = []
    waits = think_s or [0.0] * len(members)
    readers = [read(member, chr(65 + at), told, think_s=waits[at]) for at, member in enumerate(members)]
    await asyncio.wait_for(asyncio.gather(*readers), PATIENCE_S)
    return told


async def test_updates_come_by_time_and_at_the_same_time_in_the_order_of_joining():
    told = await together(minutes(0, 1, 3), minutes(0, 2, 3))
    assert told == [
        (1, "A"), (1, "a"), (1, "B"), (1, "b"), (2, "A"), (2, "a"), (3, "B"), (3, "b"), (4, "A"), (4, "a"), (4, "B"), (4, "b"),
    ]  # fmt: skip


async def test_the_one_that_joined_first_goes_first_even_when_it_is_slower():
    told = await together(minutes(0, 1), minutes(0, 1), minutes(0, 1), think_s=[0.02, 0.0, 0.005])
    assert told == [(minute, name) for minute in (1, 2) for name in ("A", "a", "B", "b", "C", "c")]


async def test_the_next_update_waits_until_everybody_has_done_with_the_one_before():
    """B is told of minute 2 only after A, which thinks long, is done with minute 1 and with minute 2."""
    told = await together(minutes(0, 1), minutes(0, 1), think_s=[0.05, 0.0])
    assert told.index((1, "a")) < told.index((1, "B"))
    assert told.index((2, "a")) < told.index((2, "B"))


async def test_one_whose_market_begins_later_holds_nobody_up_once_it_has_said_so():
    told = await together(minutes(5, 6), minutes(0, 1))
    assert [entry for entry in told if entry[1].isupper()] == [(1, "B"), (2, "B"), (6, "A"), (7, "A")]


async def test_one_that_has_ended_holds_nobody_up():
    told = await together(minutes(0), minutes(0, 1, 2, 3), minutes())
    assert [entry for entry in told if entry[1].isupper()] == [(1, "A"), (1, "B"), (2, "B"), (3, "B"), (4, "B")]


async def test_a_problem_takes_its_turn_like_an_update():
    broken = FeedProblem(START_MS + 2 * MINUTE_MS, "the bid is nan")
    told = await together([*minutes(0), broken, *minutes(2)], minutes(0, 1, 2))
    assert [entry for entry in told if entry[1].isupper()] == [(1, "A"), (1, "B"), (2, "A"), (2, "B"), (3, "A"), (3, "B")]


async def test_nobody_moves_before_everybody_has_asked():
    early, late = await joined(minutes(0), minutes(0))
    waiting = asyncio.ensure_future(early.next(SYMBOL))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    second = asyncio.ensure_future(late.next(SYMBOL))
    assert closing(await asyncio.wait_for(waiting, PATIENCE_S)) == 1
    assert not second.done()
    last = asyncio.ensure_future(early.next(SYMBOL))  # the market of the first has ended
    assert closing(await asyncio.wait_for(second, PATIENCE_S)) == 1
    assert await asyncio.wait_for(last, PATIENCE_S) is None


async def test_one_that_was_closed_holds_nobody_up_whether_or_not_it_ever_asked():
    feeds = [FakeFeed(minutes(0, 1, 2)) for _ in range(3)]
    first, silent, quitter = await joined(feeds=feeds)
    waiting = asyncio.ensure_future(first.next(SYMBOL))
    asked = asyncio.ensure_future(quitter.next(SYMBOL))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await silent.close()
    assert closing(await asyncio.wait_for(waiting, PATIENCE_S)) == 1
    waiting = asyncio.ensure_future(first.next(SYMBOL))
    assert closing(await asyncio.wait_for(asked, PATIENCE_S)) == 1
    await asyncio.sleep(0.02)
    assert not waiting.done()  # the third is still acting on its first update
    await quitter.close()
    assert closing(await asyncio.wait_for(waiting, PATIENCE_S)) == 2
    assert [feed.closed for feed in feeds] == [0, 1, 1]


async def test_one_that_is_stopped_while_it_waits_lets_the_others_go_on_when_it_closes():
    first, second = await joined(minutes(0, 1), minutes(0, 1))
    assert_first = asyncio.ensure_future(first.next(SYMBOL))
    stopped = asyncio.ensure_future(second.next(SYMBOL))
    assert closing(await asyncio.wait_for(assert_first, PATIENCE_S)) == 1
    stopped.cancel()
    await asyncio.wait({stopped})
    assert stopped.cancelled()
    await second.close()
    assert closing(await asyncio.wait_for(first.next(SYMBOL), PATIENCE_S)) == 2


class Moody(FakeFeed):
    """Fails once before its second update."""

    failed = False

    async def next(self, symbol: str) -> Any:
        if self._position[symbol] == 1 and not self.failed:
            self.failed = True
            raise Transient("no answer")
        return await super().next(symbol)


async def test_one_that_fails_and_asks_again_keeps_its_place():
    first, second = await joined(feeds=[Moody(minutes(0, 1)), FakeFeed(minutes(0, 1))])
    other = asyncio.ensure_future(second.next(SYMBOL))
    assert closing(await asyncio.wait_for(first.next(SYMBOL), PATIENCE_S)) == 1
    with pytest.raises(Transient):
        await first.next(SYMBOL)
    assert not other.done()
    again = asyncio.ensure_future(first.next(SYMBOL))
    assert closing(await asyncio.wait_for(other, PATIENCE_S)) == 1
    other = asyncio.ensure_future(second.next(SYMBOL))
    assert closing(await asyncio.wait_for(again, PATIENCE_S)) == 2
    await first.close()
    assert closing(await asyncio.wait_for(other, PATIENCE_S)) == 2


async def test_everything_but_the_next_update_is_passed_on():
    (member,) = await joined(minutes(0, 1, 2))
    assert member.expected(SYMBOL) == 3
    assert await member.instrument(PAIR) is None
    assert closing(await member.next(SYMBOL)) == 1
    assert member.latest(SYMBOL) is not None
    assert list(member.history(SYMBOL)) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 8), unique=True, max_size=6).map(sorted), min_size=1, max_size=4))
def test_any_markets_come_merged_by_time_and_place_and_nothing_is_lost(markets):
    told = asyncio.run(together(*[minutes(*market) for market in markets]))
    expected = sorted((minute + 1, at) for at, market in enumerate(markets) for minute in market)
    assert [(minute, ord(name) - 65) for minute, name in told if name.isupper()] == expected
