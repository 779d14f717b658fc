"""Which alerts are told, and when; and the settings that say so."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.tree import Tree
from alpha_pulse.runtime.notify.config import NotifySettings, Severity, Topic
from alpha_pulse.runtime.notify.policy import Policy
from alpha_pulse.runtime.notify.texts import Notice
from alpha_pulse.testing.fakes import FakeClock

TARGET = "tgram://123456789:AAEjGCeGHpSJQ8cTxuRq3BBBLFJFQbq3VnY/12315544"


def notice(identity: str = "a", severity: Severity = Severity.WARNING, topic: Topic = Topic.RISK, group: str = "") -> Notice:
    return Notice(topic, severity, "title", "body", group or identity, identity)


def at(text: str, zone: str = "UTC") -> FakeClock:
    return FakeClock(round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000))


def test_only_the_chosen_topics_and_severities_are_told():
    policy = Policy(NotifySettings(levels=("risk", "halts"), min_level="warning"), FakeClock())
    assert policy.admits(notice())
    assert not policy.admits(notice("b", topic=Topic.FILLS))
    assert not policy.admits(notice("c", severity=Severity.INFO))
    assert policy.admits(notice("d", severity=Severity.CRITICAL, topic=Topic.HALTS))


def test_the_same_alert_is_told_again_only_after_a_while():
    clock = FakeClock()
    policy = Policy(NotifySettings(dedup_s=60), clock)
    assert [policy.admits(notice()), policy.admits(notice())] == [True, False]
    clock.advance_to(clock.now_ms() + 59_999)
    assert not policy.admits(notice())
    clock.advance_to(clock.now_ms() + 1)
    assert policy.admits(notice())


def test_what_changed_in_between_is_told_at_once():
    policy = Policy(NotifySettings(), FakeClock())
    states = [notice(state, Severity.CRITICAL, group="state") for state in ("halted", "normal", "halted", "halted")]
    assert [policy.admits(one) for one in states] == [True, True, True, False]


@pytest.mark.parametrize(
    ("local", "told"), [("21:59", True), ("22:00", False), ("23:59", False), ("00:00", False), ("06:59", False), ("07:00", True)]
)
def test_quiet_hours_cross_midnight_in_the_users_time_zone(local, told):
    settings = NotifySettings(quiet_hours="22:00-07:00", timezone="Asia/Kolkata")
    policy = Policy(settings, at(f"2025-02-03 {local}", "Asia/Kolkata"))
    assert policy.admits(notice()) is told
    assert policy.admits(notice("c", Severity.CRITICAL))
    assert policy.held_back() == ("" if told else "Not told before: 1 in the quiet hours; see alpha-pulse status and the log.")
    assert policy.held_back() == ""


def test_quiet_hours_may_lie_within_a_day():
    policy = Policy(NotifySettings(quiet_hours="12:00-13:00"), at("2025-02-03 12:30"))
    assert not policy.admits(notice())


def test_the_rate_is_limited_over_any_hour_except_for_critical_alerts():
    clock = FakeClock()
    policy = Policy(NotifySettings(rate_per_hour=2), clock)
    assert [policy.admits(notice(str(n))) for n in range(4)] == [True, True, False, False]
    assert policy.admits(notice("c", Severity.CRITICAL))
    assert "2 over 2 an hour" in policy.held_back()
    clock.advance_to(clock.now_ms() + 3_600_000)
    assert policy.admits(notice("5"))


def test_memory_does_not_grow_with_the_number_of_alerts():
    policy = Policy(NotifySettings(rate_per_hour=10_000), FakeClock())
    for n in range(5000):
        policy.admits(notice(str(n)))
    assert len(policy._last) == 1000


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"quiet_hours": 1320}, "no hours of a day"),
        ({"quiet_hours": "22-7"}, "no hours of a day"),
        ({"quiet_hours": "24:00-07:00"}, "no hours of a day"),
        ({"quiet_hours": "07:00-07:00"}, "begin when they end"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"levels": []}, "names nothing"),
        ({"levels": ["fill"]}, "fills"),
        ({"urls_env": TARGET}, "no name of a variable"),
        ({"urls": {"telegram": TARGET}}, "must be a list"),
        ({"urls": [5]}, "must be a list"),
        ({"rate_per_hour": 0}, "greater than or equal to 1"),
        ({"unknown": 1}, "not permitted"),
    ],
)
def test_settings_that_would_fail_later_are_refused_without_repeating_a_target(given, words):
    with pytest.raises(ValidationError, match=words) as refused:
        NotifySettings(**given)
    assert "AAEjGCeG" not in str(refused.value)


def test_targets_are_never_shown():
    settings = NotifySettings(urls=[TARGET])
    assert settings.urls == NotifySettings(urls=f" {TARGET}\n").urls
    assert "AAEjGCeG" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert NotifySettings(urls=None).urls == ()


class Some(Tree):
    notify: NotifySettings = NotifySettings()


@pytest.mark.parametrize("given", [{"urls": [5, TARGET]}, {"urls": {"a": TARGET}}, {"urls_env": TARGET}, {"url": TARGET}])
def test_a_target_in_the_wrong_place_of_a_configuration_is_not_repeated_in_full(given):
    with pytest.raises(ConfigError, match=r"notify\.url") as refused:
        Some.read({"notify": given})
    assert "AAEjGCeG" not in str(refused.value)


def test_targets_may_stand_in_the_sections_place():
    for given in (TARGET, [TARGET], f"{TARGET} {TARGET}"):
        assert Some.read({"notify": given}).notify.urls[0].get_secret_value() == TARGET


def test_the_environment_may_give_topics_as_one_text():
    assert NotifySettings(levels="fills, halts").levels == (Topic.FILLS, Topic.HALTS)
