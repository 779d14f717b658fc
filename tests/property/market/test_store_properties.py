import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.market.store.candle_store import CandleStore
from alpha_pulse.market.store.checking import Problem, check_stored, examine
from alpha_pulse.market.store.series import Market, Rows, series_of

MINUTE = 60_000
START = 1_706_745_600_000 - 30 * MINUTE  # half an hour before the end of a month
PERP = series_of("BTCUSDT", Market.PERP, "1m")

batches = st.lists(st.lists(st.tuples(st.integers(0, 60), st.floats(1.0, 1e6)), min_size=1, max_size=20), min_size=1, max_size=5)


def rows_of(batch):
    at, prices = np.array([START + number * MINUTE for number, _ in batch]), np.array([price for _, price in batch])
    return Rows(at, np.array([prices, prices, prices, prices, np.ones(len(batch))]))


@given(batches)
@settings(max_examples=40, deadline=None)
def test_the_store_holds_the_last_row_that_was_given_for_each_time_and_counts_every_one(given_batches):
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(folder)
        for batch in given_batches:
            before = dict(expected)
            expected |= dict(batch)
            written = store.write(PERP, rows_of(batch))
            times = {number for number, _ in batch}
            assert written.duplicates == len(batch) - len(times)
            assert written.added == len(expected) - len(before)
            assert written.replaced == len(times & before.keys())
            assert written.changed == sum(before[number] != expected[number] for number in times & before.keys())
        stored = store.read(PERP)
        assert stored.time_ms.tolist() == [START + number * MINUTE for number in sorted(expected)]
        assert stored.columns[3].tolist() == [expected[number] for number in sorted(expected)]
        described = store.stored(PERP)
        assert described.rows == len(expected)
        assert check_stored(store, PERP).count(Problem.GAP) == described.missing


@given(st.sets(st.integers(0, 60), min_size=2, max_size=61), st.integers(0, 60), st.integers(1, 61))
@settings(max_examples=40, deadline=None)
def test_a_range_is_what_lies_in_it_and_nothing_else(numbers, first, length):
    rows = rows_of([(number, 1.0) for number in sorted(numbers)])
    since, until = START + first * MINUTE, START + (first + length) * MINUTE
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(folder)
        store.write(PERP, rows)
        assert store.read(PERP, since, until).time_ms.tolist() == [at for at in rows.time_ms.tolist() if since <= at < until]


@given(
    st.lists(
        st.tuples(st.integers(-3, 70) | st.none(), st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=5, max_size=5)),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from(list(Market)),
)
@settings(max_examples=100, deadline=None)
def test_any_rows_can_be_looked_through_and_every_finding_lies_within_them(rows, market):
    stamps = np.array([np.nan if at is None else START + at * MINUTE for at, _ in rows])
    columns = np.array([values for _, values in rows]).T[: len(market.columns)]
    with np.errstate(all="raise"):
        examined = examine("it", market, MINUTE if market.kind == "candles" else None, stamps, columns)
    assert examined.rows == len(rows)
    for finding in examined.findings:
        assert examined.first_ms <= finding.first_ms <= finding.last_ms <= examined.last_ms
        assert finding.count >= 1
