"""The service on a real socket, and a Redis of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from alpha_pulse.service.app import create_app
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.service.tokens import Scope, new_token
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import FixedScores, running_service

HEDGE = {"asset": "BTC", "amount_usd": 250_000.0, "override_score": 0.7, "depth_usd": 2_500_000.0}
READ, READ_KEPT = new_token("screen", Scope.READ)
TRADE, TRADE_KEPT = new_token("desk", Scope.TRADE)
TOKENS = f"{READ_KEPT.entry},{TRADE_KEPT.entry}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Served:
    """A running service and a client of it."""

    client: httpx.Client
    log: MemoryDecisionLog
    scores: FixedScores
    url: str
    app: Any

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def metric(self, name: str, **headers: str) -> float:
        """The value of one line of /metrics."""
        text = self.client.get("/metrics", headers=headers).text
        return float(next(line for line in text.splitlines() if line.startswith(name)).rpartition(" ")[2])


@contextmanager
def serving(variables: dict[str, str] | None = None, **given: Any) -> Iterator[Served]:
    """A service on a free port."""
    settings = load_service_settings({"HE_PORT": "0", **(variables or {})})
    log, scores = given.pop("log", MemoryDecisionLog()), given.pop("scores", FixedScores({"BTC": 0.7}))
    app = create_app(settings, log=log, scores=scores, **given)
    with running_service(app, settings) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        yield Served(client, log, scores, url, app)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Makes services; all end with the test."""
    with ExitStack() as undo:
        yield lambda *given, **named: undo.enter_context(serving(*given, **named))


@pytest.fixture(scope="module")
def _shared() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def served(_shared: Served) -> Served:
    """A service without tokens whose log is empty. The tests of a module share it: a start takes longer than most of them."""
    _shared.log.decisions.clear()
    _shared.log.broken = _shared.log.away = ""
    return _shared


@pytest.fixture
def redis_url() -> str:
    """A Redis that answers. Absent: skip with the reason, but fail where CI runs."""
    import redis  # noqa: PLC0415 - an extra of the service alone

    url = os.environ.get("HE_REDIS_URL", "redis://127.0.0.1:6379/15")
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=2) as client:
            client.ping()
    except (OSError, redis.RedisError) as error:
        reason = f"no Redis answers at {url}: {error}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return url
