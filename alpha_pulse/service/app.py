"""The application: ``uvicorn --factory alpha_pulse.service.app:create_app``, or ``alpha-pulse serve``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from alpha_pulse import __version__
from alpha_pulse.errors import AlphaPulseError
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.runtime.masking import mask
from alpha_pulse.service.docs_page import POLICY, docs_page
from alpha_pulse.service.guard import HEADERS, OPEN, Guard
from alpha_pulse.service.parts import Parts
from alpha_pulse.service.ports import DecisionLog
from alpha_pulse.service.problems import Problem, ProblemDocument, field_problems, invalid
from alpha_pulse.service.routes import add_routes
from alpha_pulse.service.settings import ServiceSettings, load_service_settings
from alpha_pulse.service.sources import Depths, Scores

_DESCRIPTION: Final = (
    "How much to hedge, and why: every answer is on record before it leaves. Bodies are JSON in UTF-8, amounts are USD, shares are"
    " fractions (0.25 is 25 %), times are milliseconds UTC. Errors are problem documents (RFC 9457)."
)
_STATUS_KINDS: Final = {404: "not-found", 405: "method-not-allowed"}


def create_app(
    settings: ServiceSettings | None = None,
    *,
    log: DecisionLog | None = None,
    scores: Scores | None = None,
    depths: Depths | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """The service as an ASGI application. It opens with its lifespan and closes with it; one process is one service.

    Args:
        settings: None reads ``HE_…`` of the environment.
        log: keeps decisions; None opens the one of the settings.
        scores: latest scores; None follows the Redis of the settings, if there is one.
        depths: a market feed for depths; None follows the order books of the settings, if there are any.
        clock: the time of decisions; None for the system's.

    Raises:
        ConfigError: settings or curves are wrong; it names each variable and the fix.
    """
    settings = settings or load_service_settings()
    parts = Parts(settings, log=log, scores=scores, depths=depths, clock=clock)

    app = FastAPI(
        title="alpha_pulse hedge service",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=_lifespan(parts),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's own: asked for each request, and /metrics is ours
    )
    app.state.parts = parts
    app.state.failure = None
    add_routes(app.router, parts)
    app.add_api_route("/docs", _docs(app), include_in_schema=False)
    app.add_middleware(Guard, settings=settings, metrics=parts.metrics)
    _describe(app, settings)
    _handle_errors(app)
    return app


def _lifespan(parts: Parts) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with parts.running():
                yield
        except AlphaPulseError as error:
            app.state.failure = error  # for whoever runs the server: the server itself only says that it failed
            raise

    return lifespan


def _docs(app: FastAPI) -> Any:
    async def docs() -> Response:
        return Response(docs_page(app.openapi()), media_type="text/html", headers={"content-security-policy": POLICY})

    return docs


def _describe(app: FastAPI, settings: ServiceSettings) -> None:
    """Have OpenAPI say what FastAPI cannot know: problems instead of its own errors, the configured assets, tokens."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate(), settings)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _completed(described: dict[str, Any], settings: ServiceSettings) -> dict[str, Any]:
    schemas = described["components"]["schemas"]
    model = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= model.pop("$defs") | {ProblemDocument.__name__: model}
    for question in ("HedgeQuestion", "MultiQuestion"):
        schemas[question]["properties"]["asset"]["enum"] = list(settings.assets)
    schemas["SignalsQuestion"]["properties"]["asset"]["anyOf"][0]["enum"] = list(settings.assets)  # the other one is null
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    if settings.api_tokens:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            if settings.api_tokens and path not in OPEN:
                operation["security"] = [{"token": []}]
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    return described


def _handle_errors(app: FastAPI) -> None:
    """Every error becomes a problem document."""

    async def problem(_: Request, error: Exception) -> Response:
        return error.response() if isinstance(error, Problem) else _unexpected(error)

    async def wrong_parameters(_: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        return invalid(field_problems(found, skip=1)).response()

    async def by_status(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return _unexpected(error)
        kind = _STATUS_KINDS.get(error.status_code, "bad-request")
        return Problem(error.status_code, kind, f"{HTTPStatus(error.status_code).phrase}.", headers=dict(error.headers or {})).response()

    async def unexpected(_: Request, error: Exception) -> Response:
        return _unexpected(error)

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, wrong_parameters)
    app.add_exception_handler(HTTPException, by_status)
    app.add_exception_handler(AlphaPulseError, unexpected)
    app.add_exception_handler(Exception, unexpected)


def _unexpected(error: Exception) -> Response:
    logger.error("A request failed: {}: {}", type(error).__name__, mask(str(error)))
    headers = {name.decode(): value.decode() for name, value in HEADERS}  # this answer leaves outside of the guard
    return Problem(500, "unexpected", "The service's log says more.", headers=headers | {"connection": "close"}).response()
