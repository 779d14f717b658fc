"""The routes: questions that become decisions, and what was decided. Thin: they join what the other modules do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from loguru import logger
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from alpha_pulse.errors import AlphaPulseError, Transient
from alpha_pulse.runtime.masking import mask
from alpha_pulse.service.answers import (
    AssessAnswer,
    CurvesAnswer,
    DecisionAnswer,
    DecisionsAnswer,
    HedgeAnswer,
    LiveAnswer,
    MultiAnswer,
    ReadyAnswer,
    SignalsAnswer,
)
from alpha_pulse.service.curves import CurveSet
from alpha_pulse.service.deciding import Outcome
from alpha_pulse.service.guard import CLIENT
from alpha_pulse.service.ids import PATTERN, is_decision_id
from alpha_pulse.service.json_route import Body, JsonRoute
from alpha_pulse.service.parts import Parts
from alpha_pulse.service.problems import Problem, documented
from alpha_pulse.service.questions import AssessQuestion, HedgeQuestion, MultiQuestion, SignalsQuestion
from alpha_pulse.service.readiness import readiness

_JSON: Final = "application/json"
_ASKING: Final = documented(400, 401, 403, 408, 413, 415, 422, 429, 503)
_LOOKING: Final = documented(401, 403, 429)
_MOST: Final = 1000  # decisions on a page

Given = TypeVar("Given")
_ID: Final = "019ab1c2d3e4-000000-5f0c1d2e"
_METRICS: Final = """\
# HELP alpha_pulse_spooled_decisions Decisions that wait for the database
# TYPE alpha_pulse_spooled_decisions gauge
alpha_pulse_spooled_decisions 0.0
"""
Asset = Annotated[str, Query(pattern="^[A-Za-z0-9 _./:-]{0,64}$", description='Of this asset; "" for any', examples=["BTC"])]
Kind = Annotated[Literal["", "hedge", "multi", "signals", "assess"], Query(description='Of this kind; "" for any', examples=["hedge"])]
Since = Annotated[int, Query(ge=0, le=10**15, description="Not before this time, milliseconds UTC", examples=[1_764_000_000_000])]
Before = Annotated[
    str, Query(pattern=f"^$|{PATTERN}", description="Older than this decision: `next_before` of the page before", examples=[_ID])
]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="At most so many", examples=[20])]
DecisionId = Annotated[str, Path(description="As an answer gave it", examples=[_ID])]


def add_routes(router: APIRouter, parts: Parts) -> None:
    """Put all routes, over these parts, directly into the application's router: each router in between costs every request time."""
    _add_questions(router, parts)
    _add_records(router, parts)
    _add_health(router, parts)


def _add_questions(router: APIRouter, parts: Parts) -> None:
    desk = parts.desk

    async def hedge(question: HedgeQuestion, request: Request) -> tuple[Body, str]:
        return await ask(desk.hedge, question, "hedge", request)

    async def multi(question: MultiQuestion, request: Request) -> tuple[Body, str]:
        return await ask(desk.multi, question, "multi", request)

    async def signals(question: SignalsQuestion, request: Request) -> tuple[Body, str]:
        return await ask(desk.signals, question, "signals", request)

    async def assess(question: AssessQuestion, request: Request) -> tuple[Body, str]:
        return await ask(desk.assess, question, "assess", request)

    async def ask(compute: Callable[[Given, CurveSet], Outcome], question: Given, kind: str, request: Request) -> tuple[Body, str]:
        """Compute, keep, and only then answer."""
        start = time.perf_counter()
        curves = parts.curves.current
        decision = parts.decide(compute(question, curves), kind, curves, request.scope[CLIENT])
        parts.metrics.computed(kind, time.perf_counter() - start)
        await parts.keep(decision)
        return dict(decision.response), decision.decision_id

    for path, endpoint, answer, text in (
        ("/hedge", hedge, HedgeAnswer, "How much of an amount to hedge, by the score of its asset"),
        ("/hedge/multi", multi, MultiAnswer, "How much to hedge by several signals, each through its own curve"),
        ("/signals", signals, SignalsAnswer, "What to do with a position, by signals that are for or against it"),
        ("/assess", assess, AssessAnswer, "How risky an inventory is, and the hedge that it calls for"),
    ):
        described = f"{text}. Takes a token of scope trade."
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            response_model=answer,
            description=described,
            responses=_ASKING,
            route_class_override=JsonRoute,
        )


def _add_records(router: APIRouter, parts: Parts) -> None:
    async def find(asset: Asset = "", kind: Kind = "", since_ms: Since = 0, before: Before = "", limit: Limit = 100) -> Response:
        with _named_failures():
            page = await parts.log.find(asset=asset, kind=kind, since_ms=since_ms, before=before, limit=limit)
        # As they are kept: to read and write a thousand of them again would keep questions waiting for a tenth of a second.
        content = f'{{"decisions":[{",".join(page.records)}],"next_before":{to_json(page.next_before).decode()}}}'
        return Response(content, media_type=_JSON)

    async def get(decision_id: DecisionId) -> Response:
        with _named_failures():
            decision = await parts.log.get(decision_id) if is_decision_id(decision_id) else None
        if decision is None:
            raise Problem(404, "not-found", "There is no decision of this id.")
        return _plain(asdict(decision))

    async def curves() -> Response:
        current = parts.curves.current
        shown = {
            name: {"description": config.description, "knots": [{"score": score, "hedge": hedge} for score, hedge in config.knots]}
            for name, config in current.configs.items()
        }
        return _plain({"curves": shown, "hash": current.digest, "source": current.source, "problem": parts.curves.problem})

    away = documented(401, 403, 422, 429, 503)
    router.add_api_route("/decisions", find, response_model=DecisionsAnswer, description="Decisions, newest first.", responses=away)
    one = documented(401, 403, 404, 429, 503)
    router.add_api_route(
        "/decisions/{decision_id}", get, response_model=DecisionAnswer, description="One decision with its contributions.", responses=one
    )
    router.add_api_route("/curves", curves, response_model=CurvesAnswer, description="The curves in force.", responses=_LOOKING)


def _add_health(router: APIRouter, parts: Parts) -> None:
    async def live() -> Response:
        return _plain({"status": "live"})

    async def ready() -> Response:
        good, body = readiness(parts)
        for check in body["checks"].values():
            check["detail"] = mask(check["detail"])  # what a database or a Redis said may hold its address
        return _plain(body, 200 if good else 503)

    async def metrics() -> Response:
        return Response(parts.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    down: dict[int | str, dict[str, Any]] = {503: {"model": ReadyAnswer, "description": "No answer can be given"}}
    text: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}}}}
    router.add_api_route("/healthz", live, response_model=LiveAnswer, description="The process answers. Open to all.")
    router.add_api_route("/readyz", ready, response_model=ReadyAnswer, description="Each dependency.", responses={**_LOOKING, **down})
    router.add_api_route(
        "/metrics", metrics, response_class=Response, description="Metrics for Prometheus.", responses={**_LOOKING, **text}
    )


@contextmanager
def _named_failures() -> Iterator[None]:
    """Look something up in the log. Raises ``Problem`` if its database is away, or refuses."""
    try:
        yield
    except AlphaPulseError as error:
        logger.log("WARNING" if isinstance(error, Transient) else "ERROR", "The decision log's database cannot be read: {}", error)
        detail = "The decision log's database cannot be read now; decisions go on being kept."
        raise Problem(503, "unavailable", detail, headers={"retry-after": "5"}) from None


def _plain(body: dict[str, Any], status: int = 200) -> Response:
    return Response(to_json(body), status, media_type=_JSON)
