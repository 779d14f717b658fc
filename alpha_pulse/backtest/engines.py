"""Which engine runs a backtest: the bot itself, or its compiled twin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.replay import replay
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.interfaces import StateStore
from alpha_pulse.settings import Settings

EngineName = Literal["replay", "compiled"]
ENGINES: Final[tuple[EngineName, ...]] = ("replay", "compiled")
Progress = Callable[[float], None]
CompiledEngine = Callable[[Settings, Progress | None], Awaitable[RunRecord]]


def compiled_engine() -> CompiledEngine:
    """The compiled twin: settings and a progress callback in, the run's record out.

    Raises:
        ConfigError: numba is not installed.
    """
    try:
        from alpha_pulse.backtest.compiled.record import run_compiled  # noqa: PLC0415 - numba takes a third of a second to import
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"needs the package {error.name}, which is not installed.",
            field="--engine",
            value="compiled",
            fix='pip install "alpha-pulse[backtest]", or --engine replay',
        ) from None
    return run_compiled


def check_engine(name: str) -> EngineName:
    """The engine of this name, if it can run.

    Raises:
        ConfigError: there is no such engine, or it is not installed.
    """
    for known in ENGINES:
        if name == known:
            if known == "compiled":
                compiled_engine()
            return known
    raise ConfigError("is no engine.", field="--engine", value=name, fix=f"use {' or '.join(ENGINES)}")


async def run_engine(
    engine: EngineName, settings: Settings, *, store: StateStore | None = None, progress: Progress | None = None
) -> RunRecord:
    """Run the settings' market to its end. ``store`` takes the replay's events; the compiled twin writes none.

    Raises:
        ConfigError: the settings or the market cannot be run, or the engine is not installed.
    """
    if engine == "compiled":
        return await compiled_engine()(settings, progress)
    return await replay(settings, store=store, progress=progress)
