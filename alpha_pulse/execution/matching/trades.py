"""What trading costs and how it is booked: taker prices from an update, fills and funding payments into the ledger."""

from __future__ import annotations

import math
from decimal import Decimal

from alpha_pulse.domain.instrument import Instrument, exact
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.domain.orders import Fill, FundingPayment, Liquidity, OrderRequest
from alpha_pulse.execution.matching import kernel
from alpha_pulse.execution.matching.ledger import Ledger


class Tariff:
    """Prices that takers get. The spread is the update's own: half of it on each side of the last price."""

    def __init__(self, instrument: Instrument, slippage_bps: float) -> None:
        self.instrument = instrument
        self.slippage_bps = slippage_bps

    def ticks(self, sign: int, lots: int, price: float, update: MarketUpdate) -> int:
        """Ticks paid for taking ``lots`` when the market stands at ``price``, rounded against the taker."""
        depth = update.ask_depth if sign > 0 else update.bid_depth
        half_spread = 0.5 * (update.ask - update.bid)
        paid = kernel.taker_price(sign, price, half_spread, lots * self.instrument.lot, depth, self.slippage_bps)
        return kernel.ticks_against(sign, paid, self.instrument.tick)

    def lots(self, sign: int, lots: int, price: float, limit_ticks: int, update: MarketUpdate) -> int:
        """As many of ``lots`` as can be taken at the limit or better."""
        depth = update.ask_depth if sign > 0 else update.bid_depth
        half_spread, limit = 0.5 * (update.ask - update.bid), limit_ticks * self.instrument.tick
        most = kernel.takeable(sign, price, half_spread, limit, depth, self.slippage_bps)
        return lots if math.isinf(most) else min(lots, int(most / self.instrument.lot + kernel.TICK_TOLERANCE))

    def reference(self, price: float) -> Decimal:
        """A point of the path as an exact price, to a thousandth of a tick."""
        return self.instrument.tick_size * exact(round(price / self.instrument.tick, 3))


class Trades:
    """Every fill and funding payment of a pair, oldest first, each booked as it is noted."""

    def __init__(self, instrument: Instrument, ledger: Ledger) -> None:
        self.instrument = instrument
        self.ledger = ledger
        self.fills: list[Fill] = []
        self.funding: list[FundingPayment] = []

    def fill(
        self, request: OrderRequest, lots: int, price: Decimal, reference: Decimal, liquidity: Liquidity, fee_rate: Decimal, ts_ms: int
    ) -> None:
        """Book ``lots`` of an order at ``price``. The fee is price·quantity·rate, unrounded."""
        instrument = self.instrument
        quantity = instrument.quantity(lots)
        fee = price * quantity * fee_rate
        self.ledger.trade(request.side.sign * lots, price, fee)
        self.fills.append(
            Fill(
                trade_id=str(len(self.fills) + 1),
                client_order_id=request.client_order_id,
                symbol=instrument.symbol,
                side=request.side,
                price=price,
                quantity=quantity,
                fee=fee,
                fee_currency=instrument.quote,
                liquidity=liquidity,
                ts_ms=ts_ms,
                reference_price=reference,
                purpose=request.purpose,
                node=request.node,
            )
        )

    def settle(self, update: MarketUpdate) -> bool:
        """Book the funding that settles at the update's open, if any does and there is a position; True if it was."""
        if update.settled_rate is None or not self.ledger.lots:
            return False
        mark, rate, quantity = exact(update.mark.open), exact(update.settled_rate), self.ledger.quantity
        amount = self.ledger.settle(mark, rate)
        symbol = self.instrument.symbol
        self.funding.append(FundingPayment(update.open_ms, symbol, rate, mark, quantity, amount, update.funding_interval_h))
        return True
