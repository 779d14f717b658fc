"""Attribution: by hand, and where a record contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from alpha_pulse.backtest.attribution import SIGNS, Attribution, attribute
from alpha_pulse.backtest.bars import BarFills, Bars
from alpha_pulse.domain.orders import Side
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.testing.records import RecordBuilder


def test_a_short_held_from_the_first_bar_is_all_static():
    built = RecordBuilder()
    built.fill(Side.SELL, "0.5", "100")
    for price in (100.0, 90.0, 80.0):
        built.bar(price)
    result = attribute(built.record)
    assert result.static == pytest.approx(10)
    assert result.timing == pytest.approx(0)
    assert result.basis == 0
    assert result.fees == pytest.approx(0.5 * 100 * 0.0002)
    assert result.hedge_pnl == pytest.approx(10 - 0.01)


def test_selling_after_half_the_fall_shows_as_bad_timing():
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.SELL, "1", "90")
    built.bar(90.0)
    built.bar(80.0)
    result = attribute(built.record)
    # The average position is −0.5 (flat for one bar of two), which would have made 10 over the fall of 20; the account made 10.
    assert result.static == pytest.approx(10)
    assert result.timing == pytest.approx(0)
    late = RecordBuilder()
    late.bar(100.0)
    late.bar(80.0)
    late.fill(Side.SELL, "1", "80")
    late.bar(80.0)
    late.bar(80.0)
    result = attribute(late.record)
    assert result.static == pytest.approx(20 / 3)
    assert result.timing == pytest.approx(-20 / 3)


def test_a_maker_fill_above_its_bars_close_is_timing_and_no_slippage():
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.SELL, "1", "105")
    built.bar(100.0)
    result = attribute(built.record)
    assert result.timing == pytest.approx(5)
    assert result.slippage == 0


@pytest.mark.parametrize(("side", "price"), [(Side.SELL, "99"), (Side.BUY, "101")])
def test_a_taker_that_trades_beyond_its_reference_price_pays_slippage(side, price):
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(side, "2", price, reference="100", taker=True)
    built.bar(100.0)
    result = attribute(built.record)
    assert result.slippage == pytest.approx(2)
    assert result.timing == 0
    assert result.hedge_pnl == pytest.approx(-2 - float(built.record.fills[0].fee))


def test_a_fill_inside_the_first_bar_belongs_to_the_first_bar():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "101")
    built.bar(100.0)
    built.bar(100.0)
    bars = Bars.of(built.record)
    fills = BarFills.of(built.record, bars)
    assert fills.row.tolist() == [0]
    assert fills.position.tolist() == [-1.0, -1.0]
    assert attribute(built.record).timing == pytest.approx(1)


def test_a_fill_belongs_to_the_bar_that_closes_at_or_after_it():
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.bar(100.0)
    bars = Bars.of(built.record)
    close = int(bars.ts_ms[1])
    assert bars.row_of([close - 59_999, close, close + 1]).tolist() == [1, 1, 2]


def test_the_premium_shrinking_is_earned_as_basis():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "101")
    built.bar(100.0, mark=101.0)
    built.bar(100.0, mark=100.0)
    result = attribute(built.record)
    assert result.basis == pytest.approx(1)
    assert result.static == 0


def test_marks_distance_from_last_at_a_fill_is_basis_and_not_timing():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "101")
    built.bar(100.0, mark=100.0, last=101.0)
    built.bar(100.0, mark=100.0, last=100.0)
    result = attribute(built.record)
    assert result.basis == pytest.approx(1)
    assert result.timing == pytest.approx(0)


def test_funding_is_the_sum_of_the_settlements_and_may_be_paid():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.fund("0.0001", 100.0)
    built.bar(100.0)
    built.fund("-0.0003", 100.0)
    built.bar(100.0)
    assert attribute(built.record).funding == pytest.approx(-0.02)


def test_the_average_position_weighs_each_bar_by_how_long_it_lasted():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.open_ms += 2 * 60_000  # two bars are missing from the data
    built.fill(Side.BUY, "1", "100")
    built.bar(100.0)
    built.bar(100.0)
    bars = Bars.of(built.record)
    assert bars.average(bars.position) == pytest.approx(-0.75)


def test_a_run_of_one_bar_can_be_attributed():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "101", reference="102", taker=True)
    built.bar(100.0)
    result = attribute(built.record)
    assert result.slippage == pytest.approx(1)
    assert result.timing == pytest.approx(2)


def test_a_lost_booking_is_found():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.wallet += Decimal("0.02")
    built.bar(100.0)
    with pytest.raises(Fatal, match="a booking is missing or doubled"):
        attribute(built.record)


def test_a_position_that_the_fills_do_not_explain_is_found():
    built = RecordBuilder()
    built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.bar(100.0)
    built.record.fills.pop()
    with pytest.raises(Fatal, match="hold a position of -1 but the fills add up to 0"):
        attribute(built.record)


def test_a_fill_after_the_last_bar_is_refused():
    built = RecordBuilder()
    built.bar(100.0)
    built.fill(Side.SELL, "1", "100")
    with pytest.raises(Fatal, match="after the last bar"):
        attribute(built.record)


def test_a_fee_in_another_currency_is_refused_unless_it_is_nothing():
    built = RecordBuilder()
    fill = built.fill(Side.SELL, "1", "100")
    built.bar(100.0)
    built.record.fills[0] = replace(fill, fee_currency="BNB")
    with pytest.raises(Fatal, match="BNB"):
        attribute(built.record)
    built.record.fills[0] = replace(fill, fee_currency="BNB", fee=Decimal(0))
    built.record.wallet[0] = 100_000.0
    assert attribute(built.record).fees == 0


def test_an_empty_run_is_refused_with_the_fix():
    with pytest.raises(ConfigError, match="more market data"):
        attribute(RecordBuilder().record)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("spot", float("nan"), "spot prices"),
        ("mark", 0.0, "mark prices"),
        ("last", -1.0, "last prices"),
        ("wallet", float("inf"), "wallet column"),
        ("position", float("nan"), "position column"),
    ],
)
def test_a_broken_column_is_refused_by_name(column, value, message):
    built = RecordBuilder()
    built.bar(100.0)
    built.bar(100.0)
    getattr(built.record, column)[1] = value
    with pytest.raises(Fatal, match=message):
        Bars.of(built.record)


def test_columns_of_unequal_length_and_times_that_stand_still_are_refused():
    built = RecordBuilder()
    built.bar(100.0)
    built.bar(100.0)
    built.record.ts_ms[1] = built.record.ts_ms[0]
    with pytest.raises(Fatal, match="do not rise"):
        Bars.of(built.record)
    built.record.spot.append(1.0)
    with pytest.raises(Fatal, match="differ in length"):
        Bars.of(built.record)


def test_shown_cents_add_up_and_leave_booked_money_alone():
    third = 1 / 3
    shown = Attribution(third, third, third, funding=0.004, fees=0.004, slippage=third, hedge_pnl=2 * third).cents()
    assert sum(sign * shown[name] for name, sign in SIGNS.items()) == shown["hedge_pnl"] == Decimal("0.67")
    assert shown["funding"] == shown["fees"] == 0


def test_a_shown_zero_has_no_sign():
    shown = Attribution(-0.001, 0.0, 0.0, 0.0, 0.0, 0.0, -0.001).cents()
    assert str(shown["static"]) == "0.00"
