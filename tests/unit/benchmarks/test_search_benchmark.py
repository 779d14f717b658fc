"""The benchmark of a search runs one."""

from benchmarks.search import trials_per_second


def test_the_speed_of_a_search_is_taken_once_its_workers_are_warm():
    assert trials_per_second(workers=1, trials=4, days=20) > 0.0
