"""The hedge curves in force, followed while the service runs: a good file replaces them at once, a bad one changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loguru import logger
from pydantic_core import to_json

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.sizers.curves import SIGNAL_CONFIGS, SignalConfig
from alpha_pulse.hedging.risk.sizers.monotone import MonotoneSpline
from alpha_pulse.hedging.risk.sizers.spline import build_spline
from alpha_pulse.settings.curves import load_signal_configs

SENTIMENT: Final = "sentiment"
"""The curve that ``/hedge`` sizes by."""

BUILT_IN: Final = "built in"
_TRIES: Final = 5  # to read a file that changes while it is read
_STEP_MS: Final = 50
_LOOK_MS: Final = 1_000  # between looks at a file whose folder says nothing: it may be another one by now
_DEBOUNCE_MS: Final = 200  # changes of one save come together


@dataclass(frozen=True, slots=True)
class CurveSet:
    """The curves of one moment: replaced as a whole, never changed.

    Attributes:
        configs: curve by signal name.
        sentiment: the curve of ``/hedge``, built.
        digest: SHA-256 of the file's bytes, hexadecimal; of the curves as JSON where they are built in.
        source: the file, or "built in".
    """

    configs: Mapping[str, SignalConfig]
    sentiment: MonotoneSpline
    digest: str
    source: str


class CurveBook:
    """Holds the curves in force.

    Args:
        path: the file.
        built_in: without a file take the curves of the library, until there is one.
        on_reload: told of each attempt: True for a good file, False for a bad one.

    Raises:
        ConfigError: the file is missing or wrong, at the start; later that is ``problem``.
    """

    def __init__(self, path: Path, *, built_in: bool = False, on_reload: Callable[[bool], None] = lambda _: None) -> None:
        self.path = path
        self.problem = ""
        self._on_reload = on_reload
        self.current = _built_in() if built_in and not path.exists() else _load(path)
        self._refused = ("", "")  # the digest of the last bad file, and what was wrong
        self._stop = asyncio.Event()

    def reload(self) -> None:
        """Read the file again, if its bytes are others than those in force. Never raises: a bad file is ``problem``."""
        if self.current.source == BUILT_IN and not self.path.exists():
            self.problem = ""
            return
        digest = ""
        try:
            digest = hashlib.sha256(_read(self.path)).hexdigest()
            if digest == self.current.digest and not self.problem:
                return
            self.current, self.problem = _load(self.path), ""
        except (ConfigError, OSError) as error:
            self.problem = str(error)
            if (digest, self.problem) != self._refused:
                logger.error("The curves stay as they are: {}", error)
                self._on_reload(False)
            self._refused = (digest, self.problem)
            return
        self._refused = ("", "")
        self._on_reload(True)
        logger.info("New curves from {}: {}", self.path, self.current.digest[:12])

    async def follow(self) -> None:
        """Read the file again whenever it changes, until ``stop``. Its folder is watched: editors and orchestrators replace files."""
        while not self._stop.is_set():
            try:
                await self._watch(_folders(self.path))
            except (OSError, RuntimeError):  # the folder has just gone, or this machine has no watches left
                await self._pause()

    async def _watch(self, folders: Mapping[Path, int]) -> None:
        """Follow changes in these folders until ``stop``, or until others are in their place: a watch stays with the old one."""
        from watchfiles import awatch  # noqa: PLC0415 - an extra of the service alone

        if not folders:
            await self._pause()
            return
        changes = awatch(
            *folders,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            recursive=False,
            stop_event=self._stop,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
        )
        async with aclosing(changes):
            await asyncio.to_thread(self.reload)  # what changed before the watch began
            async for _ in changes:
                await asyncio.to_thread(self.reload)
                if _folders(self.path) != folders:
                    return

    async def _pause(self) -> None:
        """Wait a little, and look without a watch."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_MS / 1000):
                await self._stop.wait()
        await asyncio.to_thread(self.reload)

    def stop(self) -> None:
        """Have ``follow`` return within a moment."""
        self._stop.set()


def _load(path: Path) -> CurveSet:
    """What the file says, with the hash of exactly those bytes."""
    for _ in range(_TRIES):
        before = _read(path)
        if not before.strip():
            raise ConfigError("is empty", field=str(path), fix=f"write the curves into it, at least one named {SENTIMENT}")
        configs = load_signal_configs(path)
        if _read(path) == before:
            break
    else:
        raise ConfigError("changes faster than it can be read", field=str(path), fix="write it in one go")
    if SENTIMENT not in configs:
        raise ConfigError(f"has no curve named {SENTIMENT}", field=str(path), fix=f"add one: /hedge sizes by {SENTIMENT}")
    return _built(configs, hashlib.sha256(before).hexdigest(), str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "put a file of curves such as config/curve_knots.yaml there, or set HE_CURVES to one"
        raise ConfigError(f"the curves cannot be read: {error.strerror}", field="HE_CURVES", value=str(path), fix=fix) from None


def _folders(path: Path) -> dict[Path, int]:
    """Where the file is, and where it is linked to, each with what tells it from another folder of that name."""
    places = {path.absolute().parent, path.resolve().parent}
    return {place: place.stat().st_ino for place in places if place.is_dir()}


def _built_in() -> CurveSet:
    knots = {name: config.knots for name, config in SIGNAL_CONFIGS.items()}
    return _built(SIGNAL_CONFIGS, hashlib.sha256(to_json(knots)).hexdigest(), BUILT_IN)


def _built(configs: Mapping[str, SignalConfig], digest: str, source: str) -> CurveSet:
    """Every curve is built here, once: the library keeps it, and no question waits for it."""
    splines = {name: build_spline(config.knots) for name, config in configs.items()}
    return CurveSet(configs, splines[SENTIMENT], digest, source)
