"""The risk manager: from a snapshot to a target, a posture and caps. Pure; its memory travels in the snapshot."""

from __future__ import annotations

import math
from dataclasses import replace

from alpha_pulse.domain.position import Account
from alpha_pulse.hedging.common.approved import ApprovedPlan
from alpha_pulse.hedging.common.types import Alert, Assessment, HedgeTarget, Plan, RiskMemory, RiskState, Snapshot
from alpha_pulse.hedging.risk.alerts import liquidation_alert, portfolio_alert, proposal, var_alert
from alpha_pulse.hedging.risk.check import check_plan
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.floors import FloorRules, Floors
from alpha_pulse.hedging.risk.latches import latched, update_latches
from alpha_pulse.hedging.risk.margin import (
    ALERT_SIGMAS,
    CAP_STEP,
    CUT_SIGMAS,
    NO_INCREASE_SIGMAS,
    growth_limit,
    liquidation_distance,
    margin_distance,
    size_at_distance,
    stepped_cap,
)
from alpha_pulse.hedging.risk.portfolio import size_share
from alpha_pulse.hedging.risk.stop import stop_distance
from alpha_pulse.hedging.risk.tail import VarMethod, tail_quantile
from alpha_pulse.hedging.risk.target import TargetPolicy, hedge_target, most_hedge, soft_floor
from alpha_pulse.hedging.risk.var import normal_quantile, parametric_var, var_floor
from alpha_pulse.hedging.risk.wallets import Wallets, account_for_flows
from alpha_pulse.hedging.risk.zone import RiskZone, risk_zone

FLATTENED = "the user removed the hedge"


