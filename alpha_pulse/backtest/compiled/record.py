"""A compiled run as the record that every report and every figure is made from: the same columns, fills and payments as a replay's."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from alpha_pulse.backtest.compiled.market import Market, read_market
from alpha_pulse.backtest.compiled.support import supported
from alpha_pulse.backtest.compiled.twin import TwinResult, run_twin, targets_of
from alpha_pulse.backtest.compiled.values import NORMAL, PURPOSES, Records
from alpha_pulse.backtest.record import LATCHED, RESTRICTED, RunRecord, Sent, TargetMove
from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.instrument import Instrument, exact
from alpha_pulse.domain.orders import Fill, FundingPayment, Liquidity, Purpose, Side
from alpha_pulse.execution.matching.ledger import BOOKED
from alpha_pulse.execution.matching.margin import LIQUIDATION_PENALTY
from alpha_pulse.hedging.grid.chronicle import describe
from alpha_pulse.settings import Settings

_UNTOLD: Final = "the compiled run keeps no reasons: the replay tells them"
_READING: Final = 0.5  # the share of progress that reading the market takes
_STANDING: Final = ("position", "wallet", "ratio", "floor", "anchor", "spacing", "cap")


async def run_compiled(settings: Settings, progress: Callable[[float], None] | None = None) -> RunRecord:
    """Run the settings' market by the compiled twin and return what happened, as ``backtest.replay.replay`` does.

    Raises:
        ConfigError: a setting is not supported by the twin, or the market cannot be run.
    """
    supported(settings)
    market = await read_market(settings)
    if progress is not None:
        progress(_READING)
    result = run_twin(settings, market, progress=None if progress is None else lambda done: progress(_READING + (1 - _READING) * done))
    return record_of(settings, market, result)


def record_of(settings: Settings, market: Market, result: TwinResult) -> RunRecord:
    """A twin's result as a run's record. Its ``moves`` have no reasons, ``state`` is None."""
    instrument = replace(market.instrument, maker_fee=settings.paper.maker_fee, taker_fee=settings.paper.taker_fee)
    wallet = settings.paper.quote_balance
    inventory = settings.inventory.stated_coins() / market.pair.multiplier
    record = RunRecord(
        pair=market.pair,
        instrument=instrument,
        inventory=inventory,
        initial_wallet=wallet if wallet is not None else abs(inventory) * exact(float(market.columns.reference[0])),
        settings=settings.model_dump(mode="json", by_alias=True, exclude={"store", "logging"}),
        simulated=market.simulated,
        source=market.source,
    )
    _columns(record, market, result)
    record.notes.extend((record.ts_ms[0], text) for text in market.remarks)
    record.fills.extend(_fill(number, row, instrument) for number, row in enumerate(result.fills, start=1))
    record.funding.extend(_payment(row, market, instrument) for row in result.funding)
    for name, orders, lots in zip(PURPOSES, result.state.sent_orders, result.state.sent_lots, strict=True):
        if orders:
            record.sent[Purpose[name.upper()].value] = Sent(int(orders), instrument.quantity(int(lots)))
    _tell(record, market, result.stretches)
    return record


def _columns(record: RunRecord, market: Market, result: TwinResult) -> None:
    """One row a bar: prices from the market, what stood still from the stretches."""
    bars, stretches = market.columns.bars, result.stretches
    record.ts_ms = array("q", bars["close_ms"].tobytes())
    for name, column in (("spot", "reference"), ("mark", "mark_close"), ("last", "close")):
        setattr(record, name, array("d", bars[column].tobytes()))
    lengths = np.diff(np.append(stretches["row"], len(bars)))
    standing = {name: np.repeat(stretches[name], lengths) for name in (*_STANDING, "entry")}
    for name in _STANDING:
        setattr(record, name, array("d", standing[name].tobytes()))
    record.unrealized = array("d", (standing["position"] * (bars["mark_close"] - standing["entry"])).tobytes())
    posture = LATCHED * (stretches["latched"] != 0) + RESTRICTED * (stretches["posture"] != NORMAL)
    record.posture = array("q", np.repeat(posture, lengths).astype(np.int64).tobytes())
    record.target = array("d", targets_of(result, market).tobytes())


def _fill(number: int, row: Records, instrument: Instrument) -> Fill:
    """A fill with exact price, quantity and fee."""
    side, price, quantity = (
        Side.BUY if row["sign"] > 0 else Side.SELL,
        instrument.price(int(row["ticks"])),
        instrument.quantity(int(row["lots"])),
    )
    rate = instrument.taker_fee + (LIQUIDATION_PENALTY if row["liquidation"] else 0) if row["taker"] else instrument.maker_fee
    reference = instrument.tick_size * exact(round(float(row["reference"]) / instrument.tick, 3))
    return Fill(
        trade_id=str(number),
        client_order_id=f"compiled{number}",
        symbol=instrument.symbol,
        side=side,
        price=price,
        quantity=quantity,
        fee=price * quantity * rate,
        fee_currency=instrument.quote,
        liquidity=Liquidity.TAKER if row["taker"] else Liquidity.MAKER,
        ts_ms=int(row["ts_ms"]),
        reference_price=reference if row["taker"] else price,
        purpose=Purpose[PURPOSES[int(row["purpose"])].upper()],
        node=int(row["node"]),
    )


def _payment(row: Records, market: Market, instrument: Instrument) -> FundingPayment:
    rate, mark = exact(float(row["rate"])), exact(float(row["mark"]))
    position = instrument.quantity(round(float(row["quantity"]) / instrument.lot))
    amount = (-position * mark * rate).quantize(BOOKED)
    return FundingPayment(
        int(row["ts_ms"]), instrument.symbol, rate, mark, position, amount, float(market.funding_interval_h[int(row["row"])])
    )


def _tell(record: RunRecord, market: Market, stretches: Records) -> None:
    """What moved, as far as the stretches show it: targets, anchor, spacing."""
    bars = market.columns.bars
    before: Any = None
    for stretch in stretches:
        ts_ms, row = int(bars["close_ms"][stretch["row"]]), int(stretch["row"])
        if before is None or before["ratio"] != stretch["ratio"] or before["floor"] != stretch["floor"]:
            record.moves.append(_move(before, stretch, ts_ms, float(bars["close"][row])))
        for kind, name in ((EventKind.ANCHOR_MOVED, "anchor"), (EventKind.SPACING_CHANGED, "spacing")):
            if before is None or before[name] != stretch[name]:
                payload = {"before": None if before is None else float(before[name]), "after": float(stretch[name])}
                record.notes.append((ts_ms, describe(kind, payload)))
        before = stretch


def _move(before: Any, after: Any, ts_ms: int, price: float) -> TargetMove:
    return TargetMove(
        ts_ms=ts_ms,
        price=price,
        position=float(after["position"]),
        ratio_before=None if before is None else float(before["ratio"]),
        ratio=float(after["ratio"]),
        floor_before=None if before is None else float(before["floor"]),
        floor=float(after["floor"]),
        why=_UNTOLD,
    )
