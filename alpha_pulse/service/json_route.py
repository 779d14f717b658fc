"""A route that takes one JSON body and gives one JSON answer, without what FastAPI does for every other case.

The signature stays FastAPI's, and so does OpenAPI: the first parameter is the body's model. The body goes from bytes to the model in one
step (in pydantic's core, which refuses deep nesting), and the answer is bytes already.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from alpha_pulse.service.guard import BODY
from alpha_pulse.service.problems import from_validation

_TYPE: Final = "application/json"
Body = dict[str, Any]
Ask = Callable[[BaseModel, Request], Awaitable[tuple[Body, str]]]


class JsonRoute(APIRoute):
    """Calls its endpoint with the validated body and the request; the endpoint returns the answer and the decision's id."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What FastAPI calls for each request."""
        endpoint: Ask = self.endpoint
        model: type[BaseModel] = next(iter(get_type_hints(self.endpoint).values()))
        validate = model.__pydantic_validator__.validate_json

        async def handle(request: Request) -> Response:
            try:
                question = validate(request.scope[BODY])
            except ValidationError as error:
                raise from_validation(error) from None
            answer, decision_id = await endpoint(question, request)
            return Response(to_json(answer), 200, {"x-decision-id": decision_id}, _TYPE)

        return handle
