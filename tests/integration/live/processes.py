"""A bot in a process of its own against a fake exchange in the test's: what kills, signals and closed doors are tried on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.config import FakeConfig
from alpha_pulse.fake_exchange.records import AlgoOrder, VenueOrder
from alpha_pulse.fake_exchange.rehearsal import ENVIRON, QUICK, Rehearsal
from alpha_pulse.hedging.common.order_ids import bot_tag, read_order_id

PATIENCE_S = 60.0

BY_PRICE_ALONE: Mapping[str, Any] = {
    "hedge": {
        "ratio": 0.5,
        "min_ratio": 0,
        "amplitude": 0.4,
        "amplitude_adverse": 0.4,
        "funding_tilt": 0,
        "escalate_after_s": 3600,
    },
    "grid": {"grid_spacing_pct": "0.01", "volatility_multiple": 0, "volume_adjust": 0, "snap": 0, "num_levels": 4, "anchor": "fixed"},
    "risk": {"var_limit_pct": None, "stop_volatility_multiple": 0, "stop_loss_pct": "0.15", "max_drawdown": None},
    "inventory_risk": {"enabled": False},
}
"""Settings under which what rests at the venue follows from the position and the price, and from nothing that a restart forgets."""

EAGER: Mapping[str, Any] = {**QUICK, "settle_after_s": 0.4, "visible_after_s": 0.3, "dead_man_switch_s": 0}
"""Waits as short as a run with many restarts wants them [s]; no dead-man switch, so that a dead bot's orders stay."""


class Outside(Rehearsal):
    """A rehearsal whose bot is a process. ``start`` returns when it was spawned, not when it has decided anything."""

    process: asyncio.subprocess.Process | None = None
    _printed = 0  # what was in the output when the last process started
    folder = Path()  # where it runs: its settings and what it prints

    @property
    def tag(self) -> str:
        account = self.settings.exchange.account or self.settings.exchange.id
        return bot_tag(account, hedge_pair(self.settings.symbol).perpetual)

    # --- the process ------------------------------------------------------------------------------------------------
    async def start(self) -> Any:
        """Spawn it, on a file of settings and keys in the environment, as a person would."""
        config = self.folder / "config.yaml"
        text = yaml.safe_dump(self.settings.model_dump(mode="json", exclude_unset=True))
        await asyncio.to_thread(config.write_text, text, encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ALPHA_PULSE_", "TRADING_MODE"))}
        with (self.folder / "output.txt").open("ab") as output:
            self._printed = len(self.output())
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "alpha_pulse", "run", "--config", str(config),
                cwd=self.folder, env={**kept, **self._environ}, stdout=output, stderr=output,
            )  # fmt: skip
        return None

    @property
    def alive(self) -> bool:
        """A process runs."""
        return self.process is not None and self.process.returncode is None

    async def kill(self) -> None:
        """SIGKILL, if it lives."""
        if self.process is not None and self.alive:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def stop(self, reason: str = "") -> int | None:
        """SIGTERM, and the exit code; None where nothing ran."""
        if self.process is None or not self.alive:
            return None
        self.process.send_signal(signal.SIGTERM)
        return await self.exit_code()

    async def up(self) -> None:
        """Wait until the process that was started last has taken up its work; before that a signal ends it in Python's own way."""
        begun = self._printed
        await self.until(lambda: not self.alive or "Running " in self.output()[begun:], PATIENCE_S)

    async def exit_code(self) -> int:
        """Wait until it ends."""
        assert self.process is not None
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise

    def output(self) -> str:
        """What every process so far has printed."""
        return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")

    async def held(self, within_s: float = 30.0) -> None:
        """Wait until a scripted fault holds a request."""
        try:
            await self.fake.control.wait_held(timeout=within_s)
        except TimeoutError:
            sent = [(r.method, r.path, r.status) for r in self.fake.venue.requests() if r.method != "GET"][-20:]
            raise AssertionError(f"nothing is held; sent was {sent}\n{self.output()[-3000:]}") from None

    # --- what there is ----------------------------------------------------------------------------------------------
    def touched(self) -> tuple[int, int]:
        """How many orders were placed or cancelled, and how many fills there were."""
        return sum(1 for r in self.fake.venue.requests() if r.method != "GET" and "rder" in r.path), len(self.fake.venue.fills())

    def resting(self) -> Counter[tuple[str, ...]]:
        """What of ours rests at the venue: purpose, side, node, price and what is left of the quantity."""
        return Counter(self._line(order) for order in self.open_orders())

    def _line(self, order: VenueOrder | AlgoOrder) -> tuple[str, ...]:
        name = read_order_id(self.tag, order.client_id)
        assert name is not None
        price, left = (
            (order.trigger_price, order.quantity) if isinstance(order, AlgoOrder) else (order.price, order.quantity - order.filled)
        )
        node = str(name.node) if name.purpose.value == "grid" else ""
        return name.purpose.value, order.side, node, f"{price.normalize():f}", f"{left.normalize():f}"

    def traded(self) -> Counter[tuple[str, ...]]:
        """Every fill of ours: purpose, side, node, price and quantity."""
        lines: Counter[tuple[str, ...]] = Counter()
        for trade in self.fake.venue.fills(None, self.name):
            name = read_order_id(self.tag, trade.client_id)
            who = ("stranger", "") if name is None else (name.purpose.value, str(name.node) if name.purpose.value == "grid" else "")
            lines[(*who, trade.side, f"{trade.price.normalize():f}", f"{trade.quantity.normalize():f}")] += 1
        return lines

    def money(self) -> dict[str, Decimal]:
        """The venue's own ledger of this account."""
        sums: dict[str, Decimal] = {"wallet": self.fake.venue.wallet(None, "USDT")}
        for row in self.fake.venue.income():
            sums[row.kind] = sums.get(row.kind, Decimal(0)) + row.amount
        return sums

    async def booked(self) -> tuple[str, ...]:
        """The bot's own ledger: position, entry price, profit, fees and funding."""
        async with self.engine.connect() as connection:
            row = (await connection.exec_driver_sql("SELECT quantity, entry_price, realized_pnl, fees, funding FROM positions")).one()
        return tuple(f"{Decimal(value):.6f}" for value in row)

    async def settled(self, within_s: float = 30.0, for_s: float = 0.3) -> None:
        """Wait until nothing was written to the venue for a while, every fill is booked, and something rests."""
        loop = asyncio.get_running_loop()
        last, since, ends = (-1, -1), loop.time(), loop.time() + within_s
        while True:
            await asyncio.sleep(0.05)
            now = self.touched()
            if now != last or not self.open_orders():
                last, since = now, loop.time()
            elif loop.time() - since >= for_s and len(await self.events(EventKind.FILL)) == now[1]:
                return
            if loop.time() > ends:
                raise AssertionError(f"no rest after {within_s} s: {self.resting()}\n{self.output()[-3000:]}")


@contextlib.asynccontextmanager
async def outside(
    folder: Path, settings: Mapping[str, Any] = BY_PRICE_ALONE, *, quick: Mapping[str, Any] = EAGER, fake: FakeConfig | None = None
) -> AsyncIterator[Outside]:
    """An exchange and a folder for a bot that is not started yet; a process that is left at the end is killed."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    given = {"logging": {"file": None, "level": "INFO"}, **settings}
    async with Outside.running(folder, given, fake=fake, environ=ENVIRON, quick=quick, start=False) as rehearsal:
        rehearsal.folder = folder
        try:
            yield rehearsal
        finally:
            await rehearsal.kill()
