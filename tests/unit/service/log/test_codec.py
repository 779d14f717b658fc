"""A decision as bytes."""

from __future__ import annotations

import json

import pytest

from alpha_pulse.domain.events import canonical_json
from alpha_pulse.errors import Fatal
from alpha_pulse.service.log.codec import decode, encode, key
from tests.unit.service.log.decisions import decision


def test_a_decision_comes_back_as_it_was():
    original = decision(1, request={"signals": [1, 2.5, None, "ü"]}, contributions={"a": {"b": True}})
    assert decode(encode(original)) == original


def test_what_is_kept_is_canonical_json_and_contains_its_key():
    record = encode(decision(1, decision_id='a "quoted" ü id'))
    assert record.decode() == canonical_json(json.loads(record))
    assert key('a "quoted" ü id') in record


@pytest.mark.parametrize("value", [None, 2**70, {1: "a"}, 0.1 + 0.2, 1e-7, 5e-324, "null", [{"b": 1, "a": [True]}]])
def test_every_plain_value_is_kept_as_it_is_with_sorted_keys(value):
    record = encode(decision(1, request={"z": 0, "given": value}))
    expected = json.loads(json.dumps(value))
    assert decode(record).request == {"given": expected, "z": 0}
    assert list(json.loads(record)) == sorted(json.loads(record))
    assert b" " not in record


def test_fields_of_a_later_version_are_left_out_and_missing_ones_have_their_defaults():
    record = json.loads(encode(decision(1))) | {"colour": "red"}
    del record["client"]
    assert decode(json.dumps(record)) == decision(1, client="")


def test_something_else_is_no_decision():
    with pytest.raises(ValueError, match="not a decision"):
        decode(b'{"decision_id":"x"}')


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"decision_id": ""}, "it has no decision_id"),
        ({"decision_id": "x" * 65}, "its decision_id has 65 characters, 64 are the most"),
        ({"kind": "k" * 33}, "its kind has 33"),
        ({"asset": "A\x00"}, "its asset holds a NUL character"),
        ({"ts_ms": -1}, "ts_ms = -1 is no time"),
        ({"ts_ms": 2**63}, r"ts_ms = \d+ is no time"),
        ({"response": {"hedge_pct": float("nan")}}, "it is not plain JSON"),
        ({"response": {"hedge_pct": object()}}, "it is not plain JSON"),
        ({"request": {"asset": "\ud800"}}, "it is not plain JSON"),
        ({"request": {"x": "x" * 2**24}}, r"its \d+ bytes are over"),
    ],
)
def test_what_no_database_would_take_is_refused_before_it_can_hold_up_others(changes, reason):
    with pytest.raises(Fatal, match=f"cannot be kept: {reason}"):
        encode(decision(1, **changes))


def test_a_nul_inside_the_json_is_escaped_and_welcome():
    assert b"\x00" not in encode(decision(1, request={"note": "a\x00b"}))
