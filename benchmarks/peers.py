"""Other backtesters on one plain job, each in an environment of its own.

The job: a grid of 5 limit orders of one coin a side at fixed nodes 1 % apart, over one-minute bars. The middle of the grid follows from the
position: one node down for each coin bought, one up for each sold. After a bar that filled something the missing orders are laid and the
outlying ones cancelled; until then all are kept, as in our own grid. Fee 0.02 %; net worth at every bar and its drawdown are worked out.
It has no funding, tick and lot rounding, minimum order, margin or risk rule. Each peer does it in the way that is fastest for it:

- hftbacktest: 3 events a bar, a sell trade at the low, then a buy trade at the high, for its exchange, and a trade at the close, for the
  strategy, which is compiled and wakes there. No book, no latency, no queue. Up to 10 orders can fill in a bar.
- vectorbt: ``from_order_func``, at most one fill a bar, that of the nearest node, so that it needs to keep no orders.
- backtesting: all orders are cancelled and laid anew after a fill.

A peer is looked for in ``$ALPHA_PULSE_PEERS/NAME`` (a virtual environment), else in ``var/peers/NAME``:

    python -m venv var/peers/backtesting && var/peers/backtesting/bin/pip install backtesting

One that is not there is named as such. Its speed is bars/s, the median of the runs of two seconds after a first one that compiles and
warms up; making the market is not timed.
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
middle = 1000
nodes = 95000.0 * 1.01 ** (np.arange(2 * middle) - middle)
def timed(run):
    fills, taken = run(), []
    while sum(taken) < 2.0:
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    print(json.dumps({"seconds": float(np.median(taken)), "fills": int(fills)}))
"""

JOBS: Final[dict[str, str]] = {
    "hftbacktest": """
from hftbacktest import GTC, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.types import BUY_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT, event_dtype
from numba import njit
minute = 60_000_000_000
events = np.zeros(3 * bars, event_dtype)
for k, (kind, price) in enumerate(((EXCH_EVENT | SELL_EVENT, low), (EXCH_EVENT | BUY_EVENT, high), (LOCAL_EVENT | BUY_EVENT, close))):
    events["ev"][k::3] = kind | TRADE_EVENT
    events["px"][k::3] = price
    events["exch_ts"][k::3] = events["local_ts"][k::3] = np.arange(bars) * minute + (k + 1) * minute // 3
events["qty"] = 1.0
@njit
def grid(hbt, cash, position):
    bar, held = 0, np.inf
    while hbt.wait_next_feed(False, 2 * minute) == 2:
        state = hbt.state_values(0)
        cash[bar], position[bar] = state.balance - state.fee, state.position
        bar += 1
        if state.position == held:
            continue
        held = state.position
        centre = middle - int(round(held))
        hbt.clear_inactive_orders(0)
        orders = hbt.orders(0)
        values = orders.values()
        while values.has_next():
            order = values.get()
            if order.cancellable and abs(int(order.order_id) - centre) > 5:
                hbt.cancel(0, order.order_id, False)
        for k in range(1, 6):
            below, above = np.uint64(centre - k), np.uint64(centre + k)
            if below not in orders:
                hbt.submit_buy_order(0, below, nodes[centre - k], 1.0, GTC, LIMIT, False)
            if above not in orders:
                hbt.submit_sell_order(0, above, nodes[centre + k], 1.0, GTC, LIMIT, False)
def run():
    asset = BacktestAsset().data(events).linear_asset(1.0).constant_order_latency(0, 0).risk_adverse_queue_model()
    asset = asset.no_partial_fill_exchange().trading_value_fee_model(0.0002, 0.0002).tick_size(0.1).lot_size(0.001)
    hbt = HashMapMarketDepthBacktest([asset])
    cash, position = np.empty(bars), np.empty(bars)
    grid(hbt, cash, position)
    fills = hbt.state_values(0).num_trades
    hbt.close()
    worth = cash + position * close
    (np.maximum.accumulate(worth) - worth).max()
    return fills
timed(run)
""",
    "vectorbt": """
import warnings
warnings.simplefilter("ignore")
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio import nb
@njit
def order(c, high, low):
    centre = middle - int(round(c.position_now))
    if c.i > 0 and high[c.i, 0] >= nodes[centre + 1]:
        return nb.order_nb(-1.0, nodes[centre + 1], fees=0.0002)
    if c.i > 0 and low[c.i, 0] <= nodes[centre - 1]:
        return nb.order_nb(1.0, nodes[centre - 1], fees=0.0002)
    return nb.order_nothing_nb()
two = lambda column: column.reshape(-1, 1)
def run():
    made = vbt.Portfolio.from_order_func(close, order, two(high), two(low), init_cash=1e9, freq="1min")
    made.value(), made.max_drawdown()
    return made.orders.count()
timed(run)
""",
    "backtesting": """
import warnings
import pandas as pd
from backtesting import Backtest, Strategy
warnings.simplefilter("ignore")
frame = pd.DataFrame({"Open": opened, "High": high, "Low": low, "Close": close, "Volume": 1.0},
                     index=pd.date_range("2025-01-01", periods=bars, freq="min"))
class Grid(Strategy):
    def init(self):
        self.held, self.fills = None, 0
    def next(self):
        held = self.position.size
        if held == self.held:
            return
        self.fills += abs(held - (self.held or 0))
        self.held = held
        for order in self.orders:
            order.cancel()
        centre = middle - held
        for k in range(1, 6):
            self.buy(size=1, limit=nodes[centre - k])
            self.sell(size=1, limit=nodes[centre + k])
def run():
    return Backtest(frame, Grid, cash=1e9, commission=0.0002).run()._strategy.fills
timed(run)
""",
}
"""By the name that pip and Python know a peer by: what it runs, after ``_MARKET``."""


def peer_speeds(bars: int) -> dict[str, float | str]:
    """Bars/s of each peer, or why there is none."""
    return {name: _speed(name, job, bars) for name, job in JOBS.items()}


def _speed(name: str, job: str, bars: int) -> float | str:
    root = Path(os.environ.get("ALPHA_PULSE_PEERS") or Path(__file__).resolve().parents[1] / "var" / "peers")
    python = root / name / "bin" / "python"
    if not python.is_file():
        return f"not installed: no {python}"
    command = [str(python), "-c", _MARKET + job, str(bars)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a program written above
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"

    told = json.loads(done.stdout.splitlines()[-1])
    return bars / float(told["seconds"]) if told["fills"] else "failed: it filled nothing"
