import numpy as np
import pytest

from alpha_pulse.errors import Transient
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.downloading import Fetching, wanted_ranges
from alpha_pulse.market.store.series import Rows
from alpha_pulse.market.store.sources import Source
from tests.unit.market.store.recordings import DAY, FEB, FUNDING, HOUR, JAN, MINUTE, PERP, bars, rates


@pytest.fixture
def store(tmp_path):
    return CandleStore(tmp_path / "data")


class Recorded:
    """An exchange's record of bars, given out in windows of ``most`` bars: outside of what it has, a page is empty."""

    def __init__(self, first, last, *, most=100, fails_at=None, forward=False):
        self.first, self.last, self.most, self.fails_at, self.forward = first, last, most, fails_at, forward
        self.asked = []

    @property
    def source(self):
        return Source("somewhere", self.page, self.skip, MINUTE)

    async def page(self, since_ms):
        self.asked.append(since_ms)
        if self.fails_at is not None and since_ms >= self.fails_at:
            raise Transient("the line is down")
        start = max(since_ms, self.first)
        stop = (start if self.forward else since_ms) + self.most * MINUTE
        return [[float(at), 1.0, 1.0, 1.0, 1.0, 1.0] for at in range(start, min(stop, self.last + MINUTE), MINUTE)]

    async def skip(self, since_ms):
        return since_ms + self.most * MINUTE


def fetching(store, recorded, now_ms, told=None):
    return Fetching(store, PERP, recorded.source, now_ms, told or (lambda series, share: None))


async def test_pages_are_fetched_until_the_end_and_the_running_bar_is_left_out(store):
    recorded = Recorded(JAN, JAN + 500 * MINUTE)
    now = JAN + 250 * MINUTE + 30_000
    shares = []
    written = await fetching(store, recorded, now, lambda series, share: shares.append(share)).fetch(JAN, now)
    assert written.added == 250
    assert store.stored(PERP).last_ms == JAN + 249 * MINUTE
    assert recorded.asked == [JAN, JAN + 100 * MINUTE, JAN + 200 * MINUTE]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert store.stored(PERP).exchange == "somewhere"


async def test_a_bar_that_closes_this_very_moment_is_stored(store):
    recorded = Recorded(JAN, JAN + 500 * MINUTE)
    await fetching(store, recorded, JAN + 10 * MINUTE).fetch(JAN, JAN + 10 * MINUTE)
    assert store.stored(PERP).last_ms == JAN + 9 * MINUTE


async def test_what_had_come_is_stored_when_the_line_breaks_and_the_next_run_goes_on(store):
    end = JAN + 500 * MINUTE
    with pytest.raises(Transient):
        await fetching(store, Recorded(JAN, end, fails_at=JAN + 300 * MINUTE), end).fetch(JAN, end)
    assert store.stored(PERP).rows == 300
    again = Recorded(JAN, end)
    assert (await fetching(store, again, end).fetch(JAN, end)).added == 200
    assert store.stored(PERP).missing == 0


async def test_empty_pages_before_a_listing_are_passed_over(store):
    listed = JAN + 1000 * MINUTE
    recorded = Recorded(listed, listed + 50 * MINUTE)
    end = listed + 51 * MINUTE
    assert (await fetching(store, recorded, end).fetch(JAN, end)).added == 51


@pytest.mark.parametrize("forward", [True, False])
async def test_an_outage_in_the_middle_does_not_end_a_download(store, forward):
    class Outage(Recorded):
        async def page(self, since_ms):
            rows = await super().page(since_ms)
            return [row for row in rows if not JAN + 50 * MINUTE <= row[0] < JAN + 260 * MINUTE]

    recorded = Outage(JAN, JAN + 399 * MINUTE, forward=forward)
    end = JAN + 400 * MINUTE
    assert (await fetching(store, recorded, end).fetch(JAN, end)).added == 190


async def test_an_exchange_that_only_remembers_the_latest_bars_is_asked_once(store):
    class Forgetful(Recorded):
        async def page(self, since_ms):
            self.asked.append(since_ms)
            return [[float(at), 1.0, 1.0, 1.0, 1.0, 1.0] for at in range(self.last - 9 * MINUTE, self.last + 1, MINUTE)]

    recorded = Forgetful(JAN, JAN + 500 * MINUTE)
    end = JAN + 501 * MINUTE
    assert (await fetching(store, recorded, end).fetch(JAN, end)).added == 10
    assert recorded.asked == [JAN]


def test_an_empty_store_wants_everything(store):
    assert wanted_ranges(store, PERP, JAN, FEB) == [(JAN, FEB)]


def test_a_resumed_download_reads_the_last_day_of_an_incomplete_month_again(store):
    store.write(PERP, bars(2 * 1440, start=JAN))
    last = JAN + 2 * DAY - MINUTE
    assert wanted_ranges(store, PERP, JAN, JAN + 3 * DAY) == [(last - DAY, JAN + 3 * DAY)]
    assert wanted_ranges(store, PERP, JAN + 2 * DAY - HOUR, JAN + 3 * DAY) == [(JAN + 2 * DAY - HOUR, JAN + 3 * DAY)]


def test_a_complete_month_is_not_read_again_and_the_tail_never_reaches_into_the_month_before(store):
    store.write(PERP, bars(60, start=FEB - HOUR))
    assert wanted_ranges(store, PERP, FEB - HOUR, FEB + DAY) == [(FEB, FEB + DAY)]
    store.write(PERP, bars(10, start=FEB))
    assert wanted_ranges(store, PERP, FEB - HOUR, FEB + DAY) == [(FEB, FEB + DAY)]


def test_an_earlier_start_fetches_what_is_missing_in_front_and_a_range_that_is_there_nothing(store):
    store.write(PERP, bars(60, start=JAN + DAY))
    assert wanted_ranges(store, PERP, JAN, JAN + DAY + HOUR) == [(JAN, JAN + DAY)]
    assert wanted_ranges(store, PERP, JAN + DAY, JAN + DAY + HOUR) == []
    assert wanted_ranges(store, PERP, JAN, JAN + HOUR) == [(JAN, JAN + HOUR)]


def test_gaps_are_asked_for_again_only_on_demand(store):
    rows = bars(60)
    store.write(PERP, Rows(np.delete(rows.time_ms, [7, 8]), np.delete(rows.columns, [7, 8], axis=1)))
    assert wanted_ranges(store, PERP, JAN, JAN + HOUR) == []
    assert wanted_ranges(store, PERP, JAN, JAN + HOUR, fill_gaps=True) == [(JAN + 7 * MINUTE, JAN + 9 * MINUTE)]


def test_funding_goes_on_after_its_last_settlement(store):
    store.write(FUNDING, rates(3))
    assert wanted_ranges(store, FUNDING, JAN, JAN + DAY) == [(JAN, JAN + DAY)]
    assert wanted_ranges(store, FUNDING, JAN, JAN + 16 * HOUR) == []
