"""The store in memory. What it shares with the durable one is tested with it, in tests/integration/state."""

from __future__ import annotations

import pytest

from alpha_pulse.domain.events import Event, EventKind, chain_hash
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import Command
from alpha_pulse.hedging.common.types import BotState
from alpha_pulse.hedging.state.memory import MemoryStore


def tick(number: int) -> Event:
    return Event(EventKind.TICK, number, f"t{number}", {"n": number})


async def test_hashes_are_computed_when_somebody_asks_and_continue_where_they_stopped():
    store = MemoryStore()
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([tick(1), tick(2)])
    assert store._bots["paper", "BTCUSDT"].links == []
    (first, second) = await store.events()
    await store.save([tick(3)])
    (third,) = await store.events(after=2)
    assert second.hash == chain_hash(first.hash, tick(2))
    assert third.previous_hash == second.hash
    assert third.sequence == 3


async def test_one_store_serves_one_bot_at_a_time_and_remembers_each():
    store = MemoryStore(records_every_tick=True)
    assert store.records_every_tick
    await store.open("paper", "BTCUSDT", "r1", 0)
    await store.save([], BotState(generation=5))
    with pytest.raises(ConfigError, match="run r1 uses this store"):
        await store.open("paper", "ETHUSDT", "r2", 0)
    await store.close()
    await store.close()
    assert await store.open("paper", "ETHUSDT", "r2", 0) is None
    await store.close()
    assert await store.open("paper", "BTCUSDT", "r3", 0) == BotState(generation=5)


async def test_commands_wait_for_their_bot_and_are_handed_over_once():
    store = MemoryStore()
    store.post_command("paper", "BTCUSDT", "resume")
    store.post_command("paper", "ETHUSDT", "stop")
    store.post_command("paper", "BTCUSDT", "stop", "now")
    await store.open("paper", "BTCUSDT", "r1", 0)
    assert await store.commands() == (Command(1, "resume"), Command(3, "stop", "now"))
    assert await store.commands() == ()


async def test_a_store_that_is_not_open_says_so():
    with pytest.raises(RuntimeError, match="not open"):
        await MemoryStore().save([tick(1)])
