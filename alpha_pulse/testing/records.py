"""A run record built bar by bar, with exact bookkeeping of its own, for tests of what measures and shows runs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.domain.instrument import ZERO, HedgePair, Instrument, exact
from alpha_pulse.domain.orders import Fill, FundingPayment, Liquidity, Purpose, Side

BTC = HedgePair(spot="BTC/USDT", perpetual="BTC/USDT:USDT", base="BTC", quote="USDT")
BTC_PERPETUAL = Instrument(
    symbol="BTC/USDT:USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
    min_notional=Decimal(100),
)
START_MS = 1_748_736_000_000  # 2025-06-01 00:00 UTC
MINUTE_MS = 60_000


class RecordBuilder:
    """Books fills and funding like a venue (average entry price) and appends a row per bar.

    Call ``fill`` and ``fund`` for what happened inside the coming bar, then ``bar``.
    """

    def __init__(
        self,
        *,
        inventory: str = "1",
        wallet: str = "100000",
        simulated: bool = True,
        settings: Mapping[str, Any] | None = None,
        pair: HedgePair = BTC,
        source: str = "a made-up path",
        bar_ms: int = MINUTE_MS,
    ) -> None:
        self.record = RunRecord(
            pair=pair,
            instrument=BTC_PERPETUAL,
            inventory=Decimal(inventory),
            initial_wallet=Decimal(wallet),
            settings=settings if settings is not None else {"feed": {"seed": 7}, "paper": {"taker_fee": "0.0005", "maker_fee": "0.0002"}},
            simulated=simulated,
            source=source,
        )
        self.bar_ms = bar_ms
        self.open_ms = START_MS
        self.position = ZERO
        self.entry = ZERO
        self.wallet = Decimal(wallet)

    def fill(
        self,
        side: Side,
        quantity: str | Decimal,
        price: str | Decimal,
        *,
        reference: str | Decimal | None = None,
        taker: bool = False,
        purpose: Purpose = Purpose.GRID,
        node: int = 0,
    ) -> Fill:
        """Book one fill at the close of the coming bar."""
        amount, at = Decimal(quantity), Decimal(price)
        fee = (amount * at * Decimal("0.0005" if taker else "0.0002")).quantize(Decimal("1e-8"))
        count = len(self.record.fills)
        fill = Fill(
            trade_id=f"t{count}",
            client_order_id=f"apbtcn{count}",
            symbol=self.record.instrument.symbol,
            side=side,
            price=at,
            quantity=amount,
            fee=fee,
            fee_currency=self.record.pair.quote,
            liquidity=Liquidity.TAKER if taker else Liquidity.MAKER,
            ts_ms=self.open_ms + self.bar_ms,
            reference_price=at if reference is None else Decimal(reference),
            purpose=purpose,
            node=node,
        )
        self.record.fills.append(fill)
        self._book(side.sign * amount, at)
        self.wallet -= fee
        return fill

    def fund(self, rate: str, mark: float) -> FundingPayment:
        """Settle funding at the coming bar's open, on the position held then."""
        amount = -self.position * exact(mark) * Decimal(rate)
        payment = FundingPayment(self.open_ms, self.record.instrument.symbol, Decimal(rate), exact(mark), self.position, amount, 8.0)
        self.record.funding.append(payment)
        self.wallet += amount
        return payment

    def bar(
        self,
        spot: float,
        *,
        mark: float | None = None,
        last: float | None = None,
        target: float = -0.5,
        ratio: float = 0.5,
        floor: float = 0.0,
        anchor: float = 100_000.0,
        spacing: float = 0.01,
    ) -> None:
        """Close the bar. Prices in quote units; mark defaults to spot, last to mark."""
        mark = spot if mark is None else mark
        values = {
            "spot": spot,
            "mark": mark,
            "last": mark if last is None else last,
            "position": float(self.position),
            "target": target,
            "ratio": ratio,
            "floor": floor,
            "wallet": float(self.wallet),
            "unrealized": float(self.position * (exact(mark) - self.entry)),
            "anchor": anchor,
            "spacing": spacing,
        }
        self.open_ms += self.bar_ms
        self.record.ts_ms.append(self.open_ms)
        for name, value in values.items():
            getattr(self.record, name).append(value)

    def _book(self, quantity: Decimal, price: Decimal) -> None:
        before, after = self.position, self.position + quantity
        if before * quantity >= 0:
            self.entry = (self.entry * abs(before) + price * abs(quantity)) / abs(after)
        else:
            closed = min(abs(before), abs(quantity)) * (1 if before > 0 else -1)
            self.wallet += closed * (price - self.entry)
            if before * after < 0:
                self.entry = price
        if after == 0:
            self.entry = ZERO
        self.position = after


def wandering_record(days: float = 3, seed: int = 1, *, inventory: str = "1", settings: Mapping[str, Any] | None = None) -> RunRecord:
    """A run that looks like one: a random walk in minutes, a grid that sells into strength, funding every eight hours, one stop."""
    chance = random.Random(seed)  # noqa: S311 - a made-up market, not a secret
    defaults = {
        "feed": {"source": "simulated", "seed": seed},
        "grid": {"num_levels": 10, "spacing": "geometric", "grid_spacing_pct": "0.01"},
        "paper": {"maker_fee": "0.0002", "taker_fee": "0.0005", "fill_rule": "through", "slippage_bps": 1.0},
    }
    built = RecordBuilder(inventory=inventory, settings=defaults if settings is None else settings, source=f"simulated market, seed {seed}")
    held = Decimal(inventory)
    price, basis, node, anchor = 100_000.0, 0.0, 0, 100_000.0
    for minute in range(int(days * 1440)):
        price *= math.exp(chance.gauss(-0.000003, 0.0006))
        basis += chance.gauss(-0.02 * basis, 4.0)
        last = round(price + basis, 1)
        if minute % 480 == 0:
            built.fund(f"{chance.gauss(0.00008, 0.00005):.8f}", last)
        if minute == 1 and held:
            side = Side.SELL if held > 0 else Side.BUY
            slip = exact(last) - side.sign * Decimal(-10)
            built.fill(side, abs(held) / 2, slip, reference=exact(last), taker=True, purpose=Purpose.REBALANCE)
        level = max(-10, min(10, math.floor(math.log(last / anchor) / math.log1p(0.01))))
        if minute > 1 and level != node and held and level >= 0:
            side = Side.SELL if level > node else Side.BUY
            at = exact(round(anchor * 1.01 ** (max(node, level)), 1))
            built.fill(side, Decimal("0.025") * abs(held) * abs(level - node), at, node=level)
            node = level
        if last < anchor * 0.9 or last > anchor * 1.12:
            anchor, node = last, 0
            built.record.notes.append((built.open_ms + built.bar_ms, f"anchor moved to {anchor:.1f}"))
        goal = -float(held) * (0.5 + 0.025 * max(0.0, math.log(last / anchor) / math.log1p(0.01)))
        built.bar(price, mark=last, last=last, target=goal, anchor=anchor, floor=0.3 if minute > days * 700 else 0.0)
    return built.record
