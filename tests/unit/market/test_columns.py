import math

import numpy as np
import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import Bar
from alpha_pulse.market.columns import as_columns, as_updates, has_columns
from alpha_pulse.market.recorded import RecordedFeed
from alpha_pulse.market.simulated import START_MS, SimulatedFeed
from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.feed import StoredFeed
from alpha_pulse.market.wrapped import WrappedFeed
from tests.unit.market.market_fakes import ScriptedFeed, update
from tests.unit.market.store.recordings import FEB, FUNDING, HOUR, MARK, MINUTE, PERP, SPOT, bars, rates

BTC = hedge_pair("BTCUSDT")
START = FEB - 4 * HOUR


def objects(chunks):
    return [made for chunk in chunks for made in as_updates(chunk)]


@pytest.fixture
def store(tmp_path):
    """Five hours of spot without its second hour, perpetual without its third, marks without their fourth, and funding."""
    store = CandleStore(tmp_path)
    for series, hole in ((SPOT, 1), (PERP, 2), (MARK, 3)):
        for hour in {0, 1, 2, 3, 4} - {hole}:
            store.write(series, bars(60, start=START + hour * HOUR, price=100.0 + hour, volume=series is not MARK))
    store.write(FUNDING, rates(6, start=FEB - 16 * HOUR))
    return store


OPENED = [("simulated", 0), ("simulated", 100), ("simulated", 1440), ("simulated", 2000), ("stored", 0), ("stored", 200), ("files", 70)]


@pytest.mark.parametrize(("source", "resumed"), OPENED)
async def test_columns_hold_what_is_delivered_one_by_one(store, source, resumed):
    feed, start = {
        "simulated": lambda: (SimulatedFeed(3, days=1.7), START_MS),
        "stored": lambda: (StoredFeed(store.root, "1m", start_ms=START + 40 * MINUTE), START),
        "files": lambda: (RecordedFeed(store.folder(SPOT), store.folder(PERP)), START),
    }[source]()
    await feed.open(BTC, builtin_instrument(BTC), resume_after_ms=start + resumed * MINUTE)
    await feed.next("BTCUSDT")
    delivered = [feed.latest("BTCUSDT")]
    while (found := await feed.next("BTCUSDT")) is not None:
        delivered.append(found)
    assert has_columns(feed)
    assert objects(feed.columns("BTCUSDT")) == delivered
    assert objects(feed.past_columns("BTC/USDT")) == list(feed.history("BTCUSDT"))
    assert feed.expected("BTCUSDT") == len(delivered)


def test_updates_survive_the_way_to_columns_and_back():
    spot = Bar(90.0, 91.0, 89.0, 90.5, 1.0)
    given = [
        update(0),
        update(1, spot=None),
        update(2, settled_rate=-1e-4, mark=Bar(99.0, 99.5, 98.5, 99.25), spot=spot, bid_depth=5.0, ask_depth=6.0),
        update(3, funding_rate=-0.0, funding_interval_h=4.0),
    ]
    columns = as_columns(given)
    assert as_updates(columns) == given
    assert as_updates(columns.part(1, 3)) == given[1:3]
    assert as_updates(columns.part(2, None)) == given[2:]
    assert np.isnan(columns.spot[0]).tolist() == [False, True, False, False]
    assert math.isnan(columns.settled_rate[0])


async def test_a_part_keeps_the_perpetual_standing_in_for_the_mark():
    feed = SimulatedFeed(1, days=0.01)
    await feed.open(BTC, builtin_instrument(BTC))
    (columns,) = feed.columns("BTCUSDT")
    without_mark = columns._replace(mark=columns.perp).part(3, 6)
    assert without_mark.mark is without_mark.perp
    assert all(made.mark is made.perp for made in as_updates(without_mark))


def test_columns_count_only_where_what_is_delivered_is_not_changed_further_down():
    class Changed(SimulatedFeed):
        async def next(self, symbol):
            return await super().next(symbol)

    class Opened(SimulatedFeed):
        async def open(self, pair, instrument, *, resume_after_ms=0):
            await super().open(pair, instrument, resume_after_ms=resume_after_ms)

    assert has_columns(Opened(1))
    assert not has_columns(Changed(1))
    assert not has_columns(WrappedFeed(SimulatedFeed(1)))
    assert not has_columns(ScriptedFeed([]))
