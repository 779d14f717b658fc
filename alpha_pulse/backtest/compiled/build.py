"""Compiling the kernels, once for each state of their sources.

The kernels are plain functions, and so are those of the live path that they call; numba compiles them as they stand. What it made is kept
on disk under a key made of the source of every module that holds one of them, of numba and of Python: a change in any called function
is another key. numba is imported here alone, and only when something is to be compiled.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from alpha_pulse.backtest.compiled import (
    check,
    ladder,
    loop,
    own_ladder,
    quiet,
    reading_kernel,
    rejections,
    risk,
    sized,
    targets,
    tick,
    values,
    venue,
)
from alpha_pulse.domain import instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.matching import kernel, margin
from alpha_pulse.hedging.grid import calculator, curve, gap, steps, stops
from alpha_pulse.hedging.grid import zone as grid_zone
from alpha_pulse.hedging.risk import costs, inventory, target, var
from alpha_pulse.hedging.risk import margin as risk_margin
from alpha_pulse.hedging.risk import stop as risk_stop
from alpha_pulse.hedging.risk import zone as risk_zone
from alpha_pulse.market import indicators, provider, sanity

OWN: Final = (venue, risk, ladder, own_ladder, check, rejections, tick, quiet, loop, sized, targets, reading_kernel)
"""Modules of which every function is a kernel."""
SHARED: Final[tuple[tuple[ModuleType, tuple[str, ...]], ...]] = (
    (instrument, ("least_lots",)),
    (kernel, ("low_first", "crossing", "reach_price", "crosses", "impact", "taker_price", "takeable", "ticks_against", "queue_lots")),
    (margin, ("maintenance", "liquidation_price", "liquidation_bounds", "affordable")),
    (
        curve,
        (
            "node_price",
            "place_on_grid",
            "hedge_share",
            "target_position",
            "ticks_at_or_below",
            "ticks_at_or_above",
            "lots_to_sell",
            "lots_to_buy",
        ),
    ),
    (calculator, ("target_at",)),
    (gap, ("band", "_hedges_more", "band_hides_hedge", "hedge_due", "shrinking", "at_pace", "node_step", "under_floor")),
    (
        steps,
        (
            "volume_factor",
            "stepped_volatility",
            "volume_band",
            "fee_floor",
            "node_spacing",
            "averaged_anchor",
            "recentred_anchor",
            "nearest_level",
        ),
    ),
    (stops, ("next_reference",)),
    (costs, ("market_impact", "cost_parts", "protection", "is_worth")),
    (target, ("bounded_ratio", "step_ratio", "next_ratio", "soft_floor", "funding_tilt", "most_hedge", "tested_quantity")),
    (inventory, ("inventory_scores", "risk_score", "loss_from_entry", "hedge_step")),
    (var, ("parametric_var", "var_floor")),
    (risk_margin, ("margin_distance", "price_at_maintenance", "distance_between", "size_at_rate", "growth_limit", "stepped_cap")),
    (grid_zone, ("anchor_edges", "inside_band")),
    (risk_zone, ("cap_room", "floor_bounds", "funding_bounds", "stop_bounds")),
    (risk_stop, ("stop_distance", "stop_trigger", "stop_numbers")),
    (indicators, ("decay", "ewma_variance", "ema")),
    (provider, ("take_bar",)),
    (sanity, ("is_sound",)),
)
"""Functions of the live path that the kernels call, by module."""


class Kernels(NamedTuple):
    """The entry points, compiled or not."""

    advance: Callable[..., int]
    write_targets: Callable[..., None]
    read_bars: Callable[..., int]
    tilt: Callable[..., None]


INTERPRETED: Final = Kernels(loop.advance, targets.write_targets, reading_kernel.read_bars, sized.tilt)
"""The same code run by Python itself: slow, and what coverage and debuggers see."""

Ladder = Callable[..., int]
"""A grid of the user's own, a plain function that numba can compile: (a bar of ``values.BAR``, curve of ``values.CURVE``,
``own_ladder.Stand``, room for levels of ``values.OWN_LEVEL``) → how many levels it wrote."""


def shared_functions() -> Iterator[FunctionType]:
    """Every function of the live path that is compiled."""
    for module, names in SHARED:
        for name in names:
            yield getattr(module, name)


def own_functions() -> Iterator[FunctionType]:
    """Every kernel of this package."""
    for module in OWN:
        for _, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__:
                yield function


def source_files() -> list[Path]:
    """Every file that the machine code depends on: the kernels, the layout of their records, and the compiler's options, which are here."""
    modules = {sys.modules[__name__], values, *OWN, *(module for module, _ in SHARED)}
    return sorted(Path(inspect.getfile(module)) for module in modules)


