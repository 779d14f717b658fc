"""What is measured: the figures by name, their goals, and what each of them includes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from benchmarks.peers import JOBS


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that is measured. ``goal`` and ``least`` are limits on the good side of which the value should lie."""

    name: str
    unit: str
    includes: str  # exactly what was timed or counted
    goal: float | None = None
    better: Literal["more", "less"] = "less"
    least: float | None = None  # what still serves
    beside: str = ""  # what others need for the like


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure and every value that was measured for it, or why there is none."""

    figure: Figure
    values: tuple[float, ...]
    missing: str = ""

    @property
    def value(self) -> float | None:
        """The median of the repeats; None where nothing was measured."""
        return median(self.values) if self.values else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal or without a value."""
        if self.value is None or self.figure.goal is None:
            return None
        return self.value >= self.figure.goal if self.figure.better == "more" else self.value <= self.figure.goal


_REPLAY: Final = (
    "from settings to the finished record, one process on one core: making or reading the market, bot, paper broker, store, log file,"
    " one row of results a bar; not the start of the process (imports)"
)
_LATENCY: Final = (
    "from the moment the feed has a bar until the plan is approved, in the bot's own step(): matching at the paper venue, indicators,"
    " gathering, decision, risk check; not the feed, storing and sending"
)
_MEMORY: Final = "peak resident memory of the process that replays a year, 525,600 bars, simulated, record of results included"


def _speed(name: str, market: str) -> Figure:
    return Figure(name, "bars/s", f"{market}; 5 levels a side; {_REPLAY}", 60_000, "more", 10_000, "nautilus_trader 57,600")


def _latency(case: str, goal: float | None, what: str) -> tuple[Figure, Figure]:
    return (
        Figure(f"decision: {case}, median", "µs", f"{what}; {_LATENCY}", goal),
        Figure(f"decision: {case}, p99", "µs", f"{what}; {_LATENCY}"),
    )


_WIRE: Final = (
    "from the moment the fake exchange, a process of its own on this machine, hands the frame of a fill to the socket until the create of"
    " the counter-order reaches it: both sockets, ccxt, booking, decision, record, risk check, signing; 200 fills"
)


def _wire(case: str, what: str, goals: tuple[float | None, float | None] = (None, None)) -> tuple[Figure, Figure]:
    return (
        Figure(f"wire latency: {case}, median", "ms", f"{what}; {_WIRE}", goals[0]),
        Figure(f"wire latency: {case}, p99", "ms", f"{what}; {_WIRE}", goals[1]),
    )


