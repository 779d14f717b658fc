"""A route that takes one JSON body and gives one JSON answer, without what FastAPI does for every other case.

The signature stays FastAPI's, and so does OpenAPI: the first parameter is the body's model. The body goes from bytes to the model in one
step (in pydantic's core, which refuses deep nesting), and the answer is bytes already. There are no dependencies, so nothing is opened and
closed around a call; errors go to the application's handlers as from any route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from alpha_pulse.service.body import check_keys
from alpha_pulse.service.guard import BODY
from alpha_pulse.service.problems import from_validation

_TYPE: Final = (b"content-type", b"application/json")
Body = dict[str, Any]
Ask = Callable[[BaseModel, Request], Awaitable[tuple[Body, str]]]


class JsonRoute(APIRoute):
    """Calls its endpoint with the validated body and the request; the endpoint returns the answer and the decision's id."""

    def __init__(self, path: str, endpoint: Ask, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        model: type[BaseModel] = next(iter(get_type_hints(endpoint).values()))
        validate = model.__pydantic_validator__.validate_json

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                question = validate(scope[BODY])
            except ValidationError as error:
                raise from_validation(error) from None
            check_keys(scope[BODY])
            body, decision_id = await endpoint(question, Request(scope, receive))
            content = to_json(body)
            headers = [(b"content-length", b"%d" % len(content)), _TYPE, (b"x-decision-id", decision_id.encode("latin-1"))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})

        self.app = answer
