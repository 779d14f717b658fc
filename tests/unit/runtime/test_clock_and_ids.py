"""Clocks and run ids."""

from __future__ import annotations

from alpha_pulse.runtime.clock import SimulatedClock, SystemClock
from alpha_pulse.runtime.ids import SeededIds, SystemIds

MS = 1_000_000


class Hands:
    """Two clock readings that a test moves."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000_000 * MS
        self.monotonic = 5 * MS

    def pass_ms(self, ms: int) -> None:
        self.wall += ms * MS
        self.monotonic += ms * MS

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.monotonic)


def test_the_system_clock_follows_the_wall_clock():
    hands = Hands()
    clock = hands.clock()
    start = clock.now_ms()
    hands.pass_ms(1500)
    assert clock.now_ms() == start + 1500
    hands.wall += 3_600_000 * MS
    assert clock.now_ms() == start + 1500 + 3_600_000


def test_a_wall_clock_that_is_set_back_slows_time_down_until_it_has_caught_up():
    hands = Hands()
    clock = hands.clock()
    start = clock.now_ms()
    hands.wall -= 10_000 * MS
    assert clock.now_ms() == start
    hands.pass_ms(4000)
    assert clock.now_ms() == start + 2000  # half pace: timers still fire
    hands.pass_ms(16_000)
    assert clock.now_ms() == start + 10_000  # level with the wall clock again
    hands.pass_ms(1000)
    assert clock.now_ms() == start + 11_000


async def test_the_real_clock_never_goes_back_and_sleeps():
    clock = SystemClock()
    before = clock.now_ms()
    await clock.sleep(0.002)
    await clock.sleep(-1)
    assert clock.now_ms() >= before + 1


async def test_simulated_time_stands_still_until_it_is_moved_and_never_goes_back():
    clock = SimulatedClock(1000)
    await clock.sleep(3600)
    assert clock.now_ms() == 1000
    clock.advance_to(5000)
    clock.advance_to(4000)
    assert clock.now_ms() == 5000


def test_run_ids_are_unique_in_life_and_repeat_in_simulation():
    live, first, second = SystemIds(), SeededIds(7), SeededIds(7)
    ids = [first.new_run_id() for _ in range(3)]
    assert ids == [second.new_run_id() for _ in range(3)]
    assert len({*ids, SeededIds(8).new_run_id(), live.new_run_id(), live.new_run_id()}) == 6
    assert {len(i) for i in ids} == {32} == {len(live.new_run_id())}
