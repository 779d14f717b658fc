"""The check-up of a plan's risk: numbers by hand, and a severity for each danger."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.instrument import Instrument, MarginTier
from alpha_pulse.hedging.risk.checkup import Exposure, Severity, check_up, survival
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.margin import liquidation_distance

FLAT = Instrument(
    "BTC/USDT:USDT",
    "BTC",
    "USDT",
    Decimal("0.1"),
    Decimal("0.001"),
    Decimal("0.001"),
    Decimal(100),
    margin_tiers=(MarginTier(Decimal("1e12"), Decimal("0.01")),),
)
TIERED = replace(
    FLAT,
    margin_tiers=(MarginTier(Decimal(150_000), Decimal("0.01")), MarginTier(Decimal("1e12"), Decimal("0.05"), Decimal(6_000))),
)
USUAL = Exposure(FLAT, 100_000.0, 1.0, 100_000.0, 0.5, 0.5, 0.75, 0.01, 0.0002)
QUIET = RiskSettings()


def findings(topic: str, exposure: Exposure = USUAL, risk: RiskSettings = QUIET):
    return [finding for finding in check_up(exposure, risk) if finding.topic == topic]


def test_a_short_survives_until_equity_meets_the_maintenance_margin():
    # (100,000 + 100,000)/(1·1.01) = 198,019.80
    assert survival(USUAL, QUIET, 1.0).liquidation == pytest.approx(198_019.80, abs=0.01)
    assert survival(USUAL, QUIET, 1.0).move == pytest.approx(0.980198, abs=1e-6)


def test_the_tier_is_that_of_the_notional_at_liquidation():
    # in the upper tier: (200,000 + 6,000)/1.05 = 196,190.48, a notional above 150,000
    assert survival(replace(USUAL, instrument=TIERED), QUIET, 1.0).liquidation == pytest.approx(196_190.48, abs=0.01)


def test_the_top_up_restores_the_alerts_distance():
    found = survival(USUAL, QUIET, 1.0)
    price = USUAL.price * (1 + found.no_increase_move)
    assert liquidation_distance(USUAL.wallet, -1.0, USUAL.price, FLAT, price) == pytest.approx(0.25)
    assert liquidation_distance(USUAL.wallet + found.top_up, -1.0, USUAL.price, FLAT, price) == pytest.approx(0.35)


@given(
    wallet=st.floats(30_000, 1e6),
    size=st.floats(0.1, 1.0),
    volatility=st.floats(0.005, 0.2),
    tiered=st.booleans(),
    sign=st.sampled_from([1, -1]),
)
@settings(max_examples=60, deadline=None)
def test_the_distances_come_in_order(wallet: float, size: float, volatility: float, tiered: bool, sign: int):
    exposure = replace(USUAL, instrument=TIERED if tiered else FLAT, wallet=wallet, inventory=sign * 1.0, volatility_day=volatility)
    found = survival(exposure, QUIET, size)
    assert found.alert_move <= found.no_increase_move <= found.move
    assert found.top_up >= 0


def test_the_usual_plan_is_sound():
    assert {finding.severity for finding in check_up(USUAL, QUIET)} == {Severity.OK}


def test_survival_is_told_at_the_highest_ratio_and_after_the_stop():
    at_highest, after_stop = findings("survival")
    assert at_highest.what == (
        "a short of 0.75 BTC (at the highest hedge ratio) survives a rally of 131%: liquidation at 231,023.10 USDT;"
        " alert at +71%; at +85% it needs a top-up of 14,000 USDT"
    )
    assert "a short of 1 BTC (after the stop has completed the hedge)" in after_stop.what


def test_the_same_size_is_told_once():
    assert len(findings("survival", replace(USUAL, highest_ratio=1.0))) == 1
    assert len(findings("survival", risk=RiskSettings(stop_loss_pct=None))) == 1


def test_max_position_size_bounds_every_size():
    assert "a short of 0.2 BTC" in findings("survival", risk=RiskSettings(max_position_size="0.2"))[0].what


def test_a_wallet_that_is_too_small_is_an_error_with_the_sum_that_mends_it():
    for finding in findings("survival", replace(USUAL, wallet=10_000.0)):
        assert finding.severity is Severity.ERROR
        assert "add " in finding.fix
    assert "is liquidated at once" in findings("survival", replace(USUAL, wallet=0.0))[0].what


def test_a_wallet_within_the_no_increase_distance_is_a_warning():
    finding = findings("survival", replace(USUAL, wallet=22_000.0), RiskSettings(stop_loss_pct=None, max_position_size=1))[0]
    assert (finding.severity, "too near" in finding.what) == (Severity.WARNING, False)
    nearer = findings("survival", replace(USUAL, wallet=16_000.0), RiskSettings(stop_loss_pct=None))[0]
    assert (nearer.severity, "too near to begin with" in nearer.what) == (Severity.WARNING, True)


def test_coins_owed_are_hedged_by_a_long_that_falls_threaten():
    owed = replace(USUAL, inventory=-1.0)
    assert "cannot be liquidated: the wallet covers a fall to zero" in findings("survival", owed)[0].what
    thin = findings("survival", replace(owed, wallet=40_000.0))[0]  # (75,000 − 40,000)/(0.75·0.99) = 47,138
    assert "a long of 0.75 BTC" in thin.what
    assert "survives a fall of 53%" in thin.what
    assert not findings("margin cap", owed)


def test_the_margin_cap_binds_where_the_size_meets_the_leverage():
    # 1·(100,000 + 50,000)/(0.5·2) = 150,000; completing to 1 there: 150,000 − (100,000 − 25,000) = 75,000
    assert findings("margin cap")[0].what == (
        "a hedge of 0.5 BTC meets 1 × equity at +50%: beyond that it may not grow;"
        " completing it to 1 BTC there needs a top-up of 75,000 USDT"
    )


def test_a_wallet_that_the_margin_cap_holds_back_is_a_warning():
    finding = findings("margin cap", replace(USUAL, wallet=30_000.0))[0]
    assert finding.severity is Severity.WARNING
    assert "allows 0.3 of the 0.5 BTC" in finding.what
    assert finding.fix.startswith("add 20,000 USDT")


def test_without_a_hedge_no_margin_is_looked_at():
    assert not findings("margin cap", replace(USUAL, ratio=0.0))


def test_the_stop_tells_its_distance_and_its_price():
    assert findings("stop")[0].what == (
        "15.0% below the highest anchor (stop_loss_pct): up to 7,500 USDT are lost before it, then the hedge is whole"
    )
    wild = findings("stop", replace(USUAL, volatility_day=0.06, lowest_ratio=0.0))[0].what
    assert wild.startswith("30.0% below the highest anchor (5 × σ of 6.0% a day): up to 30,000 USDT")
    assert findings("stop", replace(USUAL, inventory=-1.0))[0].what.startswith("15.0% above the lowest anchor")


def test_no_stop_is_a_warning():
    finding = findings("stop", risk=RiskSettings(stop_loss_pct=None))[0]
    assert (finding.severity, finding.fix) == (Severity.WARNING, "risk.stop_loss_pct 0.15")
    assert "25,000 USDT" in finding.what


def test_a_value_at_risk_floor_above_the_ratio_is_a_warning():
    # z(0.99)·3 %·100,000 = 6,979; a limit of 6,000 leaves a floor of 14 %
    usual = findings("value at risk")[0]
    assert (usual.severity, usual.what.endswith("floor 14%")) == (Severity.OK, True)
    wild = findings("value at risk", replace(USUAL, volatility_day=0.09))[0]
    assert wild.severity is Severity.WARNING
    assert "floor 71%, above the ratio of 50%" in wild.what
    assert "a limit of 10,469 USDT" in wild.fix


def test_an_absolute_limit_beats_the_share():
    assert "limit of 100 USDT: floor 99%" in findings("value at risk", risk=RiskSettings(var_limit=100))[0].what


def test_no_value_at_risk_limit_is_a_warning():
    assert findings("value at risk", risk=RiskSettings(var_limit_pct=None))[0].severity is Severity.WARNING


def test_a_spacing_under_the_fees_is_a_warning():
    assert findings("spacing")[0].what == "1.00% between nodes is 10,000 ticks; a round trip costs 0.040% in fees"
    assert findings("spacing", replace(USUAL, spacing=0.0004))[0].severity is Severity.WARNING


def test_leverage_and_a_missing_drawdown_limit_are_warnings():
    assert findings("leverage", risk=RiskSettings(max_effective_leverage=2))[0].what.startswith("2 × leaves about 50%")
    assert findings("drawdown", risk=RiskSettings(max_drawdown=None))[0].fix == "risk.max_drawdown 0.2"
    assert not findings("leverage")
    assert not findings("drawdown")


def test_a_neutral_grid_is_examined_at_its_full_size():
    neutral = replace(USUAL, inventory=0.0)
    risk = RiskSettings(max_position_size=2)
    assert "a short of 2 BTC (at its full size)" in findings("survival", neutral, risk)[0].what
    assert not findings("stop", neutral, risk)
    assert findings("value at risk", neutral, risk)[0].what.startswith("13,958 USDT")


def test_a_neutral_grid_without_a_size_says_nothing_of_it():
    neutral = replace(USUAL, inventory=0.0)
    assert not findings("survival", neutral)
    assert not findings("margin cap", neutral)
    assert not findings("value at risk", neutral)
