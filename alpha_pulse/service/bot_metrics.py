"""The hedging bots' metrics, read from their database: what the bots have written there, and no more.

Nothing here asks a bot. What only its process knows (the lag of its event loop, the age of its market stream) it writes with each
heartbeat, so that a bot that hangs is known by the age of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from loguru import logger
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from alpha_pulse.domain.events import EventKind
from alpha_pulse.domain.orders import OrderStatus
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.hedging.common.types import RiskState
from alpha_pulse.hedging.state.locks import Host
from alpha_pulse.hedging.state.models import events, orders
from alpha_pulse.hedging.state.queries import BotStatus, read_status
from alpha_pulse.hedging.state.transactions import reading
from alpha_pulse.runtime.masking import mask

_LABELS: Final = ["account", "symbol"]
_EVERY_S: Final = 5.0
_MS: Final = 1000.0
_NOT_YET: Final = "the bots' database was not read yet"


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """Orders of one bot: how many are open or of unknown outcome, and how many were found at the venue without it (adopted), ever."""

    open: int = 0
    unknown: int = 0
    adopted: int = 0


def bot_metrics(
    statuses: Iterable[BotStatus], counts: Mapping[tuple[str, str], OrderCounts], now_ms: int, *, up: bool = True
) -> Iterator[Metric]:
    """Metrics of every bot.

    Args:
        statuses: what the store says of each bot.
        counts: its orders, by account and symbol.
        now_ms: milliseconds UTC.
        up: whether the database could be read the last time.
    """
    gauges = {name: GaugeMetricFamily(f"alpha_pulse_bot_{name}", text, labels=_LABELS) for name, text in _GAUGES.items()}
    risk = GaugeMetricFamily("alpha_pulse_bot_risk_state", "1 for the risk state that it is in", labels=[*_LABELS, "state"])
    adopted = CounterMetricFamily("alpha_pulse_bot_orphan_orders", _ORPHANS, labels=_LABELS)
    for status in statuses:
        pair = [status.account, status.symbol]
        found = counts.get((status.account, status.symbol), OrderCounts())
        for name, value in _values(status, found, now_ms).items():
            gauges[name].add_metric(pair, value)
        adopted.add_metric(pair, found.adopted)
        if status.state is not None:
            for state in RiskState:
                risk.add_metric([*pair, state.value], float(status.state.risk.state is state))
    yield GaugeMetricFamily("alpha_pulse_bots_database_up", "1 while the bots' database can be read", value=float(up))
    yield from gauges.values()
    yield from (risk, adopted)


_ORPHANS: Final = "Orders found at the venue after a restart that no longer were in the bot's memory, adopted by their ids"
_GAUGES: Final = {
    "running": "1 while a live process holds the pair",
    "last_event_age_seconds": "Age of the last event by its stamp, the market's time: a live bot writes one each tick",
    "heartbeat_age_seconds": "Age of a running bot's last heartbeat, which is due every 10 s",
    "loop_lag_seconds": "How late the event loop of the bot's process was lately, at worst, as of the heartbeat",
    "stream_age_seconds": "Age of the bot's last market update, in the market's time, as of the heartbeat",
    "position_base": "Perpetual position as its fills add up, base units, signed",
    "inventory_base": "Inventory, base units, signed",
    "net_delta_base": "Inventory plus perpetual position, base units",
    "hedge_ratio": "Share of the inventory that the perpetual position hedges",
    "hedge_target": "Ratio that was decided, floor included; the grid trades around it",
    "hedge_error": "hedge_target minus hedge_ratio; away from the anchor it is not 0 by design",
    "funding_received_quote": "Funding received, quote units; negative is paid",
    "fees_paid_quote": "Fees paid in the settlement currency, quote units",
    "open_orders": "Orders that the bot counts as open",
    "unknown_orders": "Orders whose outcome is unknown",
}


def _values(status: BotStatus, counts: OrderCounts, now_ms: int) -> dict[str, float]:
    """What is known of one bot; a bot that has saved nothing yet has no inventory and no target."""
    position = float(status.position.quantity)
    known = {
        "running": float(status.running),
        "position_base": position,
        "funding_received_quote": float(status.position.funding),
        "fees_paid_quote": float(status.position.fees),
        "open_orders": float(counts.open),
        "unknown_orders": float(counts.unknown),
    }
    if status.running and status.holder is not None:
        vitals = status.holder.vitals
        said = {
            "heartbeat_age_seconds": (now_ms - status.holder.heartbeat_ms) / _MS,
            "loop_lag_seconds": vitals.loop_lag_s,
            "stream_age_seconds": vitals.stream_age_s,
        }
        known |= {name: value for name, value in said.items() if value is not None}
    if status.last_event_ms:
        known["last_event_age_seconds"] = (now_ms - status.last_event_ms) / _MS
    state = status.state
    inventory = None if state is None or state.risk.inventory is None else float(state.risk.inventory)
    if state is None or inventory is None:
        return known
    known |= {"inventory_base": inventory, "net_delta_base": inventory + position}
    if inventory:
        known["hedge_ratio"] = -position / inventory + 0.0
    if state.target is not None:
        known["hedge_target"] = max(state.target.ratio, state.target.floor)
        if inventory:
            known["hedge_error"] = known["hedge_target"] - known["hedge_ratio"]
    return known


async def read_order_counts(engine: AsyncEngine) -> dict[tuple[str, str], OrderCounts]:
    """Orders by bot. Raises ``Transient`` when the database is busy or away."""
    by_status = select(orders.c.account, orders.c.symbol, orders.c.status, func.count()).group_by(
        orders.c.account, orders.c.symbol, orders.c.status
    )
    by_bot = (
        select(events.c.account, events.c.symbol, func.count())
        .where(events.c.kind == EventKind.ORDER_ADOPTED.value)
        .group_by(events.c.account, events.c.symbol)
    )
    async with reading(engine, "counting orders") as connection:
        rows = (await connection.execute(by_status)).all()
        adopted = {(account, symbol): count for account, symbol, count in (await connection.execute(by_bot)).all()}
    found: dict[tuple[str, str], dict[str, int]] = {}
    for account, symbol, status, count in rows:
        found.setdefault((account, symbol), {})[status] = count
    return {
        bot: OrderCounts(
            found.get(bot, {}).get(OrderStatus.OPEN.value, 0), found.get(bot, {}).get(OrderStatus.UNKNOWN.value, 0), adopted.get(bot, 0)
        )
        for bot in {*found, *adopted}
    }


class BotWatch:
    """Reads the bots' database now and then, so that a scrape waits for nobody.

    Args:
        engine: the bots' database; never written to.
        host: tells live processes from dead ones.
    """

    def __init__(self, engine: AsyncEngine, host: Host) -> None:
        self._engine = engine
        self._host = host
        self._statuses: list[BotStatus] = []
        self._counts: dict[tuple[str, str], OrderCounts] = {}
        self.problem = _NOT_YET

    def metrics(self) -> Iterator[Metric]:
        """As of the last reading."""
        return bot_metrics(self._statuses, self._counts, self._host.now_ms(), up=not self.problem)

    async def read(self) -> None:
        """Read once; a database that cannot be read is ``problem`` until the next time."""
        try:
            self._statuses = await read_status(self._engine, self._host)
            self._counts = await read_order_counts(self._engine)
        except Exception as error:  # noqa: BLE001 - a damaged row can raise anything, and must not end the watch
            problem = str(error) if isinstance(error, AlphaPulseError) else f"{type(error).__name__}: {mask(str(error))}"
            if self.problem in {"", _NOT_YET}:
                logger.warning("The bots' database cannot be read: {}", problem)
            self.problem = problem
        else:
            if self.problem not in {"", _NOT_YET}:
                logger.info("The bots' database can be read again")
            self.problem = ""

    async def follow(self) -> None:
        """Read again and again, until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(_EVERY_S)
