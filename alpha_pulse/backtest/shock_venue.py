"""A venue on which price walks straight, with the bot's own decisions or without.

There is no second model of the bot here. The decider that runs live decides on every step, the engine that fills paper orders fills
them, and only the shell around the two (store, loop, clock) is left out, so that a table costs a fraction of a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Self

from alpha_pulse.domain.instrument import ZERO, Instrument
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.domain.orders import OrderRequest, Purpose
from alpha_pulse.errors import Rejected
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.matching import MatchingEngine, MatchingRules, Wallet
from alpha_pulse.execution.matching.engine import LIQUIDATION_ID
from alpha_pulse.hedging.common.order_ids import bot_tag
from alpha_pulse.hedging.common.types import BotState, Indicators, MarketState, Snapshot
from alpha_pulse.hedging.grid.backoff import after_sending
from alpha_pulse.hedging.grid.calculator import DefaultGridCalculator
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.decide import Decider, Decision
from alpha_pulse.hedging.grid.parts import load_calculator, risk_manager_for
from alpha_pulse.hedging.risk.shocks import Holdings

_STEP: Final = 0.01  # the bot acts each time price has moved by this
_STEP_MS: Final = 60_000
_MOST_WAITS: Final = 12  # until the orders of one price are done; a gap takes two: patient first, then a taker
_EVERY_ORDER: Final = 1e12  # base units of volume: queues are not counted here
_FARTHEST: Final = 50.0  # liquidation is looked for up to this times the price


@dataclass(frozen=True, slots=True)
class ShockStart:
    """Where the walks begin. Prices in quote units, quantities in base units of the perpetual."""

    config: BotConfig
    paper: PaperSettings
    instrument: Instrument
    inventory: Decimal  # S, signed
    price: float  # of mark, spot and perpetual
    volatility_day: float  # σ of daily log returns, held on the way
    wallet: Decimal  # cash in the perpetual wallet
    now_ms: int
    position: Decimal = ZERO  # F; the bot settles at ``price`` before anything moves
    entry: Decimal = ZERO
    state: BotState | None = None  # what the bot remembers; None = it starts here
    multiplier: int = 1  # coins in one unit of the perpetual's base


class _Market:
    """Straight bars of one price for everything, one after another."""

    def __init__(self, start: ShockStart) -> None:
        self.tick = start.instrument.tick
        self.price = start.price
        self.now_ms = start.now_ms
        sigma, held = start.volatility_day, start.price
        self.indicators = Indicators(sigma, sigma, 0.0, 1.0, 0.0, held, ready=True)

    def move(self, price: float, elapsed_ms: int = _STEP_MS) -> MarketUpdate:
        """The bar from where price is to ``price``."""
        before, opened = self.price, self.now_ms
        self.price, self.now_ms = price, opened + elapsed_ms
        bar = Bar(before, max(before, price), min(before, price), price, _EVERY_ORDER)
        return MarketUpdate(
            open_ms=opened,
            close_ms=self.now_ms,
            perp=bar,
            mark=bar,
            spot=bar,
            index_price=price,
            bid=max(price - self.tick, 0.5 * price),
            ask=price + self.tick,
            funding_rate=0.0,
            funding_interval_h=8.0,
            next_funding_ms=self.now_ms + 28_800_000,
            settled_rate=None,
            bid_depth=0.0,
            ask_depth=0.0,
        )


class ShockVenue:
    """The venue alone: what rests there acts, and nobody else."""

    def __init__(self, start: ShockStart, engine: MatchingEngine, market: _Market) -> None:
        self.start = start
        self.engine = engine
        self.market = market
        self._stops: list[str] = []  # that rest with nobody there to take them out

    def go(self, price: float) -> None:
        """Move straight to ``price``, whatever rests on the way."""
        if price != self.market.price:
            self.engine.match(self.market.move(price))

    def fork(self) -> ShockVenue:
        """The same venue once more, as it is now, without whoever placed its orders."""
        alone = ShockVenue(self.start, self._twin(), self._market_twin())
        stops = [order.request for order in self.engine.orders() if order.request.purpose is Purpose.STOP]
        alone._stops = [stop.client_order_id for stop in stops if not stop.reduce_only]
        return alone

    def holdings(self) -> Holdings:
        """What is held now."""
        start, account = self.start, self.engine.account()
        inventory = float(start.inventory)
        return Holdings(
            inventory=inventory,
            wallet=float(account.wallet),
            position=float(account.position.quantity),
            entry=float(account.position.entry_price),
            price=self.market.price,
            debt=min(0.0, inventory * start.price) if start.state is None else start.state.risk.debt,
        )

    def liquidated_at(self) -> float | None:
        """Where the venue closed the position for lack of margin; None if it did not."""
        return next((float(fill.price) for fill in self.engine.fills if fill.client_order_id.startswith(LIQUIDATION_ID)), None)

    def stop_expired(self) -> bool:
        """Whether a stop triggered with nobody there, and the venue dropped it because the wallet did not carry it."""
        live = {order.client_order_id for order in self.engine.orders()} | {fill.client_order_id for fill in self.engine.fills}
        return self.liquidated_at() is None and any(stop not in live for stop in self._stops)

    def liquidation(self, rising: bool) -> float | None:
        """Where a move straight on from here would liquidate what is held; None if none would."""
        far = self.fork()
        far.go(_FARTHEST * self.start.price if rising else self.start.instrument.tick)
        return self.liquidated_at() or far.liquidated_at()

    def _twin(self) -> MatchingEngine:
        wallet = self.engine.ledger.wallet
        twin = MatchingEngine(self.engine.instrument, Wallet(wallet.cash, wallet.deposits), self.engine.rules)
        twin.restore(self.engine.state())
        twin.fills.extend(self.engine.fills)
        return twin

    def _market_twin(self) -> _Market:
        market = _Market(self.start)
        market.price, market.now_ms = self.market.price, self.market.now_ms
        return market


class HedgedVenue(ShockVenue):
    """A bot at the venue: its own decider, its orders placed and cancelled as decided."""

    def __init__(self, start: ShockStart, engine: MatchingEngine, market: _Market, state: BotState) -> None:
        super().__init__(start, engine, market)
        self.state = state
        self._tag = bot_tag("shocks", start.instrument.symbol)
        calculator = load_calculator(start.config.grid.calculator) or DefaultGridCalculator()
        self._decider = Decider(start.config, calculator, risk_manager_for(start.config), self._tag)

    @classmethod
    def opened(cls, start: ShockStart) -> Self:
        """With the account as it is, and no orders yet."""
        paper = start.paper
        rules = MatchingRules(paper.fill_rule, 1.0, paper.slippage_bps, paper.leverage)
        instrument = replace(start.instrument, maker_fee=paper.maker_fee, taker_fee=paper.taker_fee)
        engine = MatchingEngine(instrument, Wallet(start.wallet, start.wallet), rules)
        engine.ledger.trade(instrument.lots_down(start.position), start.entry, ZERO)
        state = BotState() if start.state is None else replace(start.state, fills_booked=0, funding_booked=0)
        if not state.inventory_entry_price and start.config.inventory.entry_price is not None:
            state = replace(state, inventory_entry_price=start.config.inventory.entry_price)
        return cls(start, engine, _Market(start), state)

    def alive(self) -> HedgedVenue:
        """The same bot once more, as it is now."""
        return HedgedVenue(self.start, self._twin(), self._market_twin(), self.state)

    def go(self, price: float) -> None:
        """Move to ``price`` in steps, act after each, then stay until everything that the bot does there is done."""
        for place in _steps(self.market.price, price, self.engine.instrument):
            self._act(self.market.move(place))
        patience_ms = max(_STEP_MS, math.ceil(1000 * self.start.config.hedge.escalate_after_s) + 1000)
        for _ in range(_MOST_WAITS):
            before = len(self.engine.fills)
            decision = self._act(self.market.move(price, patience_ms))
            if decision.approved.is_empty and not decision.state.gap_since_ms and len(self.engine.fills) == before:
                return

    def _act(self, update: MarketUpdate) -> Decision:
        """One tick: the venue takes the bar in, the bot decides, its orders go out."""
        engine, known = self.engine, self.state.fills_booked
        engine.match(update)
        stop_filled = any(fill.purpose is Purpose.STOP for fill in engine.fills[known:])
        decision = self._decider.decide(
            Snapshot(
                tick_id=format(update.close_ms, "x"),
                market=MarketState(engine.instrument.symbol, update, self.market.indicators),
                instrument=engine.instrument,
                inventory=self.start.inventory,
                account=engine.account(),
                open_orders=engine.orders(),
                state=replace(self.state, fills_booked=len(engine.fills)),
                stop_filled=stop_filled,
            )
        )
        self.state = self._carried_out(decision, update.close_ms)
        return decision

    def _carried_out(self, decision: Decision, now_ms: int) -> BotState:
        for order in decision.approved.cancel:
            self.engine.cancel(order.client_order_id)
        accepted: list[OrderRequest] = []
        refused: list[tuple[OrderRequest, str]] = []
        for approved in decision.approved.place:
            try:
                self.engine.place(approved.request, now_ms)
                accepted.append(approved.request)
            except Rejected as error:
                refused.append((approved.request, error.reason))
        state = decision.state
        return replace(state, rejected=after_sending(state.rejected, accepted, refused, now_ms)) if state.rejected or refused else state


def _steps(price: float, end: float, instrument: Instrument) -> Iterator[float]:
    """Prices on the way from ``price`` to ``end``, equal ratios of at most a step, ``end`` the last."""
    count = math.ceil(abs(math.log(end / price)) / math.log1p(_STEP) - 1e-9)
    for i in range(1, count):
        yield on_tick(price * (end / price) ** (i / count), instrument)
    if count:
        yield end


def on_tick(price: float, instrument: Instrument) -> float:
    """The nearest price that the venue can show; at least a tick."""
    return float(instrument.price(max(1, round(price / instrument.tick))))
