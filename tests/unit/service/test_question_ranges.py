"""Every bound of a question stands in OpenAPI, and a number beyond it is a 422 that names the field."""

import copy
import itertools
import math
from dataclasses import fields

import httpx
import pytest

from alpha_pulse.hedging.risk.inventory import RiskConfig
from alpha_pulse.hedging.risk.inventory_config import CONFIG_RANGES, WHOLE_MINUTES
from alpha_pulse.service.app import create_app
from alpha_pulse.service.questions import AssessQuestion, HedgeQuestion, MultiQuestion, RiskConfigGiven, SignalsQuestion
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import FixedScores

MODELS = {"/hedge": HedgeQuestion, "/hedge/multi": MultiQuestion, "/signals": SignalsQuestion, "/assess": AssessQuestion}
APP = create_app(load_service_settings({}), log=MemoryDecisionLog(), scores=FixedScores())
OPENAPI = APP.openapi()
SCHEMAS = OPENAPI["components"]["schemas"]
UP, DOWN = math.inf, -math.inf


def numbers(schema, path=()):
    """Path and schema of every number in a body; items of lists are at 0, values of maps under the name ``sentiment``."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        yield from numbers(choice, path)
    if schema.get("type") in {"number", "integer"}:
        yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from numbers(each, (*path, name))
    if "items" in schema:
        yield from numbers(schema["items"], (*path, 0))
    for each in schema.get("patternProperties", {}).values():
        yield from numbers(each, (*path, "sentiment"))


def body_schema(path):
    return OPENAPI["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


def beyond(schema):
    """The nearest numbers outside of the bounds."""
    return [
        *([math.nextafter(schema["minimum"], DOWN)] if "minimum" in schema else []),
        *([schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []),
        *([math.nextafter(schema["maximum"], UP)] if "maximum" in schema else []),
    ]


def with_number(body, path, number):
    """The body with a number at a path, and whatever has to be around it."""
    body = copy.deepcopy(body)
    here = body
    for part, following in itertools.pairwise(path):
        missing = [None] if isinstance(following, int) else {}
        here = here.setdefault(part, missing) if isinstance(here, dict) else here[part]
    here[path[-1]] = number
    return body


CASES = [
    pytest.param(path, where, bad, id=f"{path} {'.'.join(map(str, where))} {bad}")
    for path in MODELS
    for where, schema in numbers(body_schema(path))
    for bad in beyond(schema)
]


@pytest.mark.parametrize("path", MODELS)
def test_every_number_of_a_question_has_its_bounds_in_openapi(path):
    found = dict(numbers(body_schema(path)))
    assert found
    assert [where for where, schema in found.items() if "maximum" not in schema] == []
    assert [where for where, schema in found.items() if not schema.keys() & {"minimum", "exclusiveMinimum"}] == []


def test_there_are_cases_for_every_question():
    assert {case.values[0] for case in CASES} == set(MODELS)
    assert len(CASES) > 2 * len(CONFIG_RANGES)


@pytest.fixture(scope="module")
def examples():
    return {path: SCHEMAS[body_schema(path)["$ref"].rpartition("/")[2]]["example"] for path in MODELS}


@pytest.mark.parametrize(("path", "where", "bad"), CASES)
async def test_a_number_out_of_range_is_refused_by_name(examples, path, where, bad):
    transport = httpx.ASGITransport(app=APP, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(path, json=with_number(examples[path], where, bad))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert ".".join(map(str, where)) in {error["field"] for error in answer.json()["errors"]}


def test_the_assessors_numbers_are_bounded_as_it_bounds_them():
    shown = SCHEMAS["RiskConfigGiven"]["properties"]
    assert shown.keys() == CONFIG_RANGES.keys() == {each.name for each in fields(RiskConfig)}
    for name, (low, high) in CONFIG_RANGES.items():
        number = shown[name]["anyOf"][0]
        assert (number["minimum"], number["maximum"], number.get("multipleOf")) == (low, high, 1 if name in WHOLE_MINUTES else None)


@pytest.mark.parametrize(("name", "default"), [(each.name, each.default) for each in fields(RiskConfig)])
def test_the_assessors_numbers_say_what_they_are_and_their_default(name, default):
    text = SCHEMAS["RiskConfigGiven"]["properties"][name]["description"]
    assert text.endswith(f"(left out: {default:g})")
    assert len(text) > len(f"(left out: {default:g})") + 10


@pytest.mark.parametrize("bound", [0, 1])
@pytest.mark.parametrize("name", CONFIG_RANGES)
def test_the_ends_of_a_range_are_taken(name, bound):
    end = CONFIG_RANGES[name][bound]
    assert RiskConfigGiven.model_validate({name: end}).model_dump(exclude_none=True) == {name: end}
