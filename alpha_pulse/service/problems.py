"""Errors as clients see them: problem documents (RFC 9457) that name the field, and never what is inside the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import problems_of

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:alpha-pulse:problem:"
_MOST_FIELDS: Final = 20  # named in one answer
_MOST_LISTED: Final = 100  # findings: to list thousands would keep other requests waiting
_TITLES: Final = {
    "bad-json": "The body is no JSON that can be read",
    "bad-request": "The request cannot be read",
    "conflict": "The request contradicts itself",
    "forbidden": "This client may not do that",
    "invalid": "The request has wrong or missing fields",
    "method-not-allowed": "This address takes other methods",
    "no-score": "There is no score that may be used",
    "not-found": "There is nothing here",
    "not-kept": "The decision could not be kept, so it is not given",
    "slow-body": "The body took too long",
    "too-large": "The body is too large",
    "too-many": "Too many requests",
    "unauthorised": "A valid token is needed",
    "unavailable": "Something behind the service is away",
    "unexpected": "The service failed",
    "wrong-content-type": "The body must be JSON",
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Dotted path of the field in the body, or name of the parameter")
    problem: str
    fix: str = ""


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_PREFIX}invalid",
                "title": _TITLES["invalid"],
                "status": 422,
                "detail": "amount_usd: Input should be greater than 0",
                "errors": [{"field": "amount_usd", "problem": "Input should be greater than 0", "fix": ""}],
            }
        }
    )

    type: str = Field(description="A URN that names the kind of error; it stays the same")
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default_factory=list)


@dataclass(slots=True, eq=False)
class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Raised to answer with a problem document.

    Attributes:
        status: HTTP status.
        kind: one of the kinds that have a title.
        detail: one or two sentences for a person; no secret, nothing that the client sent at length.
        errors: field by field.
        headers: further headers of the answer, names in small letters.
    """

    status: int
    kind: str
    detail: str
    errors: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The body."""
        body: dict[str, Any] = {"type": f"{_PREFIX}{self.kind}", "title": _TITLES[self.kind], "status": self.status, "detail": self.detail}
        if self.errors:
            body["errors"] = [error.model_dump() for error in self.errors]
        return body

    def response(self) -> Response:
        """The whole answer."""
        return Response(to_json(self.document()), self.status, dict(self.headers), MEDIA_TYPE)


def invalid(errors: Sequence[FieldProblem]) -> Problem:
    """422 for wrong fields."""
    shown = list(errors[:_MOST_FIELDS])
    first = shown[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    named = f"{first.field}: {first.problem}" if first.field else first.problem
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{named}{more}", shown)


def from_validation(error: ValidationError) -> Problem:
    """What pydantic found in a body. What the client sent is not repeated."""
    if error.error_count() > _MOST_LISTED:
        wrong = f"{error.error_count()} keys or values of it are unknown or wrong"
        return invalid([FieldProblem(field="", problem=wrong, fix="compare it with the example in /docs")])
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return Problem(HTTPStatus.BAD_REQUEST, "bad-json", found[0]["msg"])
    return invalid(field_problems(found))


def field_problems(found: Sequence[Any], skip: int = 0) -> list[FieldProblem]:
    """Pydantic's findings by field, without the first ``skip`` parts of each path."""
    return [FieldProblem(field=".".join(str(part) for part in item["loc"][skip:]), problem=item["msg"]) for item in found]


def from_config_error(error: ConfigError, at: str = "") -> Problem:
    """What a library of ours refused, at a field of the body."""
    problems = problems_of(error)
    return invalid([FieldProblem(field=_place(at, each.field), problem=each.problem, fix=each.fix) for each in problems])


def _place(at: str, name: str) -> str:
    return f"{at}.{name}" if at and name else at or name


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI is told that a route may answer with problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}
