"""What the venue refuses is asked for less and less often, and forgotten in time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alpha_pulse.domain.orders import OrderRequest, OrderType, Purpose, Side
from alpha_pulse.hedging.common.types import DesiredOrder, Rejection
from alpha_pulse.hedging.grid.backoff import after_sending, not_in_doubt, not_refused, rejection_alert, wait_after

MINUTE = 60_000


def order(node: int = 1) -> OrderRequest:
    return OrderRequest(f"id{node}", "BTC/USDT:USDT", Side.SELL, OrderType.LIMIT, Decimal(1), Decimal(100), Purpose.GRID, node)


def wish(node: int = 1) -> DesiredOrder:
    return DesiredOrder(Side.SELL, OrderType.LIMIT, Decimal(1), Decimal(100), Purpose.GRID, node)


def refused(times: int) -> tuple[tuple[Rejection, ...], int]:
    """An order refused so often, each time as soon as it may be asked for again."""
    known: tuple[Rejection, ...] = ()
    now = 0
    for _ in range(times):
        now = max(now, known[0].until_ms if known else 0)
        known = after_sending(known, (), [(order(), "no")], now)
    return known, now


@pytest.mark.parametrize(("times", "minutes"), [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 60), (30, 60)])
def test_the_wait_doubles_up_to_an_hour(times, minutes):
    known, now = refused(times)
    assert known[0].tries == times
    assert known[0].until_ms - now == minutes * MINUTE


def test_while_it_waits_only_that_order_is_left_out():
    known, now = refused(3)
    assert not_refused([wish(1), wish(2)], known, now) == [wish(2)]
    assert not_refused([wish(1), wish(2)], known, known[0].until_ms) == [wish(1), wish(2)]


def test_an_accepted_order_clears_its_memory():
    known, now = refused(3)
    assert after_sending(known, [order()], (), now) == ()
    assert after_sending(known, [order(2)], (), now) == known


def test_an_hour_without_another_try_clears_it_too():
    known, _ = refused(2)
    assert after_sending(known, (), (), known[0].until_ms + 3_599_999) == known
    assert after_sending(known, (), (), known[0].until_ms + 3_600_000) == ()


def test_a_person_hears_of_it_from_the_third_time_on():
    assert rejection_alert(()) is None
    assert rejection_alert(refused(2)[0]) is None
    alert = rejection_alert(refused(3)[0])
    assert alert is not None
    assert alert.text.startswith("The venue rejected a grid sell 3 times in a row: no")


def test_an_order_in_doubt_holds_its_side_of_its_node_and_nothing_else():
    buy = DesiredOrder(Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(90), Purpose.GRID, 1)
    assert not_in_doubt([wish(1), wish(2), buy], [order(1)]) == [wish(2), buy]


@pytest.mark.parametrize("purpose", [Purpose.REBALANCE, Purpose.FLOOR])
def test_of_the_orders_that_close_a_gap_one_may_be_in_doubt(purpose):
    doubtful = OrderRequest("id", "BTC/USDT:USDT", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(100), Purpose.FLOOR)
    assert not_in_doubt([DesiredOrder(Side.SELL, OrderType.LIMIT, Decimal(1), Decimal(100), purpose)], [doubtful]) == []


def test_a_stop_in_doubt_holds_the_place_of_the_stop():
    doubtful = OrderRequest(
        "id", "BTC/USDT:USDT", Side.SELL, OrderType.STOP_MARKET, Decimal(1), None, Purpose.STOP, trigger_price=Decimal(80)
    )
    stop = DesiredOrder(Side.SELL, OrderType.STOP_MARKET, Decimal(1), None, Purpose.STOP, trigger_price=Decimal(81))
    assert not_in_doubt([stop, wish()], [doubtful]) == [wish()]


def test_failures_in_a_row_are_waited_out_longer_and_longer_however_many_they_are():
    assert [wait_after(failures) for failures in (1, 2, 3, 6, 7, 8, 10_000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0, 30.0]