def source_key(files: Iterable[Path]) -> str:
    """A digest of these sources and of the Python that runs; numba keeps apart by itself what other versions of it and other CPUs made."""
    digest = hashlib.sha256(f"{sys.version}\n".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where machine code is kept: ``$ALPHA_PULSE_CACHE``, else ``$XDG_CACHE_HOME/alpha_pulse``, else ``~/.cache/alpha_pulse``."""
    given = os.environ.get("ALPHA_PULSE_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alpha_pulse"
    return base / "compiled" / source_key(source_files())


@cache
def compiled() -> Kernels:
    """The kernels as machine code, from the cache where it holds them.

    Raises:
        ConfigError: numba is not installed.
    """
    try:
        import numba  # noqa: PLC0415 - half a second, and an extra
        from numba.extending import register_jitable  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ConfigError("the compiled backtest needs numba.", field="engine", fix="pip install 'alpha-pulse[backtest]'") from error
    entries = set(INTERPRETED)
    for function in (*shared_functions(), *own_functions()):
        if function not in entries:
            register_jitable(error_model="numpy")(function)
    return Kernels(*(_jit(numba, entry) for entry in INTERPRETED))


@cache
def compiled_with(ladder: Ladder) -> Kernels:
    """The kernels with a grid of the user's own. Not kept on disk, for nobody knows what the function calls: half a minute a process.

    Raises:
        ConfigError: numba is not installed, or cannot compile the function.
    """
    base = compiled()
    import numba  # noqa: PLC0415 - as above
    from numba.extending import register_jitable  # noqa: PLC0415 - as above

    _try_out(numba, ladder)
    register_jitable(error_model="numpy", boundscheck=True)(ladder)  # it writes into memory of ours
    rewired = _rewired(ladder)
    for function in rewired[:-1]:
        register_jitable(error_model="numpy")(function)
    return base._replace(advance=numba.njit(nogil=True, error_model="numpy")(rewired[-1]))


def interpreted_with(ladder: Ladder) -> Kernels:
    """``INTERPRETED`` with a grid of the user's own."""
    return INTERPRETED._replace(advance=_rewired(ladder)[-1])


def _rewired(ladder: Ladder) -> tuple[FunctionType, ...]:
    """Copies of the kernels from the ladder up to the loop that call the user's function."""
    lay = _with(own_ladder.lay_own, write_levels=ladder)
    decide = _with(tick.tick, lay_ladder=lay)
    return lay, decide, _with(loop.advance, tick=decide)


def _with(function: Any, **names: Any) -> FunctionType:
    """The same function where these names mean something else."""
    return FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)


def _try_out(numba: Any, ladder: Ladder) -> None:
    """Compile the user's function alone, so that what is wrong with it is told by its own name."""
    seen = values.new_run()[0]
    stand = numba.types.NamedUniTuple(numba.float64, len(own_ladder.Stand._fields), own_ladder.Stand)
    given = numba.typeof(values.records(values.BAR, 1)[0]), numba.typeof(seen.curve[0]), stand, numba.typeof(seen.asked)
    try:
        numba.njit(error_model="numpy")(ladder).compile(given)
    except Exception as error:  # numba has several kinds, without one parent
        told = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"numba cannot compile {ladder.__name__}: {told}", field="grid.calculator", fix="use numbers, tuples and numpy arrays alone"
        ) from error


def _jit(numba: Any, entry: Callable[..., Any]) -> Any:
    """One entry point; numba asks for its cache folder when the dispatcher is made."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(entry)
    finally:
        numba.config.CACHE_DIR = before
