"""A careful client of one chat endpoint: bounded in time, size, attempts and money. It follows no redirect and shows no key."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from alpha_pulse.errors import AlphaPulseError, ConfigError
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.hedging.risk.analyzers.budget import DailyBudget
from alpha_pulse.hedging.risk.analyzers.config import LlmSettings
from alpha_pulse.hedging.risk.analyzers.llm_schema import AnswerRefused, Completion, read_completion

if TYPE_CHECKING:
    import aiohttp

MAX_BODY: Final = 256 * 1024  # bytes, after decompression
_OK, _TOO_MANY, _SERVER_ERRORS = 200, 429, 500


class ChatFailed(AlphaPulseError):  # noqa: N818 - named by what happened, as the others are
    """No usable reply. ``body`` is what came back, if anything; ``wait_s`` is what the server asked for before a retry."""

    def __init__(self, reason: str, *, body: str = "", again: bool = False, wait_s: float | None = None, sent: bool = True) -> None:
        self.body = body
        self.again = again  # whether another attempt may help
        self.wait_s = wait_s
        self.sent = sent  # False: it never left, so it costs nothing
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts, seconds: they double from ``initial_s`` to ``longest_s``, plus a random part of up to ``jitter_s``."""

    initial_s: float = 1.0
    longest_s: float = 10.0
    jitter_s: float = 1.0


@dataclass(slots=True)
class Bill:
    """What one question took, failed attempts included."""

    calls: int = 0
    cost_usd: float = 0.0


class ChatClient:
    """Asks one endpoint.

    Raises:
        ConfigError: a library is missing, the key is no key, or it would travel unencrypted to a host elsewhere.
    """

    def __init__(
        self, settings: LlmSettings, clock: Clock, budget: DailyBudget, *, api_key: str = "", backoff: Backoff | None = None
    ) -> None:
        require_libraries()
        _check_key(settings, api_key)
        self._settings = settings
        self._clock = clock
        self._budget = budget
        self._backoff = backoff or Backoff()
        self._url = f"{settings.base_url.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def ask(self, body: dict[str, Any], bill: Bill) -> Completion:
        """Send one question; ``bill`` grows with every attempt.

        Raises:
            ChatFailed: time, attempts or budget ran out, the endpoint refused, or its reply is no chat completion.
        """
        data = json.dumps(body).encode()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async with self._session() as session:
                    return await self._attempts(session, data, bill)
        except TimeoutError:
            pass
        raise ChatFailed(f"no answer within {self._settings.timeout_s:g} s")

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - slow to import, and only asked for when a model is

        whole = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        return aiohttp.ClientSession(headers=self._headers, cookie_jar=aiohttp.DummyCookieJar(), timeout=whole)

    async def _attempts(self, session: aiohttp.ClientSession, data: bytes, bill: Bill) -> Completion:
        import stamina  # noqa: PLC0415 - as aiohttp

        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.timeout_s

        def again(error: Exception) -> bool | float:
            if not isinstance(error, ChatFailed) or not error.again:
                return False
            if error.wait_s is None:
                return True
            return error.wait_s if loop.time() + error.wait_s < deadline else False

        retrying = stamina.retry_context(
            on=again,
            attempts=self._settings.retries + 1,
            timeout=None,  # the caller's time-out holds for everything
            wait_initial=self._backoff.initial_s,
            wait_max=self._backoff.longest_s,
            wait_jitter=self._backoff.jitter_s,
        )
        async for attempt in retrying:
            with attempt:
                return await self._attempt(session, data, bill)
        raise ChatFailed("no attempt was made")

    async def _attempt(self, session: aiohttp.ClientSession, data: bytes, bill: Bill) -> Completion:
        worst, now_ms = self._cost(len(data), self._settings.max_answer_length), self._clock.now_ms()
        over = self._budget.take(now_ms, worst)
        if over:
            raise ChatFailed(over)
        bill.calls += 1
        bill.cost_usd += worst  # a token is at least a byte: the question cannot cost more
        try:
            text = await self._post(session, data)
        except ChatFailed as error:
            if not error.sent:
                self._save(worst, now_ms, bill)
            raise
        try:
            completion = read_completion(text)
        except AnswerRefused as error:
            reason = str(error)
        else:
            self._settle(completion, worst, now_ms, bill)
            return completion
        raise ChatFailed(reason, body=text)

    def _settle(self, completion: Completion, worst: float, taken_ms: int, bill: Bill) -> None:
        """Replace the worst cost by the counted one, where the server counted."""
        if completion.prompt_tokens is None or completion.completion_tokens is None:
            return
        self._save(worst - self._cost(completion.prompt_tokens, completion.completion_tokens), taken_ms, bill)

    def _save(self, saved: float, taken_ms: int, bill: Bill) -> None:
        """Take off what an attempt did not cost (negative: what it cost beyond the worst)."""
        self._budget.give_back(taken_ms, saved)
        bill.cost_usd -= saved

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        prices = self._settings
        return (prompt_tokens * prices.question_price + completion_tokens * prices.answer_price) / 1000.0

    async def _post(self, session: aiohttp.ClientSession, data: bytes) -> str:
        """The text of a 200 reply. aiohttp's errors can hold the request's headers, so ours is raised outside their ``except``."""
        import aiohttp  # noqa: PLC0415 - as above

        try:
            async with session.post(self._url, data=data, allow_redirects=False) as response:
                status, wait_s = response.status, _retry_after(response.headers.get("Retry-After", ""))
                text = await _bounded_text(response)
        except aiohttp.ClientConnectorError:
            failure = ChatFailed("no connection to the endpoint", again=True, sent=False)
        except aiohttp.ClientConnectionError:
            failure = ChatFailed("the connection to the endpoint broke", again=True)
        except (aiohttp.ClientError, ValueError) as error:
            failure = ChatFailed(f"the reply broke off or is no HTTP ({type(error).__name__})")
        else:
            if text is None:
                raise ChatFailed(f"the reply is longer than {MAX_BODY} bytes")
            if status == _OK:
                return text
            failure = _refusal(status, text, wait_s)
        raise failure