REPLAY_MEMORY: Final = _speed("replay, MemoryStore", "4 × 30 days of simulated markets")
REPLAY_SQLITE: Final = _speed(
    "replay, SqlStore (SQLite, buffered)", "4 × 30 days of simulated markets, events kept as by `alpha-pulse demo`"
)
REPLAY_RECORDED: Final = _speed("replay of recorded BTC, MemoryStore", "Binance BTCUSDT 1m with funding, 2025-05-20 to 06-24, Parquet")
ALL_UPDATES: Final = _latency("any update", 50.0, "every one-minute bar")
QUIET: Final = _latency("quiet update", 50.0, "nothing filled, no node crossed")
CROSSING: Final = _latency(
    "update that crosses a node", 50.0, "the middle of the market is between two other nodes than before, nothing filled"
)
AFTER_FILL: Final = _latency(
    "update with a fill", 50.0, "an order filled on this bar: it is booked, and the ladder and the stop are laid anew"
)
WIRE: Final = (
    _wire("bot", "default settings without the stop, feed.update_interval_s 0, every commit to SQLite synced to the disk", (2.0, 10.0)),
    _wire("bot without a database", "as before, and the record in memory: what the bot and ccxt take without the disk"),
    _wire("bot that moves its stop first", "default settings: the create waits until the stop covers the new position"),
    _wire("bare ccxt", "watch_orders and create_order in a loop, without a bot: ccxt's own share"),
)
HEDGE_SCALAR: Final = Figure(
    "spline sizer: compute_hedge, median",
    "µs",
    "one score and one depth in plain Python, default curve, random scores and depths, checks and the loop around the call included;"
    " median of 500 batches of 1,000 calls",
    0.5,
    beside="scipy's evaluator alone 3",
)
SPLINE_ARRAY: Final = Figure(
    "spline sizer: curve over an array",
    "million/s",
    "the curve alone over 1,000,000 random scores on one core, checks and making the result included; median of 50 calls",
    70.0,
    "more",
)
SIGNALS: Final = Figure(
    "signal backtest: slowest of the four signals",
    "million bars/s",
    "1,000,000 bars at once on one core, clipping included; median of 20",
    5.0,
    "more",
)
_TWIN: Final = "fees, funding, path of net worth and metrics included, one core, after compiling and without reading the market"
TWIN: Final = tuple(
    Figure(
        f"compiled twin: {name}",
        "million bars/s",
        f"525,600 bars, 5 nodes a side: {what}; {_TWIN}; median of 21",
        goal,
        "more",
        None,
        beside,
    )
    for name, what, goal, beside in (
        ("fixed spacing", "the default hedge, no risk events", 100.0, "C 950, numba 330 on a plainer job"),
        ("fixed spacing, both sides", "a grid that trades on both sides, no risk events", None, ""),
        ("everything", "volatility-adaptive spacing, snapping, floors, stop, drawdown latch, margin", 20.0, ""),
        ("everything, both sides", "as before, on both sides", 20.0, ""),
    )
)
TWIN_SLOWEST: Final = tuple(
    Figure(
        f"compiled twin: {name}, slowest of five other years",
        "million bars/s",
        "as above on the simulated years of five other seeds, on some of which the wallet runs short and margin decides; median of 5 each",
        goal,
        "more",
    )
    for name, goal in (("fixed spacing", 100.0), ("everything", 20.0))
)
_PLAIN: Final = (
    "525,600 bars, one core: 5 levels a side, 1 % apart, laid anew after each fill, fee, path of net worth and drawdown; after compiling"
    " and without making the market; the same run of this program as the twin's figures"
)
PEERS: Final = {name: Figure(f"plain grid: {name}", "million bars/s", _PLAIN, None, "more") for name in JOBS}
AGAINST: Final = {
    (name, case): Figure(f"against {name}: {case}", "×", f"compiled twin: {case}, in bars/s, by plain grid: {name}", goal, "more")
    for name in JOBS
    for case, goal in (("fixed spacing", 10.0), ("fixed spacing, both sides", None))
}
SWEEP: Final = Figure(
    "compiled twin: 1,000 parameter sets", "s", "the same year, fixed spacing, two workers; one market read once before", 5.0
)
CACHED: Final = Figure("compiled twin: cached start", "s", "a new process: imports and machine code from the cache; median of 5", 1.0)
COMPILING: Final = Figure("compiled twin: first start", "s", "a new process whose cache is empty: imports and compiling every kernel")
READING: Final = Figure(
    "compiled twin: reading a year",
    "s",
    "525,600 simulated bars, made and with their indicators, once for any number of runs; machine code loaded before",
    1.5,
)
SEARCH: Final = Figure(
    "optimize: 2 workers against 1",
    "×",
    "trials/s of a search on the compiled twin, 90 days of simulated minutes, once each worker has ended two trials; SQLite storage",
    None,
    "more",
)
_BACKTEST: Final = "wall time of the whole process, one fill rule, a simulated year of minutes, report and files included"
BACKTEST: Final = tuple(Figure(f"alpha-pulse backtest --engine {engine}", "s", _BACKTEST) for engine in ("replay", "compiled"))
DECISION_LOG: Final = (
    Figure(
        "decision log: 64 callers", "records/s", "each call returns when its record is on the disk; delivery to SQLite beside", None, "more"
    ),
    Figure("decision log: 500 a second, p99", "ms", "from the call until the record is on the disk", 10.0),
)
_SERVICE: Final = (
    "one worker, the decision log synced to the disk before each answer and delivered to SQLite, 64 connections from a second process"
)
SERVICE: Final = (
    Figure("service: /hedge", "requests/s", f"each connection asks again at once; {_SERVICE}", 2000.0, "more"),
    Figure(
        "service: /hedge beside a bare FastAPI route",
        "%",
        f"requests/s of /hedge to those of a route that returns a constant, on the same server, by turns; {_SERVICE}",
        60.0,
        "more",
    ),
    Figure("service: /hedge at 500 a second, p99", "ms", f"from the moment at which a request was due; {_SERVICE}", 10.0),
    Figure(
        "service: computation of a hedge",
        "µs",
        "everything but I/O: body to model, sizer, decision, metrics, answer to bytes; median of 50 batches of 1,000",
        50.0,
    ),
)
YEAR_MEMORY: Final = Figure("memory for a year, MemoryStore", "MB", _MEMORY, 300, beside="nautilus_trader 610")
YEAR_SQLITE: Final = Figure("memory for a year, SqlStore (SQLite, buffered)", "MB", _MEMORY, 300, beside="nautilus_trader 610")
HELP: Final = Figure("alpha-pulse --help", "s", "wall time of the whole process", 0.5)
DEMO: Final = Figure("alpha-pulse demo", "s", "wall time of the whole process: 30 days simulated, report and files written", 60)
INSTALL: Final = Figure(
    "core on disk",
    "MB",
    "disk blocks of the package and everything that it requires without extras, pip included",
    520,
    beside="freqtrade 771, nautilus_trader 674, jesse 1,100",
)

FIGURES: Final = (
    REPLAY_MEMORY,
    REPLAY_SQLITE,
    REPLAY_RECORDED,
    *ALL_UPDATES,
    *QUIET,
    *CROSSING,
    *AFTER_FILL,
    *(figure for pair in WIRE for figure in pair),
    HEDGE_SCALAR,
    SPLINE_ARRAY,
    SIGNALS,
    *TWIN,
    *TWIN_SLOWEST,
    *PEERS.values(),
    *AGAINST.values(),
    SWEEP,
    CACHED,
    COMPILING,
    READING,
    SEARCH,
    *BACKTEST,
    *DECISION_LOG,
    *SERVICE,
    YEAR_MEMORY,
    YEAR_SQLITE,
    HELP,
    DEMO,
    INSTALL,
)
