import math
from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.market.live import LivePair, warm_up

HOUR = 3_600_000
NOW = 1_735_689_600_000
BTC = hedge_pair("BTCUSDT")


def funding(**changes):
    return {"markPrice": 99.0, "indexPrice": 98.0, "fundingRate": 0.0001, "fundingTimestamp": NOW + 8 * HOUR} | changes


def live(pair=BTC, **changes):
    made = LivePair(pair, replace(builtin_instrument(pair), **changes))
    made.take_quote({"bid": 100.0, "ask": 101.0}, NOW)
    made.take_ticker({"last": 100.5})
    made.take_funding(funding(), NOW)
    made.take_spot({"last": 97.0}, NOW)
    return made


def test_updates_follow_each_other_even_within_a_millisecond():
    pair = live()
    first, second = pair.update(NOW, 1000.0), pair.update(NOW, 1000.0)
    assert (first.open_ms, first.close_ms) == (NOW - 1, NOW)
    assert (second.open_ms, second.close_ms) == (NOW, NOW + 1)
    assert pair.latest is second


@pytest.mark.parametrize(("quoted", "words"), [(NOW + 2000, "no mark price for 2 s"), (NOW, "no quotes for 2 s")])
def test_what_is_too_old_is_named(quoted, words):
    pair = live()
    pair.take_quote({"bid": 100.0, "ask": 101.0}, quoted)
    assert pair.update(NOW + 2000, 1000.0) == FeedProblem(NOW + 2000, words)


def test_old_spot_is_an_outage_and_the_index_goes_on():
    pair = live()
    pair.take_quote({"bid": 100.0, "ask": 101.0}, NOW + 2000)
    pair.take_funding(funding(), NOW + 2000)
    update = pair.update(NOW + 2000, 1000.0)
    assert (update.spot, update.index_price) == (None, 98.0)


def test_an_exchange_without_mark_and_index_uses_mid_and_spot():
    pair = LivePair(BTC, builtin_instrument(BTC))
    pair.take_quote({"bid": 100.0, "ask": 101.0}, NOW)
    pair.take_ticker({"last": 100.5})
    pair.take_funding({"fundingRate": 0.0}, NOW)
    pair.take_spot({"last": 97.0}, NOW)
    update = pair.update(NOW, 1000.0)
    assert (update.mark.close, update.index_price) == (100.5, 97.0)
    pair.spot_ms = 0
    assert pair.update(NOW, 1000.0).index_price == 100.5


def test_where_mark_prices_exist_a_missing_one_is_a_problem():
    pair = live()
    pair.take_funding(funding(markPrice=None), NOW)
    assert pair.update(NOW, 1000.0) == FeedProblem(NOW, "the mark's open is nan")


def test_a_reply_without_a_rate_is_refused():
    with pytest.raises(ValueError, match="no funding rate"):
        live().take_funding({"fundingRate": None, "markPrice": 1.0}, NOW)


def test_the_interval_follows_the_settlement_times_and_the_exchanges_word():
    pair = live()
    assert pair.interval_h == 8.0
    pair.take_funding(funding(fundingTimestamp=NOW + 12 * HOUR), NOW + 9 * HOUR)
    assert pair.interval_h == 4.0
    pair.take_funding(funding(fundingTimestamp=NOW + 12 * HOUR, interval="1h"), NOW + 9 * HOUR)
    assert pair.interval_h == 1.0
    for nonsense in ("0h", "eight", "h", None):
        pair.take_interval({"interval": nonsense})
    assert pair.interval_h == 1.0


def test_two_settlements_between_updates_are_both_paid():
    pair = live()
    pair.take_funding(funding(fundingTimestamp=NOW + 16 * HOUR, fundingRate=0.0002), NOW + 8 * HOUR)
    pair.take_funding(funding(fundingTimestamp=NOW + 24 * HOUR, fundingRate=0.0003), NOW + 16 * HOUR)
    assert pair.settled == pytest.approx(0.0003)


def test_a_settlement_time_that_moves_before_it_is_due_settles_nothing():
    pair = live()
    pair.take_funding(funding(fundingTimestamp=NOW + 12 * HOUR), NOW + HOUR)
    assert pair.settled is None


def test_without_a_settlement_time_the_interval_gives_one():
    pair = LivePair(BTC, builtin_instrument(BTC))
    pair.take_quote({"bid": 100.0, "ask": 101.0}, NOW + 1)
    pair.take_ticker({"last": 100.5})
    pair.take_funding({"fundingRate": 0.0}, NOW + 1)
    assert pair.update(NOW + 1, 1000.0).next_funding_ms == NOW + 8 * HOUR


def test_amounts_are_contracts_and_become_base_units():
    pair = live(contract_size=Decimal(10))
    pair.take_trades([{"price": 100.0, "amount": 2.0}, {"price": 100.2, "amount": 1.0}])
    pair.take_book({"bids": [[100.0, 1.0], [99.5, 1.0], [50.0, 99.0]], "asks": [[101.0, 2.0], [200.0, 99.0]]})
    update = pair.update(NOW, 1000.0)
    assert (update.perp.close, update.perp.volume) == (100.2, 30.0)
    assert (update.bid_depth, update.ask_depth) == (pytest.approx(1995.0), pytest.approx(2020.0))


def test_garbage_depth_leaves_the_last_one_standing():
    pair = live()
    pair.take_book({"bids": [[100.0, 1.0]], "asks": [[101.0, 1.0]]})
    pair.take_book({"bids": [[100.0, math.nan]], "asks": [[101.0, 1.0]]})
    assert pair.bid_depth == 100.0
    with pytest.raises(IndexError):
        pair.take_book({"bids": [], "asks": []})


@pytest.mark.parametrize("price", [None, 0.0, -1.0, math.nan, math.inf])
def test_a_spot_price_that_is_none_changes_nothing(price):
    pair = live()
    pair.take_spot({"last": price}, NOW + 5)
    assert (pair.spot, pair.spot_ms) == (97.0, NOW)


def test_spot_of_a_thousand_multiplied_coin_is_brought_to_the_perpetuals_units():
    pair = live(hedge_pair("PEPEUSDT"))
    pair.take_spot({"last": 0.00002}, NOW)
    assert pair.spot == pytest.approx(0.02)


def test_no_last_price_is_a_problem():
    pair = live()
    pair.take_ticker({"last": None})
    assert isinstance(pair.update(NOW, 1000.0), FeedProblem)


def test_only_closed_and_sound_candles_warm_indicators_up():
    rows = [
        [NOW, 100.0, 101.0, 99.0, 100.0, 5.0],
        [NOW + HOUR, 100.0, None, 99.0, 100.0, 5.0],
        [NOW + 2 * HOUR, 100.0, 101.0, 99.0, 100.0, 5.0],
    ]
    updates = warm_up(rows, HOUR, NOW + 2 * HOUR, 8.0)
    assert [update.open_ms for update in updates] == [NOW]
    assert isinstance(updates[0], MarketUpdate)
