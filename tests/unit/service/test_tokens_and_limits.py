"""Tokens, their scopes, and how often they may ask."""

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.service.limits import Bucket, Limits
from alpha_pulse.service.tokens import Scope, find_token, new_token, parse_tokens


def test_a_token_is_found_by_itself_and_by_nothing_else():
    tokens = [new_token(name, Scope.READ) for name in ("a", "b", "c")]
    kept = [each for _, each in tokens]
    for token, its in tokens:
        assert find_token(kept, token) is its
        assert find_token(kept, token[:-1]) is None
    assert find_token(kept, "") is None
    assert find_token(kept, "täken\udc80") is None


def test_tokens_are_long_and_never_the_same():
    made = {new_token("desk", Scope.READ)[0] for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43


def test_trade_may_read_and_read_may_not_trade():
    assert Scope.TRADE.allows(Scope.READ)
    assert Scope.TRADE.allows(Scope.TRADE)
    assert Scope.READ.allows(Scope.READ)
    assert not Scope.READ.allows(Scope.TRADE)


def test_entries_are_read_as_they_are_printed():
    _, kept = new_token("desk-1", Scope.TRADE)
    assert parse_tokens(f" {kept.entry}\n") == (kept,)


def test_a_name_is_given_once():
    _, kept = new_token("desk", Scope.READ)
    with pytest.raises(ConfigError, match="given twice"):
        parse_tokens(f"{kept.entry},{kept.entry}")


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a b", "x" * 65, "-"])
def test_a_name_can_stand_in_the_variable(name):
    with pytest.raises(ConfigError, match="no name"):
        new_token(name, Scope.READ)


def test_a_bucket_lets_a_burst_through_and_then_the_rate():
    bucket = Bucket(rate=2.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.5) == 0.0
    assert bucket.take(100.5) > 0.0


def test_a_rate_of_zero_is_no_limit():
    bucket = Bucket(rate=0.0, burst=1.0)
    assert all(bucket.take(0.0) == 0.0 for _ in range(1000))


def test_clients_do_not_use_up_each_others_requests():
    limits = Limits(1.0, 60)
    assert limits.ask("a", 0.0) == 0.0
    assert limits.ask("a", 0.0) > 0.0
    assert limits.ask("b", 0.0) == 0.0


def test_refused_addresses_do_not_fill_the_memory():
    limits = Limits(1.0, 1)
    assert limits.refuse("first", 0.0) == 0.0
    assert limits.refuse("first", 0.0) > 0.0
    for number in range(5000):
        limits.refuse(f"address-{number}", 0.0)
    assert len(limits._addresses) <= 4096
