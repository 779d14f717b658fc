"""Settings of the analyzer that asks a language model."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from alpha_pulse.hedging.common.section import Section, slip

_OURS: Final = "ALPHA_PULSE_"
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class LlmSettings(Section):
    """A language model's opinion on the hedge. It can only raise the floor, by at most ``max_tilt``; off by default."""

    model_config = ConfigDict(hide_input_in_errors=True)  # somebody will paste a key where its variable's name belongs

    enabled: bool = Field(False, description="Ask a language model for advice [true or false]")
    base_url: str = Field(
        "http://127.0.0.1:11434/v1", max_length=300, description="An OpenAI-compatible endpoint; /chat/completions is added [URL]"
    )
    model: str = Field("", max_length=120, description="The model to ask, as the endpoint calls it [name]")
    key_variable: str = Field(
        "LLM_API_KEY", description="Environment variable that holds the endpoint's key; unset = no key is sent [name]"
    )
    response_format: Literal["json_schema", "json_object", "text"] = Field(
        "json_schema", description="How the endpoint is told to answer in JSON, for those that know less [json_schema, json_object or text]"
    )
    max_tilt: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.10, description="The most that advice may add to the floor [fraction of the inventory]"
    )
    notes: str = Field("", max_length=2000, description="What the model should know besides the figures, quoted to it as data [text]")
    refresh_s: Annotated[float, Field(ge=1, le=86_400)] = Field(900, description="Time between two questions [s]")
    expiry_s: Annotated[float, Field(ge=1, le=604_800)] = Field(3600, description="Age from which advice does not count any more [s]")
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(30, description="Longest wait for an answer, retries included [s]")
    retries: Annotated[int, Field(ge=0, le=5)] = Field(2, description="Further attempts after no connection, 429 or a 5xx [attempts]")
    max_answer_length: Annotated[int, Field(ge=16, le=4096)] = Field(400, description="Longest answer [tokens]")
    max_calls_per_day: Annotated[int, Field(ge=1, le=10_000)] = Field(
        200, description="Requests in a UTC day, each attempt counted [requests]"
    )
    max_cost_per_day_usd: Annotated[float, Field(ge=0, le=1000)] = Field(1.0, description="Cost of a UTC day at the prices below [USD]")
    question_price: Annotated[float, Field(ge=0, le=10)] = Field(
        0, description="Price of the question; 0 = a local model [USD per 1,000 tokens]"
    )
    answer_price: Annotated[float, Field(ge=0, le=10)] = Field(
        0, description="Price of the answer; 0 = a local model [USD per 1,000 tokens]"
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        """What only shows when the keys are read together, or must not be repeated."""
        if self.key_variable.startswith(_OURS):
            raise slip(f"begins like a setting ({_OURS}…).", "name it LLM_API_KEY, for example", key="key_variable")
        if not _VARIABLE.fullmatch(self.key_variable):
            raise slip("is no name of an environment variable.", "write the variable's name, never the key itself", key="key_variable")
        if not is_endpoint(self.base_url):
            raise slip(
                "must be an http or https address without credentials, query or fragment.",
                "write for example http://127.0.0.1:11434/v1",
                key="base_url",
            )
        if self.enabled and not self.model.strip():
            raise slip("must name a model when enabled is true.", "write the name that the endpoint knows, such as llama3.1", key="model")
        if self.expiry_s < self.refresh_s:
            raise slip(
                f"is {self.expiry_s:g} s, shorter than refresh_s ({self.refresh_s:g} s): advice would come and go.",
                "give at least refresh_s",
                key="expiry_s",
            )
        return self


def is_endpoint(url: str) -> bool:
    """Whether ``url`` is a plain http(s) address: a host, maybe a port and a path, nothing that hides a secret or a question."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not any(c in url for c in " \\@?#")
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
