"""Average-entry books, exact to the last digit."""

from decimal import Decimal

from alpha_pulse.execution.matching import Ledger, Wallet

LOT = Decimal("0.001")


def a_ledger(cash="1000"):
    return Ledger(Wallet(Decimal(cash), Decimal(cash)), LOT)


def test_opening_costs_the_fee_alone():
    ledger = a_ledger()
    ledger.trade(-1000, Decimal(100), Decimal("0.02"))
    assert (ledger.quantity, ledger.entry_price, ledger.realized) == (Decimal(-1), Decimal(100), 0)
    assert ledger.wallet.cash == Decimal("999.98")


def test_adding_averages_the_entry():
    ledger = a_ledger()
    ledger.trade(-1000, Decimal(100), Decimal(0))
    ledger.trade(-3000, Decimal(120), Decimal(0))
    assert ledger.entry_price == Decimal(115)


def test_closing_a_part_realises_its_part_and_keeps_the_entry():
    ledger = a_ledger()
    ledger.trade(-4000, Decimal(115), Decimal(0))
    ledger.trade(1000, Decimal(105), Decimal(0))
    assert (ledger.realized, ledger.entry_price) == (Decimal(10), Decimal(115))
    assert ledger.wallet.cash == Decimal(1010)


def test_a_trade_beyond_flat_opens_the_other_side_at_its_own_price():
    ledger = a_ledger()
    ledger.trade(-1000, Decimal(100), Decimal(0))
    ledger.trade(1500, Decimal(110), Decimal(0))
    assert (ledger.quantity, ledger.entry_price, ledger.realized) == (Decimal("0.5"), Decimal(110), Decimal(-10))


def test_closing_leaves_no_cost_behind():
    ledger = a_ledger()
    ledger.trade(-3, Decimal("0.7"), Decimal(0))
    ledger.trade(1, Decimal("0.9"), Decimal(0))
    ledger.trade(2, Decimal("0.9"), Decimal(0))
    assert (ledger.lots, ledger.cost, ledger.entry_price) == (0, 0, 0)
    assert ledger.wallet.cash == Decimal(1000) - Decimal("0.0006")


def test_a_third_that_does_not_come_out_even_still_conserves_money():
    ledger = a_ledger()
    ledger.trade(3, Decimal(100), Decimal(0))
    ledger.trade(4, Decimal(101), Decimal(0))
    ledger.trade(-1, Decimal(107), Decimal(0))
    flows = -3 * 100 - 4 * 101 + 107
    assert ledger.wallet.cash - ledger.cost == 1000 + LOT * flows


def test_positive_funding_pays_a_short_and_costs_a_long():
    short, long = a_ledger(), a_ledger()
    short.trade(-1000, Decimal(100), Decimal(0))
    long.trade(1000, Decimal(100), Decimal(0))
    assert short.settle(Decimal(110), Decimal("0.0001")) == Decimal("0.011")
    assert long.settle(Decimal(110), Decimal("0.0001")) == Decimal("-0.011")
    assert (short.funding, short.wallet.cash) == (Decimal("0.011"), Decimal("1000.011"))


def test_a_transfer_is_a_deposit_and_no_profit():
    ledger = a_ledger()
    ledger.wallet.transfer(Decimal(-400))
    assert (ledger.wallet.cash, ledger.wallet.deposits, ledger.realized) == (Decimal(600), Decimal(600), 0)
