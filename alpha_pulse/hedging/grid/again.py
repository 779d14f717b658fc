"""Deciding a recorded snapshot again: the record must give the same target, bit for bit."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.errors import ConfigError, Fatal
from alpha_pulse.hedging.common.interfaces import RiskManager
from alpha_pulse.hedging.common.types import Snapshot
from alpha_pulse.hedging.grid.config import BotConfig
from alpha_pulse.hedging.grid.parts import risk_manager_for
from alpha_pulse.hedging.state.codec import decode, encode
from alpha_pulse.hedging.state.why import RecordedTarget


def decide_again(recorded: RecordedTarget) -> str:
    """What differs between the recorded target and the one that its snapshot gives now; empty if nothing does.

    Every number is compared to the last bit, and every input; the wording of a reason is not.

    Raises:
        Fatal: the record holds no snapshot or no settings that this version can read.
    """
    try:
        snapshot = decode(Snapshot, recorded.snapshot)
        manager = _manager(canonical_json(recorded.settings))
    except (ConfigError, TypeError, ValueError) as error:
        raise Fatal(f"{recorded.pair}: event {recorded.sequence} (target_changed) cannot be decided again: {error}") from error
    return "; ".join(_differences(recorded.stored, encode(manager.assess(snapshot).target)))


@lru_cache(maxsize=4)
def _manager(settings: str) -> RiskManager:
    """The risk manager of a run's settings."""
    return risk_manager_for(BotConfig.from_mapping(json.loads(settings)))


def _differences(before: Any, after: Any) -> list[str]:
    """The numbers that moved, by name."""
    found = [
        f"{key} {before.get(key)!r} became {after[key]!r}" for key in after if key != "contributions" and before.get(key) != after[key]
    ]
    old, new = ({step["name"]: _numbers(step) for step in target["contributions"]} for target in (before, after))
    if list(old) != list(new):
        return [*found, f"the steps {', '.join(old)} became {', '.join(new)}"]
    return found + [f"step {name!r} differs: {old[name]} became {new[name]}" for name in old if old[name] != new[name]]


def _numbers(step: Any) -> str:
    """A step without its wording. As text, so that a float is its own bits."""
    return canonical_json({key: value for key, value in step.items() if key != "reason"})
