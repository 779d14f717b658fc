"""What may come back from a chat endpoint, and the little of it that is taken. Pure: text in, values or ``AnswerRefused`` out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alpha_pulse.errors import AlphaPulseError

MAX_COMMENTARY: Final = 1000  # characters
_MAX_NAME, _MAX_VALUE, _MAX_REFUSED = 60, 160, 20
_MAX_USAGE: Final = 10_000_000  # tokens: beyond it, a server's count is no count

Share = Annotated[float, Field(ge=0, le=1)]


class AnswerRefused(AlphaPulseError):  # noqa: N818 - named by what happened, as the others are
    """An answer that cannot be used; the message says why, and holds nothing of the request."""


class LlmAnswer(BaseModel):
    """What is taken from an answer. Strict: "0.5" and true are no numbers, NaN and infinity are none either."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    symbol: str | None = None
    floor: Share
    confidence: Share | None = None
    commentary: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat completion: the content of its first choice, and the tokens that the server counted (None: it told no usable number)."""

    content: str
    refused: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def read_completion(body: str) -> Completion:
    """The envelope of a chat completion.

    Raises:
        AnswerRefused: not JSON, no choices, or no text in the first.
    """
    envelope = strict_json(body, "the reply")
    choices = envelope.get("choices") if isinstance(envelope, dict) else None
    if not isinstance(choices, list) or not choices:
        raise AnswerRefused("the reply holds no choices")
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, str) or not content.strip():
        raise AnswerRefused("the reply's first choice holds no text")
    extras = {name: message[name] for name in ("tool_calls", "function_call") if message.get(name)}
    if len(choices) > 1:
        extras["choices"] = f"{len(choices) - 1} more"
    return Completion(content, refused_entries(extras), *_usage(envelope))


def read_answer(content: str, symbol: str) -> tuple[LlmAnswer, tuple[str, ...]]:
    """The answer inside a completion, and every key of it that was refused, with its value.

    Raises:
        AnswerRefused: not one JSON object, another symbol than ``symbol``, or a floor that is no number from 0 to 1.
    """
    given = strict_json(content, "the answer")
    if not isinstance(given, dict):
        raise AnswerRefused("the answer is no JSON object")
    if "symbol" in given and given["symbol"] != symbol:
        raise AnswerRefused(f"the answer is about another symbol: {_brief(given['symbol'])}")
    extras = {name: value for name, value in given.items() if name not in LlmAnswer.model_fields}
    taken: dict[str, Any] = {"floor": given.get("floor")}
    for name in ("confidence", "commentary"):
        if name in given and not _fits(name, given[name]):
            extras[name] = given[name]
        elif name in given:
            taken[name] = given[name]
    try:
        answer = LlmAnswer(symbol=given.get("symbol"), **taken)
    except ValidationError:
        answer = None
    if answer is None:
        raise AnswerRefused(f"the floor must be a number from 0 to 1, and is {_brief(given.get('floor'))}")
    return answer, refused_entries(extras)


def refused_entries(extras: dict[str, Any]) -> tuple[str, ...]:
    """``name: value`` of what was not taken, as bounded JSON; at most some, then how many more there were."""
    entries = [f"{name[:_MAX_NAME]}: {_brief(value)}" for name, value in list(extras.items())[:_MAX_REFUSED]]
    if len(extras) > _MAX_REFUSED:
        entries.append(f"and {len(extras) - _MAX_REFUSED} more")
    return tuple(entries)


def strict_json(text: str, what: str) -> Any:
    """JSON as its standard has it: no NaN, no infinity, and no key twice (the second would silently win).

    Raises:
        AnswerRefused: ``what`` is no such JSON.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
    raise AnswerRefused(f"{what} is no valid JSON: {problem}")


def _fits(name: str, value: Any) -> bool:
    """Whether ``value`` is one that the field ``name`` takes."""
    try:
        LlmAnswer.model_validate({"floor": 0.0, name: value})
    except ValidationError:
        return False
    return True


def _usage(envelope: Any) -> tuple[int | None, int | None]:
    usage = envelope.get("usage")
    if not isinstance(usage, dict):
        return None, None
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if all(type(count) is int and 0 <= count <= _MAX_USAGE for count in counts):
        return counts
    return None, None


def _brief(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True)
    except RecursionError:
        text = "nested too deeply to be shown"
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found
