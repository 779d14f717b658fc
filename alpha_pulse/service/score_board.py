"""The latest scores and depths in memory: what a publisher wrote, read strictly, and how old it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic_core import from_json

from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.service.sources import Score

_LONGEST: Final = 4096  # bytes of a message that is looked at
_MS: Final = 1000.0
_LAST_MS: Final = 1e14  # the year 5138: a stamp beyond it is in microseconds
_AHEAD_MS: Final = 1000.0  # by which a publisher's clock may be ahead of ours


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of a publisher. ``ts_ms`` is 0 where it gave no stamp; ``problem`` says why the number is unusable."""

    value: float = math.nan
    ts_ms: int = 0
    problem: str = ""


def read_number(raw: bytes | str | None, stamp: bytes | str | None, key: str, *, highest: float) -> Reading | None:
    """What a key or a message holds: JSON ``{key: x, "ts_ms": t}``, or a bare number and its stamp [ms]; None where there is nothing.

    Anything else is a reading with a problem: no number, NaN, outside [0, ``highest``], a stamp that is none. Never raises.
    """
    if raw is None:
        return None
    if len(raw) > _LONGEST:
        return Reading(problem=f"is {len(raw)} bytes long")
    found = _parsed(raw)
    if isinstance(found, dict):
        value, ts_ms = found.get(key), found.get("ts_ms")
        if ts_ms is None:
            return Reading(problem="has no ts_ms")
    else:
        value, ts_ms = found, 0 if stamp is None else _parsed(stamp)
    number, stamped = _number(value), _number(ts_ms)
    if not 0.0 <= number <= highest:
        return Reading(problem=f"has no number from 0 to {highest:g}")
    if not 0.0 <= stamped < _LAST_MS:
        return Reading(problem="has a stamp that is no time in milliseconds")
    return Reading(number, int(stamped))


class ScoreBoard:
    """The last word on each asset.

    Args:
        assets: what may be asked about.
        clock: whose milliseconds decide what is stale.
        stale_score_s: oldest score that may be used, seconds.
        stale_depth_s: oldest depth that may be used, seconds.
    """

    def __init__(self, assets: Iterable[str], clock: Clock, *, stale_score_s: float, stale_depth_s: float) -> None:
        self._clock = clock
        self._stale_score_s = stale_score_s
        self._stale_depth_s = stale_depth_s
        self._scores: dict[str, Reading | None] = dict.fromkeys(assets)
        self._depths: dict[str, Reading | None] = dict.fromkeys(self._scores)

    @property
    def assets(self) -> tuple[str, ...]:
        """What may be asked about."""
        return tuple(self._scores)

    def put_score(self, asset: str, reading: Reading | None) -> None:
        """A publisher's latest score; garbage is the last word.

        An older stamp than the one that is there is late and changes nothing, unless that one lies in the future: it would stay until then.
        """
        before = self._scores[asset]
        late = (
            reading is not None
            and before is not None
            and not (reading.problem or before.problem)
            and reading.ts_ms < before.ts_ms <= self._clock.now_ms() + _AHEAD_MS
        )
        if not late:
            self._scores[asset] = reading

    def put_depth(self, asset: str, reading: Reading | None) -> None:
        """A publisher's latest depth; one without a stamp counts from when this number was first read."""
        if reading is not None and not reading.problem and not reading.ts_ms:
            before = self._depths[asset]
            known = before is not None and before.value == reading.value  # a publisher that died leaves its number behind
            reading = before if known else Reading(reading.value, self._clock.now_ms())
        self._depths[asset] = reading

    def score(self, asset: str) -> Score:
        """The score to use now, or why there is none."""
        reading = self._scores.get(asset)
        if reading is None:
            return Score(None, reason=f"there is no score for {asset}")
        if reading.problem:
            return Score(None, reason=f"the score for {asset} {reading.problem}")
        if not reading.ts_ms:
            return Score(None, reason=f"the score for {asset} has no stamp")
        age = (self._clock.now_ms() - reading.ts_ms) / _MS
        if age > self._stale_score_s:
            return Score(None, reading.ts_ms, f"the score for {asset} is stale: {age:.1f} s old, {self._stale_score_s:g} s are allowed")
        if age < -_AHEAD_MS / _MS:
            return Score(None, reading.ts_ms, f"the score for {asset} is stamped {-age:.1f} s in the future")
        return Score(reading.value, reading.ts_ms)

    def depth_usd(self, asset: str) -> float | None:
        """The depth to use now, USD, if there is one."""
        reading = self._depths.get(asset)
        if reading is None or reading.problem or not abs(self._clock.now_ms() - reading.ts_ms) <= self._stale_depth_s * _MS:
            return None
        return reading.value

    def ages_s(self) -> dict[str, float]:
        """Seconds since the stamp of each asset's last good score."""
        now = self._clock.now_ms()
        return {asset: (now - found.ts_ms) / _MS for asset, found in self._scores.items() if found is not None and found.ts_ms}


def _parsed(raw: bytes | str) -> object:
    """JSON, or None: deep nesting, bad UTF-8 and half a document are all just no number."""
    try:
        found: object = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return None
    return found


def _number(value: object) -> float:
    """NaN where it is none, so that no comparison holds."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
