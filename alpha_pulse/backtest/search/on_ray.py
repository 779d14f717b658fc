"""Trials on a Ray cluster: the data once in its object store, an actor for each slot, results as they come."""

from __future__ import annotations

import importlib
import os
import socket
from collections import deque
from typing import Any, Final

from alpha_pulse.backtest.search.engine import EngineChoice
from alpha_pulse.backtest.search.evaluate import Evaluator, Job, Outcome
from alpha_pulse.backtest.search.market_data import MarketData
from alpha_pulse.backtest.search.workers import GIVEN_UP, MOST_RERUNS
from alpha_pulse.errors import ConfigError

LOCAL: Final = "local"
_PATIENCE_S: Final = 60.0  # for the first worker to answer
_KNOCK_S: Final = 5.0
_NO_USAGE_REPORT: Final = "RAY_USAGE_STATS_ENABLED"


class _Worker:
    """An actor: the market read from the object store once, without a copy, then job after job."""

    def __init__(self, data: MarketData, engine: EngineChoice) -> None:
        self._evaluator = Evaluator(data, engine)

    def ready(self) -> int:
        """Its process id, when the data are there."""
        return os.getpid()

    def run(self, job: Job) -> Outcome:
        """Run a job."""
        return self._evaluator.run(job)


class RayPool:
    """A ``Pool`` on a cluster. An actor that dies is replaced, and its job goes to the next one that is free.

    Args:
        data: put into the object store once.
        engine: what runs the jobs.
        address: of the cluster (``HOST:PORT``, ``ray://HOST:PORT``, ``auto``), or ``local`` for one of this machine's own.
        size: how many actors, one CPU each; those for which the cluster has no room wait until it has.
    """

    def __init__(self, data: MarketData, engine: EngineChoice, *, address: str, size: int) -> None:
        self.size = size
        self.rerun = 0
        self._ray = _ray()
        self._started = not self._ray.is_initialized()
        if self._started:
            self._join(address)
        self._given = self._ray.put(data), engine
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._waiting: deque[tuple[Job, int]] = deque()  # with the number of workers that it has cost
        self._idle: deque[Any] = deque()
        self._joining: dict[Any, Any] = {}  # by the reference to its answer: the actor
        self._running: dict[Any, tuple[Any, Job, int]] = {}
        self._refused = 0
        self.pids: list[int] = []
        """Of every worker that ever answered, the latest last."""
        for _ in range(size):
            self._hire()

    def _join(self, address: str) -> None:
        os.environ.setdefault(_NO_USAGE_REPORT, "0")  # nobody is told what is searched here
        given: dict[str, Any] = {"num_cpus": self.size, "include_dashboard": False} if address == LOCAL else {"address": address}
        try:
            _knock(address)
            self._ray.init(log_to_driver=False, logging_level="error", **given)
        except (OSError, ValueError, RuntimeError) as error:
            fix = "give HOST:PORT of a cluster's head, or local for one on this machine"
            raise ConfigError(f"the cluster does not answer: {error}.", field="--ray", value=address, fix=fix) from error

    def _hire(self) -> None:
        actor = self._actor.remote(*self._given)
        self._joining[actor.ready.remote()] = actor

    def submit(self, job: Job) -> None:
        """See ``Pool``."""
        self._waiting.append((job, 0))
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._idle:
            actor, (job, deaths) = self._idle.popleft(), self._waiting.popleft()
            self._running[actor.run.remote(job)] = actor, job, deaths

    def take(self) -> tuple[Job, Outcome]:
        """See ``Pool``.

        Raises:
            ConfigError: no worker can be started.
        """
        while True:
            timeout = None if self._running or self._idle else _PATIENCE_S
            done, _ = self._ray.wait([*self._running, *self._joining], num_returns=1, timeout=timeout)
            if not done:
                fix = "look at `ray status`: one CPU must be free"
                raise ConfigError(f"no worker could be started within {_PATIENCE_S:g} s.", field="--ray", fix=fix)
            found = None
            if done[0] in self._joining:
                self._joined(done[0])
            else:
                found = self._finished(done[0])
            self._hand_out()
            if found is not None:
                return found

    def _joined(self, answer: Any) -> None:
        actor = self._joining.pop(answer)
        try:
            self.pids.append(self._ray.get(answer))
        except self._ray.exceptions.RayError as error:
            self._refused += 1
            if self._refused > MOST_RERUNS * self.size:
                fix = "install the same alpha-pulse[backtest,distributed] on every node"
                raise ConfigError(f"workers cannot be started: {str(error).splitlines()[0]}", field="--ray", fix=fix) from error
            self._hire()
        else:
            self._idle.append(actor)

    def _finished(self, answer: Any) -> tuple[Job, Outcome] | None:
        actor, job, deaths = self._running.pop(answer)
        try:
            outcome: Outcome = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError:
            raise  # the job itself broke: it would break again
        except self._ray.exceptions.RayError:  # the actor, its node or its object store is gone
            self._hire()
            if deaths + 1 >= MOST_RERUNS:
                return job, GIVEN_UP
            self.rerun += 1
            self._waiting.appendleft((job, deaths + 1))
            return None
        self._idle.append(actor)
        return job, outcome

    def close(self) -> None:
        """See ``Pool``."""
        for actor in (*self._idle, *self._joining.values(), *(actor for actor, _, _ in self._running.values())):
            self._ray.kill(actor)
        if self._started:
            self._ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself would try a port that nobody listens on for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ConfigError("Ray is not installed.", field="--ray", fix='pip install "alpha-pulse[distributed]"') from error
