"""Settings of the alerts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from alpha_pulse.hedging.common.section import Section, slip

URLS_VARIABLE: Final = "ALPHA_PULSE_NOTIFY_URLS"
"""The variable that holds the targets unless the settings name another."""

_QUIET: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_SOURCE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}|keyring:[^/\s]+(/[^/\s]+)+")


class Topic(StrEnum):
    """What an alert is about."""

    FILLS = "fills"
    RISK = "risk"  # risk states, the stop, drawdown, margin
    CONNECTION = "connection"  # the exchange or its data cannot be reached or trusted
    HALTS = "halts"  # starts and ends, halts, what a person asked for
    FUNDING = "funding"


class Severity(StrEnum):
    """How much an alert matters. CRITICAL passes quiet hours and the rate limit."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for INFO, 2 for CRITICAL."""
        return tuple(Severity).index(self)


class NotifySettings(Section):
    """Messages to a phone or a mailbox, through apprise. Without a target none are sent."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a target's URL holds its token

    urls_env: str = Field(
        URLS_VARIABLE,
        description="Variable that holds the targets: apprise URLs, separated by spaces; with _FILE at its end, a file [name]",
    )
    urls: tuple[SecretStr, ...] = Field((), description="Targets besides those of urls_env; better kept out of files [apprise URLs]")
    levels: tuple[Topic, ...] = Field(tuple(Topic), description="What is told: fills, risk, connection, halts, funding [list]")
    min_level: Severity = Field(Severity.INFO, description="Least severity that is told: info, warning or critical [name]")
    quiet_hours: str | None = Field(None, description='Hours in which only critical alerts are told, e.g. "22:00-07:00" [local time]')
    timezone: str = Field("UTC", description="Time zone of the quiet hours, e.g. Europe/Berlin [name]")
    dedup_s: Annotated[float, Field(ge=0, le=86_400)] = Field(300, description="The same alert is not told again within this time [s]")
    rate_per_hour: Annotated[int, Field(ge=1, le=10_000)] = Field(
        60, description="Most messages in an hour, critical ones not counted [messages]"
    )
    allow_private_hosts: bool = Field(
        False, description="Let targets be in the own network or on this machine, for self-hosted services [true or false]"
    )
    queue_size: Annotated[int, Field(ge=1, le=10_000)] = Field(100, description="Messages that may wait for each target [messages]")
    attempts: Annotated[int, Field(ge=1, le=20)] = Field(4, description="Attempts to send a message, with growing waits between [attempts]")
    close_timeout_s: Annotated[float, Field(ge=0, le=60)] = Field(
        3, description="Longest wait at the end for messages still to be sent [s]"
    )

    @model_validator(mode="before")
    @classmethod
    def _targets_are_never_repeated(cls, value: Any) -> Any:
        """Targets as a list, as one text, or in the section's place. What is wrong with them is said without quoting them."""
        if isinstance(value, str | list | tuple):
            value = {"urls": value}
        if not isinstance(value, Mapping):
            return value
        for key, given in value.items():
            if key not in cls.model_fields and "://" in str(given):
                raise slip("is no key of this section.", "list targets under urls, or better set the variable of urls_env", key=str(key))
        if "urls" not in value:
            return value
        urls = value["urls"]
        urls = urls.split() if isinstance(urls, str) else () if urls is None else urls
        if not isinstance(urls, list | tuple) or not all(isinstance(url, str | SecretStr) for url in urls):
            raise slip(
                "must be a list of apprise URLs.", "write `- tgram://…` for each, or better set the variable of urls_env", key="urls"
            )
        return {**value, "urls": tuple(urls)}

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_as_a_list(cls, value: Any) -> Any:
        """Also one text of several, as the environment gives it."""
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("quiet_hours", mode="before")
    @classmethod
    def _quiet_hours_quoted(cls, value: Any) -> Any:
        """YAML reads 22:00 without quotes as a number."""
        if value is not None and not (isinstance(value, str) and _QUIET.fullmatch(value.strip())):
            raise slip("are no hours of a day.", 'write for example "22:00-07:00", in quotes, or null')
        return value.strip() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _usable(self) -> Self:
        """What would otherwise show on the first alert."""
        if not _SOURCE.fullmatch(self.urls_env):
            raise slip("is no name of a variable.", "write the variable's name, never a target itself", key="urls_env")
        if not self.levels:
            raise slip("names nothing to tell.", "name at least one level, or unset the targets", key="levels")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise slip("is no time zone that this machine knows.", "write for example Europe/Berlin or UTC", key="timezone") from None
        quiet = self.quiet_minutes
        if quiet is not None and quiet[0] == quiet[1]:
            raise slip("begin when they end.", "write two different times, or null", key="quiet_hours")
        return self

    @property
    def quiet_minutes(self) -> tuple[int, int] | None:
        """Beginning and end of the quiet hours, minutes after local midnight; the end may be on the next day."""
        found = _QUIET.fullmatch(self.quiet_hours or "")
        if found is None:
            return None
        start_h, start_m, end_h, end_m = (int(group) for group in found.groups())
        return start_h * 60 + start_m, end_h * 60 + end_m
