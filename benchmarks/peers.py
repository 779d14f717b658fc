"""Other backtesters on the plain job, each in an environment of its own: a grid of 5 levels a side, laid anew on every bar.

A peer is looked for in ``$ALPHA_PULSE_PEERS/NAME`` (a virtual environment), else in ``var/peers/NAME``:

    python -m venv var/peers/backtesting && var/peers/backtesting/bin/pip install backtesting

One that is not there is named as such. Its speed is bars/s of one run after a first one that compiles and warms up.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

_MARKET: Final = """
import json, sys, time
import numpy as np
bars = int(sys.argv[1])
random = np.random.default_rng(7)
close = 95000.0 * np.exp(np.cumsum(random.normal(0.0, 0.03 / 1440**0.5, bars)))
opened = np.concatenate(([95000.0], close[:-1]))
high = np.maximum(opened, close) * (1.0 + np.abs(random.normal(0.0, 0.0003, bars)))
low = np.minimum(opened, close) * (1.0 - np.abs(random.normal(0.0, 0.0003, bars)))
def timed(run):
    run()
    start = time.perf_counter()
    run()
    print(json.dumps({"seconds": time.perf_counter() - start}))
"""

JOBS: Final[dict[str, str]] = {
    "backtesting": """
import warnings
import pandas as pd
from backtesting import Backtest, Strategy
warnings.simplefilter("ignore")
frame = pd.DataFrame({"Open": opened, "High": high, "Low": low, "Close": close, "Volume": 1.0},
                     index=pd.date_range("2025-01-01", periods=bars, freq="min"))
class Grid(Strategy):
    def init(self):
        pass
    def next(self):
        for order in self.orders:
            order.cancel()
        price = self.data.Close[-1]
        for k in range(1, 6):
            self.buy(size=1, limit=price * (1.0 - 0.01 * k))
            self.sell(size=1, limit=price * (1.0 + 0.01 * k))
timed(lambda: Backtest(frame, Grid, cash=1e9, commission=0.0002).run())
""",
    "vectorbt": """
import warnings
warnings.simplefilter("ignore")
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio import nb
@njit
def order(c, high, low, close):
    i = c.i
    if i > 0:
        before = close[i - 1, 0]
        for k in range(1, 6):
            sell, buy = before * (1.0 + 0.01 * k), before * (1.0 - 0.01 * k)
            if high[i, 0] >= sell:
                return nb.order_nb(-1.0, sell, fees=0.0002)
            if low[i, 0] <= buy:
                return nb.order_nb(1.0, buy, fees=0.0002)
    return nb.order_nothing_nb()
two = lambda column: column.reshape(-1, 1)
def run():
    made = vbt.Portfolio.from_order_func(close, order, two(high), two(low), two(close), init_cash=1e9, freq="1min")
    made.value(), made.max_drawdown()
timed(run)
""",
}
"""By the name that pip and Python know a peer by: what it runs, after ``_MARKET``. A peer without a job here is not measured."""

WITHOUT_A_JOB: Final = ("hftbacktest",)


def peer_speeds(bars: int) -> dict[str, float | str]:
    """Bars/s of each peer, or why there is none."""
    found: dict[str, float | str] = {name: _speed(name, job, bars) for name, job in JOBS.items()}
    return found | dict.fromkeys(WITHOUT_A_JOB, "no plain job was written for it")


def _speed(name: str, job: str, bars: int) -> float | str:
    root = Path(os.environ.get("ALPHA_PULSE_PEERS") or Path(__file__).resolve().parents[1] / "var" / "peers")
    python = root / name / "bin" / "python"
    if not python.is_file():
        return f"not installed: no {python}"
    command = [str(python), "-c", _MARKET + job, str(bars)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a program written above
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"

    return bars / float(json.loads(done.stdout.splitlines()[-1])["seconds"])
