"""Who runs the trials: this process, or several of this machine."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Protocol

from alpha_pulse.backtest.search.engine import EngineChoice
from alpha_pulse.backtest.search.evaluate import Evaluator, Job, Outcome
from alpha_pulse.backtest.search.market_data import MarketData
from alpha_pulse.errors import ConfigError

MOST_RERUNS: Final = 3
"""A job whose worker died this often is given up: it may be what kills them."""
GIVEN_UP: Final = Outcome(error=f"its worker died {MOST_RERUNS} times")


class Pool(Protocol):
    """Runs jobs, in any order. Every job that was submitted comes back from ``take`` once."""

    size: int
    """How many jobs run at once."""
    rerun: int
    """How many jobs were run again because their worker died."""

    def submit(self, job: Job) -> None:
        """Have a job run."""
        ...

    def take(self) -> tuple[Job, Outcome]:
        """Wait for the next job that is done. One must be running."""
        ...

    def close(self) -> None:
        """Let the workers go. Jobs that have not begun are forgotten."""
        ...


class Inline:
    """Runs every job in this process, in the order of submission."""

    size = 1

    def __init__(self, data: MarketData, engine: EngineChoice) -> None:
        self.rerun = 0
        self._evaluator = Evaluator(data, engine)
        self._jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """See ``Pool``."""
        self._jobs.append(job)

    def take(self) -> tuple[Job, Outcome]:
        """See ``Pool``."""
        job = self._jobs.popleft()
        return job, self._evaluator.run(job)

    def close(self) -> None:
        """See ``Pool``."""
        self._jobs.clear()


class Processes:
    """Runs jobs in processes of this machine; each is sent the data once. A process that dies is replaced, its job run again."""

    def __init__(self, data: MarketData, engine: EngineChoice, size: int) -> None:
        self.size = size
        self.rerun = 0
        self._given = data, engine
        self._pool = self._started()
        self._waiting: deque[tuple[Job, int]] = deque()  # with the number of workers that it has cost
        self._running: dict[Future[Outcome], tuple[Job, int]] = {}

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of numba's and the logger's threads
        return ProcessPoolExecutor(self.size, mp_context=context, initializer=_begin, initargs=self._given)

    def submit(self, job: Job) -> None:
        """See ``Pool``."""
        self._waiting.append((job, 0))
        self._hand_out()

    def _hand_out(self) -> None:
        """No more jobs than processes: of a pool that breaks, the others cannot be to blame."""
        while self._waiting and len(self._running) < self.size:
            job, deaths = self._waiting.popleft()
            try:
                future = self._pool.submit(_run, job)
            except BrokenProcessPool:  # noticed before any result told
                self._waiting.appendleft((job, deaths))
                self._replace()
            else:
                self._running[future] = job, deaths

    def take(self) -> tuple[Job, Outcome]:
        """See ``Pool``."""
        while True:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            future = next(iter(done))
            job, deaths = self._running[future]
            try:
                outcome = future.result()
            except BrokenProcessPool:
                given_up = deaths + 1 >= MOST_RERUNS
                if given_up:
                    del self._running[future]
                self._replace()
                if given_up:
                    self._hand_out()
                    return job, GIVEN_UP
            else:
                del self._running[future]
                self._hand_out()
                return job, outcome

    def _replace(self) -> None:
        """New processes, and every unfinished job on them: one that dies takes the pool with it."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        lost = [future for future in self._running if future.cancelled() or future.exception() is not None]
        for future in lost:
            job, deaths = self._running.pop(future)
            self._waiting.appendleft((job, deaths + 1))
        self.rerun += len(lost)
        self._pool = self._started()
        self._hand_out()

    def close(self) -> None:
        """See ``Pool``."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()
        self._running.clear()


_evaluators: list[Evaluator] = []
"""A worker process's own; empty in every other."""


def _begin(data: MarketData, engine: EngineChoice) -> None:
    """In a worker, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks: what runs is finished
    _evaluators[:] = [Evaluator(data, engine)]


def _run(job: Job) -> Outcome:
    return _evaluators[0].run(job)


def open_pool(data: MarketData, engine: EngineChoice, *, workers: int = 1, ray: str | None = None) -> Pool:
    """The pool that the options name.

    Raises:
        ConfigError: fewer than one worker, or Ray is not installed or does not answer.
    """
    if workers < 1:
        raise ConfigError("must be 1 at least.", field="--workers", value=workers, fix="give the number of cores")
    if ray is not None:
        from alpha_pulse.backtest.search.on_ray import RayPool  # noqa: PLC0415 - Ray is asked for by name alone

        return RayPool(data, engine, address=ray, size=workers)
    return Inline(data, engine) if workers == 1 else Processes(data, engine, workers)
