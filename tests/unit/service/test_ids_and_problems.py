"""Ids sort by time; problems name the field and nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpha_pulse.errors import ConfigError
from alpha_pulse.service.ids import PATTERN, DecisionIds, is_decision_id
from alpha_pulse.service.problems import Problem, ProblemDocument, from_config_error, from_validation
from alpha_pulse.service.questions import HedgeQuestion


@given(st.lists(st.integers(0, 20), max_size=60))
def test_ids_are_unique_and_sort_in_the_order_in_which_they_were_given(steps):
    ids, now, made = DecisionIds("0123456789abcdef"), 1_764_000_000_000, []
    for step in steps:
        now += step
        made.append(ids.new(now))
    assert made == sorted(set(made))
    assert all(re.match(PATTERN, each) and is_decision_id(each) for each in made)


def test_what_is_no_id_is_none():
    good = DecisionIds("0123456789abcdef").new(1)
    for bad in ("", "../etc/passwd", good + "\n", good.upper().replace("0", "A"), good[:-1], f"{good}0", "' OR 1=1 --"):
        assert not is_decision_id(bad)


def problem_of(body):
    try:
        HedgeQuestion.model_validate_json(body)
    except ValidationError as error:
        return from_validation(error)
    raise AssertionError(body)


def test_a_wrong_field_is_422_and_named():
    problem = problem_of('{"asset": "BTC", "amount_usd": -5, "x": 1}')
    assert problem.status == 422
    assert [error.field for error in problem.errors] == ["amount_usd", "x"]
    assert ProblemDocument.model_validate(problem.document()).detail.startswith("amount_usd")


def test_no_json_is_400_and_so_is_deep_nesting():
    assert [problem_of(body).status for body in ("", "{", "[" * 60_000, '{"a":' * 10_000)] == [400] * 4


def test_what_the_client_sent_is_not_repeated():
    assert "<script>" not in str(problem_of('{"asset": "<script>", "amount_usd": 1}').document())


def test_what_a_library_refused_keeps_its_fix():
    error = from_config_error(ConfigError("is wrong", field="size", value="secret", fix="mend it"), "position")
    assert error.document()["errors"] == [{"field": "position.size", "problem": "is wrong", "fix": "mend it"}]


def test_a_problem_says_its_kind_by_a_name_that_stays():
    document = Problem(404, "not-found", "Nothing.").document()
    assert document == {"type": "urn:alpha-pulse:problem:not-found", "title": "There is nothing here", "status": 404, "detail": "Nothing."}