async def _bounded_text(response: aiohttp.ClientResponse) -> str | None:
    """The body, or None if it is longer than ``MAX_BODY``; what is no UTF-8 is replaced."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            response.close()
            return None
    return body.decode("utf-8", errors="replace")


def _refusal(status: int, text: str, wait_s: float | None) -> ChatFailed:
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
        return ChatFailed(f"the endpoint redirects (HTTP {status}), which is not followed: mend base_url", body=text)
    if status in {401, 403}:
        return ChatFailed(f"the endpoint refused the key (HTTP {status}): look at the variable that key_variable names", body=text)
    again = status == _TOO_MANY or status >= _SERVER_ERRORS
    return ChatFailed(f"the endpoint answered HTTP {status}", body=text, again=again, wait_s=wait_s)


def _retry_after(header: str) -> float | None:
    """The seconds of a Retry-After header; a date, a fraction or nonsense is none, and the usual backoff holds."""
    return float(min(int(header), 10**9)) if header.isascii() and header.isdigit() and len(header) < 20 else None  # noqa: PLR2004


def require_libraries() -> None:
    """Refuse at start, not on the first question, when a library is missing. Raises ``ConfigError``."""
    try:
        import aiohttp  # noqa: F401, PLC0415 - see above
        import stamina  # noqa: F401, PLC0415 - see above
    except ImportError as error:
        raise ConfigError(
            f"asking a language model needs a library that is not installed ({error.name})",
            field="llm.enabled",
            value=True,
            fix='pip install "alpha-pulse[llm]", or set llm.enabled to false',
        ) from None


def _check_key(settings: LlmSettings, api_key: str) -> None:
    if not api_key:
        return
    where = f"environment variable {settings.key_variable}"
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ConfigError("the key holds characters that no key has", field=where, fix="set it again, without spaces, quotes or line ends")
    parts = urlsplit(settings.base_url)
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        raise ConfigError(
            "the key would travel unencrypted to a host elsewhere",
            field="llm.base_url",
            value=settings.base_url,
            fix="use https, or unset the key",
        )


def _is_near(host: str) -> bool:
    """Whether a host is this machine or its own network, as far as its name tells."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal", ".localhost"))
    return address.is_loopback or address.is_private


def rounded_cost(cost_usd: float) -> float:
    """A cost to store: finite, not negative, to a millionth of a cent."""
    return round(max(0.0, cost_usd), 8) if math.isfinite(cost_usd) else 0.0
