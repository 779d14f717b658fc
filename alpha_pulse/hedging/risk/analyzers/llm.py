"""A language model's opinion on a hedge, asked off the tick. Whatever it says, it can only raise the floor a little."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from loguru import logger
from pydantic import SecretStr

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import Advice, AdviceSource, HedgeView
from alpha_pulse.hedging.common.interfaces import Clock
from alpha_pulse.hedging.risk.analyzers.basic import BasicFuturesHedgeAnalyzer, HedgeAnalysis
from alpha_pulse.hedging.risk.analyzers.budget import DailyBudget
from alpha_pulse.hedging.risk.analyzers.config import LlmSettings
from alpha_pulse.hedging.risk.analyzers.llm_client import Backoff, Bill, ChatClient, ChatFailed, rounded_cost
from alpha_pulse.hedging.risk.analyzers.llm_schema import MAX_COMMENTARY, AnswerRefused, Completion, LlmAnswer, read_answer
from alpha_pulse.hedging.risk.analyzers.prompt import build_messages, prompt_text, request_body
from alpha_pulse.hedging.risk.analyzers.text import Cleaner

_MAX_ANSWER, _MAX_REASON, _MAX_ENTRY = 4000, 300, 300  # characters that are stored
_MAX_UNRECORDED: Final = 200  # pieces of advice that wait to be drained; then the oldest is lost


class LLMHedgeAnalyzer:
    """An ``Advisor`` for one pair over any OpenAI-compatible chat endpoint.

    A question is asked in the background, at most every ``refresh_s``. What fails (time, money, HTTP, JSON, a floor that is no
    share, another symbol) becomes basic advice: floor 0, the plain analysis as commentary, and the reason. Advice that was accepted
    counts until it expires, whatever fails after it, so that an outage takes no protection away; after that there is none.

    Args:
        settings: when ``enabled`` is false, nothing is ever asked.
        clock: dates the requests and turns the budget's day.
        basic: makes the commentary and the figures of the question.
        api_key: sent as a bearer token; empty = none is sent. It appears in no log, error, advice or repr.
        budget: given to several analyzers, they share it; by default one of ``settings``.
        backoff: waits between attempts.

    Raises:
        ConfigError: enabled, and a library is missing or the key cannot be used.
    """

    def __init__(
        self,
        settings: LlmSettings,
        clock: Clock,
        basic: BasicFuturesHedgeAnalyzer | None = None,
        *,
        api_key: SecretStr | str = "",
        budget: DailyBudget | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key
        self._settings = settings
        self._basic = basic or BasicFuturesHedgeAnalyzer()
        self._clean = Cleaner(key)
        self._budget = budget or DailyBudget(settings.max_calls_per_day, settings.max_cost_per_day_usd)
        self._client = ChatClient(settings, clock, self._budget, api_key=key, backoff=backoff) if settings.enabled else None
        self._accepted: Advice | None = None
        self._newest: Advice | None = None
        self._unrecorded: deque[Advice] = deque(maxlen=_MAX_UNRECORDED)
        self._task: asyncio.Task[Advice] | None = None
        self._due_ms = 0

    def latest(self, now_ms: int) -> Advice | None:
        """Accepted advice that is in force, else the basic one of the last failure while that is fresh, else None."""
        for advice in (self._accepted, self._newest):
            if advice is not None and advice.in_force(now_ms):
                return advice
        return None

    def consider(self, view: HedgeView, now_ms: int) -> None:
        """Ask in the background if it is time to. Needs a running event loop; without one the advice is basic, with that reason."""
        if self._client is None or self._task is not None or now_ms < self._due_ms:
            return
        self._due_ms = now_ms + round(self._settings.refresh_s * 1000)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._record(self._fallback(view, now_ms, "no event loop is running"))
            return
        self._task = loop.create_task(self._advise(self._client, view, now_ms), name="llm-advice")
        self._task.add_done_callback(lambda task: self._finished(task, now_ms))

    def drain(self) -> list[Advice]:
        """Advice since the last call, oldest first; at most the newest 200."""
        drained = list(self._unrecorded)
        self._unrecorded.clear()
        return drained

    def recall(self, recorded: Iterable[Advice]) -> None:
        """Take up where an earlier run stopped, from its recorded advice, oldest first: what is in force, and what the day has cost."""
        for advice in recorded:
            self._budget.recall(advice.asked_ms, advice.calls, advice.cost_usd)
            self._due_ms = max(self._due_ms, advice.asked_ms + round(self._settings.refresh_s * 1000))
            self._newest = advice
            if advice.source is AdviceSource.LLM:
                self._accepted = advice

    async def close(self) -> None:
        """Stop asking, and drop a question that is under way. Idempotent."""
        self._client = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _advise(self, client: ChatClient, view: HedgeView, now_ms: int) -> Advice:
        """One question from the view to a piece of advice. Failures that are known end as basic advice."""
        bill = Bill()
        try:
            analysis = self._analysis(view)
        except ConfigError as error:
            return self._fallback(view, now_ms, f"these figures cannot be asked about: {error}")
        messages = build_messages(view, analysis, self._settings.notes)
        prompt = self._clean.without_key(prompt_text(messages))
        body = request_body(
            messages,
            model=self._settings.model,
            max_tokens=self._settings.max_answer_length,
            response_format=self._settings.response_format,
        )
        try:
            completion = await client.ask(body, bill)
        except ChatFailed as error:
            return self._fallback(view, now_ms, str(error), prompt=prompt, answer=error.body, bill=bill)
        try:
            answer, extras = read_answer(completion.content, view.symbol)
        except AnswerRefused as error:
            return self._fallback(view, now_ms, str(error), prompt=prompt, answer=completion.content, bill=bill, refused=completion.refused)
        refused = (*self._over_the_bound(answer.floor, view.figures.floor), *extras, *completion.refused)
        return self._accept(now_ms, prompt, completion, answer, refused, bill)

    def _accept(self, now_ms: int, prompt: str, completion: Completion, answer: LlmAnswer, refused: tuple[str, ...], bill: Bill) -> Advice:
        sure = "" if answer.confidence is None else f" (confidence {answer.confidence:.0%})"
        return Advice(
            floor=answer.floor + 0.0,  # −0.0 reads badly
            commentary=self._clean(answer.commentary.strip(), MAX_COMMENTARY) + sure,
            source=AdviceSource.LLM,
            asked_ms=now_ms,
            expires_ms=now_ms + round(self._settings.expiry_s * 1000),
            prompt=prompt,
            answer=self._clean(completion.content, _MAX_ANSWER),
            refused=tuple(self._clean(entry, _MAX_ENTRY) for entry in refused),
            reason="",
            cost_usd=rounded_cost(bill.cost_usd),
            calls=bill.calls,
        )

    def _fallback(
        self,
        view: HedgeView | None,
        now_ms: int,
        reason: str,
        *,
        prompt: str = "",
        answer: str = "",
        bill: Bill | None = None,
        refused: tuple[str, ...] = (),
    ) -> Advice:
        """Basic advice: the plain analysis, no floor, and why."""
        bill = bill or Bill()
        try:
            commentary = "" if view is None else self._analysis(view).commentary
        except ConfigError:
            commentary = ""
        return Advice(
            floor=0.0,
            commentary=commentary,
            source=AdviceSource.BASIC,
            asked_ms=now_ms,
            expires_ms=now_ms + round(self._settings.expiry_s * 1000),
            prompt=prompt,
            answer=self._clean(answer, _MAX_ANSWER),
            refused=tuple(self._clean(entry, _MAX_ENTRY) for entry in refused),
            reason=self._clean(reason, _MAX_REASON),
            cost_usd=rounded_cost(bill.cost_usd),
            calls=bill.calls,
        )

    def _analysis(self, view: HedgeView) -> HedgeAnalysis:
        """The plain analysis against the ratio that is wanted now. Raises ``ConfigError`` for a view that cannot be."""
        return self._basic.analyze(view, max(view.figures.ratio, view.figures.floor))

    def _over_the_bound(self, floor: float, in_force: float) -> tuple[str, ...]:
        """A record of what was asked beyond what advice can do."""
        if floor < in_force:
            return (f"floor: {floor:.6g} is below the {in_force:.6g} in force, which advice cannot lower",)
        most = in_force + self._settings.max_tilt
        if floor > most:
            return (f"floor: {floor:.6g} counts as at most {self._settings.max_tilt:g} above the {in_force:.6g} in force",)
        return ()

    def _finished(self, task: asyncio.Task[Advice], now_ms: int) -> None:
        """Keep what a question brought. An error that nobody foresaw fails closed too, and is named without its text."""
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        self._record(task.result() if error is None else self._fallback(None, now_ms, f"unexpected {type(error).__name__}"))

    def _record(self, advice: Advice) -> None:
        self._newest = advice
        self._unrecorded.append(advice)
        if advice.source is AdviceSource.LLM:
            self._accepted = advice
            logger.info("Advice: a floor of {:.2f}, bounded by {:.2f} above the one in force", advice.floor, self._settings.max_tilt)
            if advice.refused:
                logger.warning("Refused of the advice: {}", "; ".join(advice.refused))
        else:
            logger.warning("No advice, the hedge goes on without: {}", advice.reason)
