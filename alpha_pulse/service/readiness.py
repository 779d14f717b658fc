"""How each thing that the service stands on is, and whether questions can be answered."""

from __future__ import annotations

from typing import Any

from alpha_pulse.service.parts import Parts
from alpha_pulse.service.sources import NoScores

Check = dict[str, str]


def readiness(parts: Parts) -> tuple[bool, dict[str, Any]]:
    """Whether answers can be given, and the body of ``/readyz``.

    Only a log that cannot be written takes the service down: no answer leaves unrecorded. Everything else leaves some questions that
    can be answered, and is degraded.
    """
    checks = {
        "curves": _curves(parts),
        "decision_log": _log(parts),
        "scores": _scores(parts),
        "depth_feed": _depth_feed(parts),
        "bots": _bots(parts),
    }
    statuses = {check["status"] for check in checks.values()}
    status = "down" if "down" in statuses else "degraded" if "degraded" in statuses else "ready"
    return status != "down", {"status": status, "checks": checks}


def _check(status: str, detail: str) -> Check:
    return {"status": status, "detail": detail}


def _curves(parts: Parts) -> Check:
    if parts.curves.problem:
        return _check("degraded", f"the last file was refused and the curves before it stay in force: {parts.curves.problem}")
    current = parts.curves.current
    return _check("ok", f"{len(current.configs)} curves, {current.source}, {current.digest[:12]}")


def _log(parts: Parts) -> Check:
    if parts.refusal:
        return _check("down", f"decisions cannot be kept: {parts.refusal}")
    state = parts.log.state()
    waiting = f"{state.spooled} decisions wait for the database, its breaker is {state.breaker}"
    if state.breaker != "closed" or state.problem:
        return _check("degraded", f"{waiting}: {state.problem}" if state.problem else waiting)
    return _check("ok", waiting)


def _scores(parts: Parts) -> Check:
    if isinstance(parts.scores, NoScores):
        return _check("off", "HE_REDIS_URL is not set: questions must bring their score")
    problem = parts.scores.problem()
    if problem:
        return _check("degraded", problem)
    missing = [found.reason for asset in parts.settings.assets if (found := parts.scores.score(asset)).value is None]
    return _check("degraded", "; ".join(missing)) if missing else _check("ok", f"{len(parts.settings.assets)} assets have fresh scores")


def _depth_feed(parts: Parts) -> Check:
    if parts.books is None:
        return _check("off", "HE_DEPTH_FEED is not set")
    problem = parts.books.problem()
    return _check("degraded", problem) if problem else _check("ok", f"{parts.books.exchange} shows the book of every asset")


def _bots(parts: Parts) -> Check:
    if parts.bots is None:
        return _check("off", "HE_BOTS_DSN is not set")
    return _check("degraded", parts.bots.problem) if parts.bots.problem else _check("ok", "their database can be read")
