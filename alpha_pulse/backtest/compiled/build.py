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

from alpha_pulse.backtest.compiled import check, ladder, loop, quiet, rejections, risk, targets, tick, values, venue
from alpha_pulse.domain import instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.matching import kernel, margin
from alpha_pulse.hedging.grid import calculator, curve, gap, steps, stops
from alpha_pulse.hedging.grid import zone as grid_zone
from alpha_pulse.hedging.risk import costs, inventory, target, var
from alpha_pulse.hedging.risk import margin as risk_margin
from alpha_pulse.hedging.risk import stop as risk_stop
from alpha_pulse.hedging.risk import zone as risk_zone

OWN: Final = (venue, risk, ladder, check, rejections, tick, quiet, loop, targets)
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
)
"""Functions of the live path that the kernels call, by module."""


class Kernels(NamedTuple):
    """The entry points, compiled or not."""

    advance: Callable[..., int]
    write_targets: Callable[..., None]


INTERPRETED: Final = Kernels(loop.advance, targets.write_targets)
"""The same code run by Python itself: slow, and what coverage and debuggers see."""


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


def _jit(numba: Any, entry: Callable[..., Any]) -> Any:
    """One entry point; numba asks for its cache folder when the dispatcher is made."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(entry)
    finally:
        numba.config.CACHE_DIR = before
