"""A decision as the bytes that are kept: canonical JSON, the one form that is spooled, stored and hashed."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final

import orjson

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.errors import Fatal
from alpha_pulse.service.log.frames import MAX_PAYLOAD
from alpha_pulse.service.ports import Decision

LENGTHS: Final = {"decision_id": 64, "kind": 32, "asset": 64}
"""Those fields are columns of the database as well: so many characters at most."""

_NAMES: Final = tuple(f.name for f in fields(Decision))
_MAPPINGS: Final = ("request", "response", "contributions")
_MAX_TS_MS: Final = 2**63 - 1
_PLAIN: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def encode(decision: Decision) -> bytes:
    """Canonical JSON in UTF-8.

    Raises:
        Fatal: it holds what no database could take (NaN, a lone surrogate, a field that is too long). Found here, it concerns this
            decision alone; found later, it would hold up all that follow.
    """
    refusal = _refusal(decision)
    if refusal:
        raise Fatal(f"the decision {decision.decision_id!r} cannot be kept: {refusal}")
    record = {name: getattr(decision, name) for name in _NAMES}
    try:
        encoded = _quickly(record) or canonical_json(record | {name: dict(record[name]) for name in _MAPPINGS}).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Fatal(f"the decision {decision.decision_id!r} cannot be kept: it is not plain JSON ({error})") from error
    if len(encoded) > MAX_PAYLOAD:
        raise Fatal(f"the decision {decision.decision_id!r} cannot be kept: its {len(encoded)} bytes are over the {MAX_PAYLOAD} allowed")
    return encoded


def decode(record: str | bytes) -> Decision:
    """The decision of a stored record; what a later version may have added is left out. Raises ValueError when it is none."""
    found: Any = json.loads(record)
    try:
        return Decision(**{name: found[name] for name in _NAMES if name in found})
    except TypeError as error:
        msg = f"not a decision: {error}"
        raise ValueError(msg) from error


def key(decision_id: str) -> bytes:
    """What every record of this decision contains. Others may, too: their requests are not ours to choose."""
    return f'"decision_id":{canonical_json(decision_id)}'.encode()


def _quickly(record: dict[str, Any]) -> bytes:
    """Sorted and without spaces, ten times as fast; empty where only the other way can tell: it refuses what this one writes as null."""
    try:
        encoded = orjson.dumps(record, option=_PLAIN)
    except TypeError:
        return b""
    return b"" if b"null" in encoded else encoded


def _refusal(decision: Decision) -> str:
    if not decision.decision_id:
        return "it has no decision_id"
    for name, most in LENGTHS.items():
        value = getattr(decision, name)
        if len(value) > most:
            return f"its {name} has {len(value)} characters, {most} are the most"
        if "\x00" in value:
            return f"its {name} holds a NUL character, which PostgreSQL cannot store"
    return "" if 0 <= decision.ts_ms <= _MAX_TS_MS else f"ts_ms = {decision.ts_ms} is no time"