class HedgeRiskManager:
    """Target, floors, latches, margin distances and caps of docs/reference/formulas.md."""

    def __init__(self, settings: RiskSettings, policy: TargetPolicy, rules: FloorRules | None = None) -> None:
        self.settings = settings
        self.policy = policy
        self.rules = rules if rules is not None else FloorRules()
        self._z = normal_quantile(settings.var_confidence)
        self._tail: tuple[tuple[float, ...], int, float] = ((), 0, 0.0)  # residuals, side, and the quantile read from them
        self._leverage = float(settings.max_effective_leverage)
        self._max_position = math.inf if settings.max_position_size is None else float(settings.max_position_size)
        self._neutral = 0.0 if settings.max_position_size is None else float(settings.max_position_size)  # M, with S = 0
        self._max_drawdown = math.inf if settings.max_drawdown is None else float(settings.max_drawdown)

    def check(self, plan: Plan, snapshot: Snapshot, assessment: Assessment) -> ApprovedPlan:
        """Approve or refuse each order of a plan; see ``check_plan``."""
        return check_plan(plan, snapshot, assessment, self.leverage(snapshot.account))

    def assess(self, snapshot: Snapshot) -> Assessment:
        """What this snapshot asks for: floors first, then latches, then margin, then the target under them."""
        view = Wallets.of(snapshot)
        sigma = snapshot.market.indicators.volatility_day
        memory = account_for_flows(snapshot, view)
        nav = view.nav(memory)
        if nav > memory.high_water_mark:
            memory = replace(memory, high_water_mark=nav)
        drawdown = 1.0 - nav / memory.high_water_mark if memory.high_water_mark > 0.0 else 0.0
        distance_to_stop = stop_distance(self.settings, snapshot.state.volatility_held)
        reached = drawdown >= self._max_drawdown
        memory = update_latches(snapshot, view, memory, drawdown_reached=reached, distance=distance_to_stop)
        memory = self._portfolio_latch(snapshot, memory)
        z = self.quantile(snapshot)
        var, var_floor = self._value_at_risk(view, sigma, z)
        floors = self.rules.floors(snapshot, var_floor, z, self.settings.var_horizon_days, self.policy.unit)
        memory = self._soft_floor(memory, floors.raw, snapshot.market.now_ms)
        liquidation = liquidation_distance(view.wallet, view.position, view.entry, snapshot.instrument, view.mark)
        hedge_by = "" if self.rules.assessor is None else self.rules.assessor.instrument(snapshot, memory.hedge_by)
        memory = memory if hedge_by == memory.hedge_by else replace(memory, hedge_by=hedge_by)
        latches = latched(memory)
        target = hedge_target(self.policy, snapshot, floors, memory.soft_floor, latches)
        most = self._most(snapshot, view)
        memory, cap, reduce_to = self._margin(snapshot, view, memory, target, liquidation, most)
        memory = self._posture(snapshot, memory, latches)
        return Assessment(
            target=target,
            memory=memory,
            max_abs_position=cap,
            most=most,
            reduce_to=reduce_to,
            stop_distance=0.0 if memory.flattened or (latches and view.inventory) else distance_to_stop,
            value_at_risk=var,
            nav=nav,
            drawdown=drawdown,
            liquidation_distance=liquidation,
            alerts=self._alerts(snapshot, view, memory, floors, liquidation, var),
        )

    def zone(self, snapshot: Snapshot, assessment: Assessment) -> RiskZone | None:
        """The markets that would be assessed as this one was, if that changed nothing; see ``RiskZone``."""
        return risk_zone(self, snapshot, assessment)

    def quantile(self, snapshot: Snapshot) -> float:
        """The multiplier z of σ in the value at risk, by the method of the settings; new once a day at most."""
        method = self.settings.var_method
        if method is VarMethod.PARAMETRIC:
            return self._z
        residuals = snapshot.market.indicators.residuals
        side = 1 if snapshot.inventory >= 0 else -1
        if self._tail[0] is not residuals or self._tail[1] != side:
            self._tail = residuals, side, tail_quantile(method, self.settings.var_confidence, residuals, 1 if side > 0 else -1)
        return self._tail[2]

    def var_strain(self, inventory: float, z: float) -> tuple[float, bool]:
        """(VaR over its limit per unit of σ_day, whether it is per unit of price too); 0 without a limit."""
        per_value = z * math.sqrt(self.settings.var_horizon_days)
        if self.settings.var_limit is not None:
            return per_value * abs(inventory) / float(self.settings.var_limit), True
        if self.settings.var_limit_pct is not None:
            return per_value / float(self.settings.var_limit_pct), False
        return 0.0, False

    def _portfolio_latch(self, snapshot: Snapshot, memory: RiskMemory) -> RiskMemory:
        limit, view = self.rules.portfolio.max_drawdown, snapshot.portfolio
        if view is None:
            return memory
        reached = limit is not None and view.drawdown >= float(limit)
        if view.drawdown == memory.portfolio_drawdown and reached <= memory.portfolio_latched:
            return memory
        return replace(memory, portfolio_drawdown=view.drawdown, portfolio_latched=memory.portfolio_latched or reached)

    def _value_at_risk(self, view: Wallets, sigma: float, z: float) -> tuple[float, float]:
        """VaR of the whole inventory (M with S = 0), and the ratio that brings the unhedged rest within the limit."""
        value = abs(view.value) if view.inventory else self._neutral * view.mark
        var = parametric_var(value, sigma, self.settings.var_horizon_days, z)
        limit = self._var_limit(view)
        return var, var_floor(var, limit) if limit else 0.0

    def _soft_floor(self, memory: RiskMemory, raw: float, now_ms: int) -> RiskMemory:
        """Rises at once, falls slowly; see ``soft_floor``."""
        if raw == 0.0 and memory.soft_floor == 0.0:
            return memory
        held, since = memory.soft_floor, memory.floor_since_ms
        floor, since_ms = soft_floor(raw, held, since, now_ms, self.policy.unit, self.policy.floor_half_life_ms)
        if floor == held and since_ms == since:
            return memory
        return replace(memory, soft_floor=floor, floor_since_ms=since_ms)

    def _margin(
        self, snapshot: Snapshot, view: Wallets, memory: RiskMemory, target: HedgeTarget, liquidation: float, most: float
    ) -> tuple[RiskMemory, float, float]:
        """The hard cap of this snapshot, the curve's cap in steps, and a cut when liquidation is too near."""
        held, sigma = abs(view.position), snapshot.market.volatility_day
        no_increase = margin_distance(self.settings.no_increase_distance, NO_INCREASE_SIGMAS, sigma)
        comfortable = size_at_distance(view.equity, no_increase, snapshot.instrument, view.mark)
        hard = growth_limit(self.leverage(snapshot.account), view.equity, view.mark, comfortable, held, most)
        cut = margin_distance(self.settings.cut_distance, CUT_SIGMAS, sigma)
        cutting = liquidation <= cut or (memory.margin_cut and liquidation < no_increase)
        if cutting != memory.margin_cut:
            memory = replace(memory, margin_cut=cutting)
        reduce_to = 0.0 if memory.flattened else comfortable if cutting else math.inf
        if liquidation <= no_increase:
            hard = min(hard, held)
        bound = min(hard, reduce_to)
        cap = stepped_cap(memory.cap, bound, held, most, self.most_wanted(view.inventory, target), abs(view.inventory) or most)
        return (memory if cap == memory.cap else replace(memory, cap=cap)), hard, reduce_to

    def _most(self, snapshot: Snapshot, view: Wallets) -> float:
        """The largest position that the user's limits allow, base units; what is held past a portfolio's limit is not cut for it."""
        most = self._max_position if self._max_position < math.inf else abs(view.inventory)
        limit, portfolio = self.rules.portfolio.max_total_notional, snapshot.portfolio
        if limit is None or portfolio is None:
            return most
        unit = CAP_STEP * (abs(view.inventory) or most)  # in steps: an order that follows every tick of a price has no queue place
        share = math.floor(float(limit) * size_share(portfolio, snapshot.instrument.symbol) / view.mark / unit) * unit if unit else 0.0
        return min(most, max(share, abs(view.position)))

    def leverage(self, account: Account) -> float:
        """max_effective_leverage, as far as the venue's own limit allows."""
        return min(self._leverage, float(account.leverage_limit))

    def most_wanted(self, inventory: float, target: HedgeTarget) -> float:
        """The largest position that the curve can ask for, base units."""
        if inventory == 0.0:
            return self._neutral * min(1.0, self.policy.amplitude)
        return most_hedge(abs(inventory), target.ratio, target.floor, target.max_ratio, self.policy.amplitude)

    @staticmethod
    def _posture(snapshot: Snapshot, memory: RiskMemory, latches: tuple[str, ...]) -> RiskMemory:
        halted = memory.halted
        if snapshot.account.liquidated != memory.liquidation_seen:
            memory = replace(memory, liquidation_seen=snapshot.account.liquidated)
            halted = "the venue liquidated the position" if snapshot.account.liquidated else halted
        reasons: tuple[str, ...]
        if memory.flattened:  # the user's word, also after a halt
            state, reasons = (RiskState.HALTED if _is_flat(snapshot) else RiskState.MARGIN_REDUCE), (FLATTENED,)
        elif halted:
            state, reasons = RiskState.HALTED, (halted,)
        elif memory.margin_cut:
            state, reasons = RiskState.MARGIN_REDUCE, ("liquidation of the perpetual is too near", *latches)
        elif latches:
            state, reasons = RiskState.DELTA_REDUCE, latches
        else:
            state, reasons = RiskState.NORMAL, ()
        if state is memory.state and reasons == memory.reasons and halted == memory.halted:
            return memory
        return replace(memory, state=state, reasons=reasons, halted=halted)

    def _alerts(
        self, snapshot: Snapshot, view: Wallets, memory: RiskMemory, floors: Floors, liquidation: float, var: float
    ) -> tuple[Alert, ...]:
        wanted = margin_distance(self.settings.alert_distance, ALERT_SIGMAS, snapshot.market.volatility_day)
        exposed = var * self.exposed(view.inventory, view.position)
        return (
            *liquidation_alert(snapshot, view, liquidation, wanted),
            *var_alert(snapshot, exposed, self._var_limit(view)),
            *portfolio_alert(memory),
            *proposal(snapshot, memory, floors.inventory),
        )

    def exposed(self, inventory: float, position: float) -> float:
        """The share of the inventory (of M, with S = 0) that the perpetual leaves unhedged."""
        scale = abs(inventory) or self._neutral
        return abs(inventory + position) / scale if scale else 0.0

    def _var_limit(self, view: Wallets) -> float:
        """The value at risk that may stay unhedged, quote units; 0 = no limit."""
        if self.settings.var_limit is not None:
            return float(self.settings.var_limit)
        return float(self.settings.var_limit_pct or 0) * (abs(view.value) if view.inventory else self._neutral * view.mark)


def _is_flat(snapshot: Snapshot) -> bool:
    """Nothing is held that could be traded away."""
    instrument = snapshot.instrument
    least = instrument.min_lots(snapshot.market.raw.mark.close) * instrument.lot
    return abs(float(snapshot.account.position.quantity)) < least * (1.0 - 1e-9)
