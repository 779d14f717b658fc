"""Several pairs together: value at risk, drawdown, a shared limit, and the book that they tell each other through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from alpha_pulse.hedging.common.portfolio import PairExposure, PortfolioView
from alpha_pulse.hedging.common.types import BotState, RiskMemory, RiskState, Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.context import Context
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.grid.wishes import resumed
from alpha_pulse.hedging.risk.latches import PORTFOLIO
from alpha_pulse.hedging.risk.portfolio import (
    PortfolioBook,
    portfolio_floor,
    portfolio_value_at_risk,
    size_share,
)
from alpha_pulse.testing.snapshots import SYMBOL, make_account, make_instrument, make_snapshot

BTC, ETH, SOL = SYMBOL, "ETH/USDT:USDT", "SOL/USDT:USDT"
Z = 2.3263478740408408
HOUR = 3_600_000


def exposure(symbol: str, value: float, sigma: float = 0.03, neutral: float = 0.0) -> PairExposure:
    """A pair that holds ``value``, or that is neutral and of this size."""
    return PairExposure(symbol, value, 0.0, sigma, size=abs(value) or neutral, nav=1.0)


def view_of(*pairs: PairExposure, rho: float = 1.0) -> PortfolioView:
    return PortfolioView(pairs, tuple(tuple(1.0 if i == j else rho for j in range(len(pairs))) for i in range(len(pairs))))


# --- value at risk ------------------------------------------------------------------------------------------------------
def test_perfectly_correlated_pairs_add_up():
    """2.326·√4·(100,000·3 % + 50,000·6 %) = 2.326·2·6,000."""
    view = view_of(exposure(BTC, 100_000.0), exposure(ETH, 50_000.0, 0.06))
    assert portfolio_value_at_risk(view, Z, 4.0) == pytest.approx(Z * 2 * 6_000)


@pytest.mark.parametrize("rho", [0.8, 0.3, 0.0, -0.5])
def test_two_pairs_diversify_as_markowitz_says(rho):
    view = view_of(exposure(BTC, 100_000.0), exposure(ETH, 50_000.0, 0.06), rho=rho)
    expected = Z * math.sqrt(3_000**2 + 3_000**2 + 2 * rho * 3_000 * 3_000)
    assert portfolio_value_at_risk(view, Z, 1.0) == pytest.approx(expected)
    assert expected < portfolio_value_at_risk(view_of(*view.pairs), Z, 1.0)


def test_coins_owed_hedge_coins_held():
    view = view_of(exposure(BTC, 100_000.0), exposure(ETH, -50_000.0, 0.06))
    assert portfolio_value_at_risk(view, Z, 1.0) == 0.0
    assert portfolio_value_at_risk(view_of(*view.pairs, rho=0.5), Z, 1.0) == pytest.approx(Z * 3_000)


def test_alone_a_pairs_floor_in_the_portfolio_is_its_own():
    """VaR 2.326·4 % = 9.305 %: 1 − 6/9.305."""
    assert portfolio_floor(view_of(exposure(BTC, 77_000.0, 0.04)), Z, 1.0, 0.06) == pytest.approx(1 - 0.06 / (Z * 0.04))


def test_the_floor_brings_the_unhedged_rest_of_all_pairs_to_the_limit():
    view = view_of(exposure(BTC, 100_000.0, 0.05), exposure(ETH, -30_000.0, 0.07), exposure(SOL, 20_000.0, 0.09), rho=0.4)
    floor = portfolio_floor(view, Z, 2.0, 0.06)
    rest = view_of(*(replace(pair, inventory_value=pair.inventory_value * (1 - floor)) for pair in view.pairs), rho=0.4)
    assert 0.0 < floor < 1.0
    assert portfolio_value_at_risk(rest, Z, 2.0) == pytest.approx(0.06 * 150_000)


def test_diversification_lowers_the_floor_down_to_none():
    floors = [
        portfolio_floor(view_of(exposure(BTC, 1e5, 0.03), exposure(ETH, 1e5, 0.03), rho=rho), Z, 1.0, 0.06) for rho in (1.0, 0.9, 0.4)
    ]
    assert floors[0] > floors[1] > floors[2] == 0.0


def test_a_hedge_that_is_on_does_not_lower_the_floor():
    bare = view_of(exposure(BTC, 1e5, 0.05), exposure(ETH, 1e5, 0.05))
    hedged = view_of(*(replace(pair, perpetual_value=-1e5) for pair in bare.pairs))
    assert portfolio_floor(bare, Z, 1.0, 0.06) == portfolio_floor(hedged, Z, 1.0, 0.06) > 0.0


def test_nothing_held_asks_for_nothing():
    assert portfolio_floor(view_of(exposure(BTC, 0.0), exposure(ETH, 0.0)), Z, 1.0, 0.06) == 0.0


def test_every_pair_of_a_portfolio_is_asked_for_the_same_ratio():
    """Alone BTC, at 2 % a day, would ask for nothing: 4.65 % is within 6 %. Together: 2.326·(2 % + 8 %)/2 = 11.6 %: 1 − 6/11.63 = 0.484."""
    view = view_of(exposure(BTC, 1e5, 0.02), exposure(ETH, 1e5, 0.08))
    manager = risk_manager_for(BotConfig.from_mapping({"inventory_risk": {"enabled": False}}))
    for symbol, sigma in ((BTC, 0.02), (ETH, 0.02)):
        snapshot = make_snapshot(volatility_day=sigma, instrument=make_instrument(symbol=symbol), portfolio=view)
        assert manager.assess(snapshot).target.floor == pytest.approx(0.5)  # 0.484 in units of 0.025


# --- drawdown -----------------------------------------------------------------------------------------------------------
class Pairs:
    """Pairs of one process, each with a manager of its own and one book."""

    def __init__(self, symbols: Sequence[str], **config: object) -> None:
        known = {"risk": {"max_drawdown": None, "stop_loss_pct": None, "var_limit_pct": None}, "inventory_risk": {"enabled": False}}
        self.symbols = tuple(symbols)
        self.book = PortfolioBook(symbols)
        self.managers = {symbol: risk_manager_for(BotConfig.from_mapping(known | config)) for symbol in symbols}
        self.states = dict.fromkeys(symbols, BotState())
        self.minute = 0

    def tick(
        self,
        prices: dict[str, float],
        *,
        cash: dict[str, float] | None = None,
        earned: dict[str, float] | None = None,
        coins: dict[str, str] | None = None,
    ) -> list[bool]:
        """One decision of each pair; which of them are latched. ``cash`` was deposited, ``earned`` was not."""
        self.minute += 1
        for symbol in self.symbols:
            deposits = Decimal(str((cash or {}).get(symbol, 0)))
            snapshot = make_snapshot(
                prices[symbol],
                now_ms=60_000 * self.minute,
                inventory=(coins or {}).get(symbol, "1"),
                account=make_account(wallet=str(deposits + Decimal(str((earned or {}).get(symbol, 0)))), deposits=deposits),
                state=self.states[symbol],
                instrument=make_instrument(symbol=symbol),
                portfolio=self.book.view(),
            )
            assessment = self.managers[symbol].assess(snapshot)
            self.states[symbol] = replace(self.states[symbol], risk=assessment.memory, target=assessment.target)
            self.book.report(snapshot, assessment)
        return self.latched

    def restart(self) -> None:
        """A new process: what was stored is what is known."""
        self.book = PortfolioBook(self.symbols)

    def resume(self, *symbols: str) -> None:
        """What the command does to these pairs, all of them by default."""
        for symbol in symbols or self.symbols:
            self.states[symbol] = resumed(self.states[symbol])
            Context(None, self.book, 1.0).resumed()

    @property
    def latched(self) -> list[bool]:
        return [self.states[symbol].risk.portfolio_latched for symbol in self.symbols]

    @property
    def drawdown(self) -> float:
        view = self.book.view()
        assert view is not None
        return view.drawdown


def test_the_drawdown_of_a_portfolio_is_of_the_sums():
    """200 become 140, 240 and 180."""
    pairs = Pairs([BTC, ETH])
    seen = []
    for prices in ((100.0, 100.0), (90.0, 50.0), (140.0, 100.0), (120.0, 60.0)):
        pairs.tick({BTC: prices[0], ETH: prices[1]})
        seen.append(pairs.drawdown)
    assert seen == pytest.approx([0.0, 0.3, 0.0, 0.25])


@pytest.mark.parametrize("seed", range(3))
def test_without_flows_it_is_that_of_the_summed_worth_after_each_report(seed):
    rng, pairs = np.random.default_rng(seed), Pairs([BTC, ETH, SOL], portfolio={"max_drawdown": None})
    paths = np.array([60_000.0, 3_000.0, 150.0]) * np.exp(np.cumsum(rng.normal(0, 0.03, (60, 3)), axis=0))
    coins = np.array([1.0, 12.0, 400.0])
    worth, high = paths[0].copy(), 0.0
    for row in paths:
        for pair in range(3):
            worth[pair] = row[pair]
            high = max(high, float(worth @ coins))
        prices = dict(zip(pairs.symbols, row.tolist(), strict=True))
        pairs.tick(prices, coins={BTC: "1", ETH: "12", SOL: "400"})
        assert pairs.drawdown == pytest.approx(1.0 - float(worth @ coins) / high, abs=1e-12)


def test_a_drawdown_of_the_sums_latches_every_pair_in_full():
    """One falls by 30 %, the other by 12 %: 21 % of both."""
    pairs = Pairs([BTC, ETH])
    assert pairs.tick({BTC: 100.0, ETH: 100.0}) == [False, False]
    pairs.tick({BTC: 70.0, ETH: 88.0})
    assert pairs.tick({BTC: 70.0, ETH: 88.0}) == [True, True]
    assert pairs.drawdown == pytest.approx(0.21)
    for symbol in (BTC, ETH):
        memory, target = pairs.states[symbol].risk, pairs.states[symbol].target
        assert target is not None
        assert (target.floor, memory.state, memory.reasons) == (1.0, RiskState.DELTA_REDUCE, (PORTFOLIO,))


@pytest.mark.parametrize(("drawdown", "latched"), [(0.1999, False), (0.2, True), (0.5, True)])
def test_the_latch_goes_on_at_the_limit_and_not_before(drawdown, latched):
    view = replace(view_of(exposure(BTC, 1e5), exposure(ETH, 1e5)), drawdown=drawdown)
    memory = risk_manager_for(BotConfig()).assess(make_snapshot(portfolio=view)).memory
    assert (memory.portfolio_latched, memory.portfolio_drawdown) == (latched, drawdown)


def test_a_drawdown_that_does_not_move_is_no_news():
    view = replace(view_of(exposure(BTC, 1e5), exposure(ETH, 1e5)), drawdown=0.3)
    manager, state = risk_manager_for(BotConfig.from_mapping({"inventory_risk": {"enabled": False}})), BotState()
    for _ in range(3):
        assessment = manager.assess(make_snapshot(portfolio=view, state=state))
        state = BotState(risk=assessment.memory, target=assessment.target)
    assert manager.assess(make_snapshot(portfolio=view, state=state)).memory is state.risk


def test_a_pairs_own_fall_that_the_others_carry_latches_nothing():
    pairs = Pairs([BTC, ETH])
    for prices in ((100.0, 1000.0), (50.0, 1000.0), (50.0, 1000.0)):
        assert pairs.tick({BTC: prices[0], ETH: prices[1]}) == [False, False]


def test_of_three_pairs_two_carry_the_third_up_to_the_limit():
    """300 less 50 is a sixth; less 65 it is 21.7 %."""
    pairs = Pairs([BTC, ETH, SOL])
    for fallen in (100.0, 50.0, 50.0):
        assert pairs.tick({BTC: fallen, ETH: 100.0, SOL: 100.0}) == [False] * 3
    assert pairs.drawdown == pytest.approx(1 / 6)
    pairs.tick({BTC: 35.0, ETH: 100.0, SOL: 100.0})
    assert pairs.tick({BTC: 35.0, ETH: 100.0, SOL: 100.0}) == [True] * 3


def test_the_latch_stays_when_prices_come_back():
    pairs = Pairs([BTC, ETH])
    for price in (100.0, 70.0, 70.0, 150.0):
        pairs.tick({BTC: price, ETH: price})
    assert pairs.latched == [True, True]
    assert pairs.drawdown == 0.0


def test_the_portfolios_drawdown_limit_can_be_switched_off():
    pairs = Pairs([BTC, ETH], portfolio={"max_drawdown": None})
    for price in (100.0, 20.0, 20.0):
        assert pairs.tick({BTC: price, ETH: price}) == [False, False]
    assert pairs.drawdown == pytest.approx(0.8)


@pytest.mark.parametrize("account", [{"earned": {BTC: -30}}, {"earned": {ETH: -15, BTC: -15}}])
def test_what_the_perpetual_loses_counts_as_what_coins_lose(account):
    """30 of 300."""
    pairs = Pairs([BTC, ETH])
    pairs.tick({BTC: 100.0, ETH: 100.0}, cash={BTC: 50, ETH: 50})
    pairs.tick({BTC: 100.0, ETH: 100.0}, cash={BTC: 50, ETH: 50}, **account)
    assert pairs.drawdown == pytest.approx(0.1)


# --- flows --------------------------------------------------------------------------------------------------------------
FLOWS = {
    "coins out": {"coins": {BTC: "0.5"}},
    "coins in": {"coins": {BTC: "40"}},
    "the other's coins out": {"coins": {BTC: "9", ETH: "0.01"}},
    "the other's coins in": {"coins": {BTC: "9", ETH: "70"}},
    "every coin of one out": {"coins": {BTC: "0"}},
    "cash in": {"coins": {BTC: "9"}, "cash": {BTC: 800_000}},
    "cash into the other": {"coins": {BTC: "9"}, "cash": {ETH: 12_345.67}},
    "cash out": {"coins": {BTC: "9"}, "cash": {BTC: -500_000}},
    "both out": {"coins": {BTC: "5", ETH: "0.5"}, "cash": {BTC: -100_000, ETH: -20_000}},
    "from one to the other": {"coins": {BTC: "9"}, "cash": {BTC: -300_000, ETH: 300_000}},
}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_neither_coins_nor_cash_that_move_change_the_drawdown_of_all_pairs(flow):
    """1,000,000 become 950,000: 5 %."""
    pairs = Pairs([BTC, ETH])
    pairs.tick({BTC: 100_000.0, ETH: 100_000.0}, coins={BTC: "9"})
    fallen = {BTC: 100_000.0, ETH: 50_000.0}
    pairs.tick(fallen, coins={BTC: "9"})
    assert pairs.drawdown == pytest.approx(0.05)
    for _ in range(3):
        assert pairs.tick(fallen, **flow) == [False, False]
        assert pairs.drawdown == pytest.approx(0.05)


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_at_the_high_they_do_not_make_a_drawdown_either(flow):
    pairs, quiet = Pairs([BTC, ETH]), {BTC: 100_000.0, ETH: 100_000.0}
    pairs.tick(quiet, coins={BTC: "9"})
    for _ in range(2):
        pairs.tick(quiet, **flow)
        assert pairs.drawdown == pytest.approx(0.0)


def test_after_a_withdrawal_losses_count_on_what_is_left():
    """5 % down; 0.5 BTC and 1 ETH are left, 100,000; of them 10,000 are lost: 1 − 0.95·0.9."""
    pairs = Pairs([BTC, ETH])
    pairs.tick({BTC: 100_000.0, ETH: 100_000.0}, coins={BTC: "9"})
    pairs.tick({BTC: 100_000.0, ETH: 50_000.0}, coins={BTC: "9"})
    pairs.tick({BTC: 100_000.0, ETH: 50_000.0}, coins={BTC: "0.5"})
    pairs.tick({BTC: 100_000.0, ETH: 40_000.0}, coins={BTC: "0.5"})
    assert pairs.drawdown == pytest.approx(1 - 0.95 * 0.9)


def test_after_a_deposit_losses_count_on_what_is_there():
    """200 lose 20: 10 %; 720 come; of 900 then 90 are lost: 1 − 0.9·0.9; and 200 are won: 0.81·1010/810 is a new high."""
    pairs = Pairs([BTC, ETH])
    seen = []
    for price, cash, earned in ((100.0, 0, 0), (90.0, 0, 0), (90.0, 720, 0), (90.0, 720, -90), (90.0, 720, 110)):
        pairs.tick({BTC: price, ETH: price}, cash={ETH: cash}, earned={ETH: earned})
        seen.append(pairs.drawdown)
    assert seen == pytest.approx([0.0, 0.1, 0.1, 0.19, 0.0])


def test_a_flow_and_a_loss_in_the_same_report_are_told_apart():
    """100,000 of cash come into 200,000, and 60,000 of 300,000 go as coins lose: 20 %."""
    pairs = Pairs([BTC, ETH])
    pairs.tick({BTC: 100_000.0, ETH: 100_000.0})
    pairs.tick({BTC: 40_000.0, ETH: 100_000.0}, cash={BTC: 100_000})
    assert pairs.drawdown == pytest.approx(0.2)


def test_coins_that_are_borrowed_or_given_back_change_no_drawdown():
    """300 of cash, 1 owed at 100; it rises to 130: 30 of 600 are lost. Owing more or less of it is no loss."""
    pairs, cash = Pairs([BTC, ETH]), {BTC: 300, ETH: 300}
    pairs.tick({BTC: 100.0, ETH: 100.0}, cash=cash, coins={BTC: "-1", ETH: "-1"})
    risen = {BTC: 130.0, ETH: 100.0}
    pairs.tick(risen, cash=cash, coins={BTC: "-1", ETH: "-1"})
    assert pairs.drawdown == pytest.approx(0.05)
    for owed in ("-3", "-0.5", "-1"):
        pairs.tick(risen, cash=cash, coins={BTC: owed, ETH: "-1"})
        assert pairs.drawdown == pytest.approx(0.05)


@pytest.mark.parametrize("seed", range(3))
def test_flows_of_every_kind_leave_the_chain_of_growth_as_it_is(seed):
    """Where all pairs move as one, and nothing but coins is held, the drawdown is that of the price, whatever moves in between."""
    rng = np.random.default_rng(seed)
    prices = (100.0 * np.exp(np.cumsum(rng.normal(-0.002, 0.02, 80)))).tolist()
    pairs, coins = Pairs([BTC, ETH, SOL], portfolio={"max_drawdown": None}), {}
    for count, price in enumerate(prices, start=1):
        pairs.tick(dict.fromkeys(pairs.symbols, price), coins=coins)
        assert pairs.drawdown == pytest.approx(1.0 - price / max(prices[:count]), abs=1e-9)
        coins = {symbol: str(Decimal(int(rng.integers(1, 900))) / 100) for symbol in pairs.symbols}
        pairs.tick(dict.fromkeys(pairs.symbols, price), coins=coins)


# --- restarts -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("price", "latched"), [(80.5, False), (79.5, True)])
def test_a_restart_goes_on_from_the_drawdown_that_was_seen_last(price, latched):
    """15 % down from 100; the limit is at 80 whatever was restarted."""
    pairs = Pairs([BTC, ETH, SOL])
    for before in (100.0, 85.0, 85.0):
        pairs.tick(dict.fromkeys(pairs.symbols, before))
    for _ in range(2):
        pairs.restart()
        pairs.tick(dict.fromkeys(pairs.symbols, 85.0))
        assert pairs.drawdown == pytest.approx(0.15)
    pairs.tick(dict.fromkeys(pairs.symbols, price))
    assert pairs.tick(dict.fromkeys(pairs.symbols, price)) == [latched] * 3


def test_after_a_restart_a_new_high_ends_the_old_drawdown():
    """85 → 102 is a new high; 91.8 is 10 % below it."""
    pairs = Pairs([BTC, ETH])
    for price in (100.0, 85.0, 85.0):
        pairs.tick({BTC: price, ETH: price})
    pairs.restart()
    for price in (85.0, 102.0, 91.8):
        pairs.tick({BTC: price, ETH: price})
    assert pairs.drawdown == pytest.approx(0.1)


def test_a_restart_at_the_high_remembers_nothing():
    pairs = Pairs([BTC, ETH])
    for price in (100.0, 80.0, 120.0, 120.0):
        pairs.tick({BTC: price, ETH: price})
    pairs.restart()
    pairs.tick({BTC: 120.0, ETH: 120.0})
    assert pairs.drawdown == 0.0


def test_until_all_have_reported_again_the_stored_drawdown_is_kept():
    pairs = Pairs([BTC, ETH])
    for price in (100.0, 85.0, 85.0):
        pairs.tick({BTC: price, ETH: price})
    pairs.restart()
    assert pairs.book.view() is None
    pairs.symbols = (BTC,)
    for _ in range(3):
        pairs.tick({BTC: 85.0})
    assert pairs.states[BTC].risk.portfolio_drawdown == pytest.approx(0.15)


def test_a_pair_that_is_new_does_not_make_the_others_forget():
    pairs = Pairs([BTC, ETH])
    for price in (100.0, 85.0, 85.0):
        pairs.tick({BTC: price, ETH: price})
    pairs.states[ETH] = BotState()
    pairs.restart()
    pairs.tick({BTC: 85.0, ETH: 85.0})
    assert pairs.drawdown == pytest.approx(0.15)


def test_a_portfolio_that_lost_everything_can_be_started_again():
    pairs = Pairs([BTC, ETH])
    pairs.states = dict.fromkeys((BTC, ETH), BotState(risk=RiskMemory(portfolio_drawdown=1.0)))
    pairs.tick({BTC: 100.0, ETH: 100.0})
    assert 0.99 < pairs.drawdown <= 1.0


# --- resuming -----------------------------------------------------------------------------------------------------------
def fallen(price: float = 50.0) -> Pairs:
    pairs = Pairs([BTC, ETH])
    for at in (100.0, price, price):
        pairs.tick({BTC: at, ETH: at})
    assert pairs.latched == [True, True]
    return pairs


def test_resuming_every_pair_once_releases_every_pair():
    pairs = fallen()
    pairs.resume()
    assert pairs.drawdown == 0.0
    for _ in range(3):
        assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, False]
    assert all(pairs.states[symbol].risk.state is RiskState.NORMAL for symbol in (BTC, ETH))


def test_a_pair_that_was_resumed_stays_free_while_another_waits_for_its_person():
    pairs = fallen()
    pairs.resume(BTC)
    for _ in range(3):
        assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, True]
    pairs.resume(ETH)
    assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, False]


@pytest.mark.parametrize(("price", "latched"), [(40.5, False), (39.5, True)])
def test_after_a_resume_the_drawdown_counts_from_there(price, latched):
    pairs = fallen()
    pairs.resume()
    for at in (50.0, price, price):
        pairs.tick({BTC: at, ETH: at})
    assert pairs.latched == [latched, latched]


def test_a_restart_does_not_take_a_resume_back():
    pairs = fallen()
    pairs.resume()
    pairs.restart()
    for _ in range(3):
        assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, False]
    assert pairs.drawdown == 0.0


def test_one_pair_resumed_and_all_restarted_after_a_tick_is_still_forgiven():
    pairs = fallen()
    pairs.resume(BTC)
    pairs.tick({BTC: 50.0, ETH: 50.0})
    pairs.restart()
    for _ in range(3):
        assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, True]


def test_resuming_before_all_have_reported_is_harmless():
    pairs = Pairs([BTC, ETH])
    pairs.resume()
    assert pairs.book.view() is None
    assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, False]
    assert pairs.drawdown == 0.0


def test_a_resume_of_one_pair_while_nothing_ran_holds_when_the_others_report():
    """The command waits in the store: the pair obeys at its first tick, before the others have told what they remember."""
    pairs = fallen()
    pairs.restart()
    pairs.resume(BTC)
    for _ in range(3):
        assert pairs.tick({BTC: 50.0, ETH: 50.0}) == [False, True]


def test_a_loss_of_more_than_everything_in_one_report_is_a_drawdown():
    """Cash of 100 that a perpetual turned into a debt of 250, over two coins of 100."""
    pairs = Pairs([BTC, ETH])
    quiet, cash = {BTC: 100.0, ETH: 100.0}, {BTC: 50, ETH: 50}
    pairs.tick(quiet, cash=cash)
    pairs.tick(quiet, cash=cash, earned={BTC: -350})
    assert pairs.tick(quiet, cash=cash, earned={BTC: -350}) == [True, True]


# --- a shared limit -----------------------------------------------------------------------------------------------------
def test_shares_are_of_what_is_hedged_whatever_its_side():
    view = view_of(exposure(BTC, 60_000.0), exposure(ETH, -30_000.0), exposure(SOL, 10_000.0))
    assert [size_share(view, symbol) for symbol in (BTC, ETH, SOL)] == pytest.approx([0.6, 0.3, 0.1])


def test_where_nothing_is_hedged_shares_are_equal():
    assert size_share(view_of(exposure(BTC, 0.0), exposure(ETH, 0.0)), ETH) == 0.5
    three = view_of(*(exposure(symbol, 0.0) for symbol in (BTC, ETH, SOL)))
    assert [size_share(three, symbol) for symbol in (BTC, ETH, SOL)] == pytest.approx([1 / 3] * 3)


def test_a_neutral_pair_counts_with_the_size_of_its_grid():
    view = view_of(exposure(BTC, 0.0, neutral=50_000.0), exposure(ETH, -150_000.0), exposure(SOL, 0.0))
    assert [size_share(view, symbol) for symbol in (BTC, ETH, SOL)] == pytest.approx([0.25, 0.75, 0.0])


def test_a_neutral_pair_reports_its_grid_at_mark_and_a_holder_its_coins_at_spot():
    book, manager = PortfolioBook([BTC, ETH]), risk_manager_for(BotConfig())
    spot = make_snapshot(90_000.0).market.raw.spot
    neutral = make_snapshot(inventory="0", market={"spot": spot})
    holder = make_snapshot(2_000.0, inventory="-30", instrument=make_instrument(symbol=ETH))
    book.report(neutral, manager.assess(neutral), 0.2)
    book.report(holder, manager.assess(holder), 5.0)
    view = book.view()
    assert view is not None
    assert [pair.size for pair in view.pairs] == pytest.approx([20_000.0, 60_000.0])
    assert [pair.inventory_value for pair in view.pairs] == pytest.approx([0.0, -60_000.0])
    assert size_share(view, BTC) == pytest.approx(0.25)


LIMITED = {"portfolio": {"max_total_notional": 100_000}}


def most(snapshot: Snapshot, **config: object) -> float:
    return risk_manager_for(BotConfig.from_mapping(LIMITED | config)).assess(snapshot).most


def test_the_total_notional_is_split_by_what_is_held():
    """Three quarters of 100,000 at 100,000 each: 0.75 of the 3 BTC; the other pair has its quarter."""
    view = view_of(exposure(BTC, 300_000.0), exposure(ETH, 100_000.0))
    assert most(make_snapshot(inventory="3", portfolio=view)) == pytest.approx(0.75)
    ether = make_snapshot(2_500.0, inventory="40", instrument=make_instrument(symbol=ETH), portfolio=view)
    assert most(ether) == pytest.approx(10.0)


def test_the_split_caps_orders_and_the_curve_of_a_pair():
    view = view_of(exposure(BTC, 300_000.0), exposure(ETH, 100_000.0))
    snapshot = make_snapshot(inventory="3", account=make_account(wallet="900000"), portfolio=view)
    assessment = risk_manager_for(BotConfig.from_mapping(LIMITED)).assess(snapshot)
    assert assessment.max_abs_position == pytest.approx(0.75)
    assert assessment.memory.cap <= 0.75 + 1e-9


def test_what_is_held_past_the_split_is_not_cut_and_may_not_grow():
    view = view_of(exposure(BTC, 300_000.0), exposure(ETH, 100_000.0))
    snapshot = make_snapshot(inventory="3", account=make_account("-2", wallet="900000"), portfolio=view)
    assessment = risk_manager_for(BotConfig.from_mapping(LIMITED)).assess(snapshot)
    assert assessment.most == assessment.max_abs_position == pytest.approx(2.0)
    assert assessment.reduce_to == math.inf


def test_the_users_own_position_limit_still_counts():
    view = view_of(exposure(BTC, 300_000.0), exposure(ETH, 100_000.0))
    assert most(make_snapshot(inventory="3", portfolio=view), risk={"max_position_size": "0.4"}) == pytest.approx(0.4)


def test_without_other_pairs_the_total_is_not_split():
    assert most(make_snapshot(inventory="3")) == pytest.approx(3.0)


NEUTRAL = LIMITED | {"risk": {"max_position_size": 1, "max_effective_leverage": 5}, "hedge": {"amplitude": 1}}


@pytest.mark.parametrize(("size", "allowed"), [(100_000.0, 0.5), (25_000.0, 0.2), (0.0, 0.0)])
def test_a_neutral_grid_beside_a_holder_has_its_share_of_the_total(size, allowed):
    """Of 100,000 at 100,000 each; one whose grid has no size has no share, and can be assessed all the same."""
    view = view_of(exposure(BTC, 0.0, neutral=size), exposure(ETH, 100_000.0))
    assessment = risk_manager_for(BotConfig.from_mapping(NEUTRAL)).assess(make_snapshot(inventory="0", portfolio=view))
    assert assessment.most == assessment.max_abs_position == pytest.approx(allowed)
    assert assessment.memory.cap <= allowed + 1e-9


def test_the_total_is_split_among_three():
    view = view_of(exposure(BTC, 0.0, neutral=50_000.0), exposure(ETH, 30_000.0), exposure(SOL, -20_000.0))
    assert most(make_snapshot(inventory="0", portfolio=view), **NEUTRAL) == pytest.approx(0.5)
    ether = make_snapshot(1_000.0, inventory="30", instrument=make_instrument(symbol=ETH), portfolio=view)
    sol = make_snapshot(100.0, inventory="-200", instrument=make_instrument(symbol=SOL), portfolio=view)
    assert [most(ether) * 1_000, most(sol) * 100] == pytest.approx([30_000, 20_000])


# --- the book -----------------------------------------------------------------------------------------------------------
def fill_book(paths: np.ndarray, hours: Sequence[int], missing: frozenset[tuple[int, int]] = frozenset()) -> PortfolioBook:
    """A book after hourly reports of prices, (hours, pairs); ``missing`` holds (row, pair) that did not report."""
    symbols = (BTC, ETH, SOL)[: paths.shape[1]]
    book = PortfolioBook(symbols)
    manager = risk_manager_for(BotConfig())
    for row, hour in enumerate(hours):
        for pair, symbol in enumerate(symbols):
            if (row, pair) not in missing:
                price = float(paths[row, pair])
                snapshot = make_snapshot(price, now_ms=hour * HOUR + 60_000, instrument=make_instrument(symbol=symbol))
                book.report(snapshot, manager.assess(snapshot))
    return book


def correlated_prices(rows: int, pairs: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.01, (rows, 1))
    moves = common + rng.normal(0, 0.008, (rows, pairs)) * np.arange(1, pairs + 1)
    return 1000.0 * np.exp(np.cumsum(moves, axis=0))


def expected_correlation(returns: np.ndarray) -> np.ndarray:
    """Zero-mean returns weighted by 2^(−age/240 h), correlations moved a tenth of the way to their mean."""
    weights = 0.5 ** (np.arange(len(returns))[::-1] / 240.0)
    covariance = sum(w * np.outer(r, r) for w, r in zip(weights, returns, strict=True)) / weights.sum()
    sigma = np.sqrt(np.diag(covariance))
    together = covariance / np.outer(sigma, sigma)
    count = len(together)
    mean = (together.sum() - count) / (count * (count - 1))
    shrunk = 0.9 * together + 0.1 * mean
    np.fill_diagonal(shrunk, 1.0)
    return shrunk


@pytest.mark.parametrize(("pairs", "seed"), [(2, 1), (3, 2)])
def test_correlations_are_those_of_hourly_returns(pairs, seed):
    paths = correlated_prices(80, pairs, seed)
    view = fill_book(paths, range(80)).view()
    assert view is not None
    assert np.array(view.correlation) == pytest.approx(expected_correlation(np.diff(np.log(paths), axis=0)), abs=1e-9)


def test_an_hour_in_which_a_pair_is_silent_gives_no_return():
    paths = correlated_prices(90, 2, 5)
    view = fill_book(paths, range(90), frozenset({(20, 1), (50, 0)})).view()
    assert view is not None
    kept = [row for row in range(1, 90) if row not in {20, 21, 50, 51}]
    returns = np.diff(np.log(paths), axis=0)[[row - 1 for row in kept]]
    assert np.array(view.correlation) == pytest.approx(expected_correlation(returns), abs=1e-9)


def test_hours_that_nobody_saw_give_no_return():
    paths = correlated_prices(80, 2, 6)
    hours = [*range(30), *range(130, 180)]
    view = fill_book(paths, hours).view()
    assert view is not None
    returns = np.delete(np.diff(np.log(paths), axis=0), 29, axis=0)
    assert np.array(view.correlation) == pytest.approx(expected_correlation(returns), abs=1e-9)


def test_until_two_days_were_seen_together_all_pairs_count_as_one():
    """48 returns take 49 hours."""
    paths = correlated_prices(49, 2, 3)
    early, enough = fill_book(paths[:48], range(48)).view(), fill_book(paths, range(49)).view()
    assert early is not None
    assert enough is not None
    assert early.correlation == ()
    assert enough.correlation[0][1] < 1.0


def test_two_identical_series_do_not_break_the_book():
    path = correlated_prices(60, 1, 4)
    view = fill_book(np.hstack([path, path]), range(60)).view()
    assert view is not None
    assert view.correlation[0][1] == pytest.approx(1.0)
    assert portfolio_value_at_risk(view, Z, 1.0) > 0.0


def test_only_the_first_price_of_an_hour_is_a_sample():
    paths = correlated_prices(60, 2, 8)
    twice, manager = fill_book(paths, range(60)), risk_manager_for(BotConfig())
    before = twice.view()
    for symbol in (BTC, ETH):
        later = make_snapshot(1.0, now_ms=59 * HOUR + 120_000, instrument=make_instrument(symbol=symbol))
        twice.report(later, manager.assess(later))
    after = twice.view()
    assert before is not None
    assert after is not None
    assert after.correlation == before.correlation


def test_there_is_a_view_only_when_every_pair_has_reported_and_there_are_several():
    manager, snapshot = risk_manager_for(BotConfig()), make_snapshot()
    alone, two = PortfolioBook([BTC]), PortfolioBook([BTC, ETH])
    for book in (alone, two):
        book.report(snapshot, manager.assess(snapshot))
        assert book.view() is None
    other = make_snapshot(instrument=make_instrument(symbol=ETH))
    two.report(other, manager.assess(other))
    view = two.view()
    assert view is not None
    assert [pair.symbol for pair in view.pairs] == [BTC, ETH]


def test_a_report_is_of_inventory_at_spot_and_perpetual_at_mark():
    spot = make_snapshot(90_000.0).market.raw.spot
    snapshot = make_snapshot(inventory="2", account=make_account("-0.5"), market={"spot": spot}, volatility_day=0.035)
    book, manager = PortfolioBook([BTC, ETH]), risk_manager_for(BotConfig())
    other = make_snapshot(instrument=make_instrument(symbol=ETH))
    book.report(other, manager.assess(other))
    assessment = manager.assess(snapshot)
    book.report(snapshot, assessment)
    view = book.view()
    assert view is not None
    assert view.pairs[0] == PairExposure(BTC, 180_000.0, -50_000.0, 0.035, size=180_000.0, nav=assessment.nav)
    assert view.pairs[0].nav == pytest.approx(280_000.0)
