"""The service on a free port of this machine, in a thread of its own: for tests of clients, over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi import FastAPI

from alpha_pulse.errors import Fatal
from alpha_pulse.service.server import AnnouncedServer, server_for
from alpha_pulse.service.settings import ServiceSettings
from alpha_pulse.service.sources import Score

_PATIENCE_S: Final = 20.0
_LOOK_S: Final = 0.005


class FixedScores:
    """Scores and depths as they are put.

    Attributes:
        scores: by asset; one that is missing has a reason instead.
        depths: USD by asset.
        trouble: what ``problem`` says.
    """

    def __init__(self, scores: dict[str, float] | None = None, depths: dict[str, float] | None = None) -> None:
        self.scores = scores or {}
        self.depths = depths or {}
        self.trouble = ""

    def score(self, asset: str) -> Score:
        """The score that was put."""
        value = self.scores.get(asset)
        return Score(None, reason=f"there is no score for {asset}") if value is None else Score(value, 1)

    def depth_usd(self, asset: str) -> float | None:
        """The depth that was put."""
        return self.depths.get(asset)

    def ages_s(self) -> dict[str, float]:
        """All are new."""
        return dict.fromkeys(self.scores, 0.0)

    def problem(self) -> str:
        """As it was put."""
        return self.trouble

    async def start(self) -> None:
        """Nothing to follow."""

    async def close(self) -> None:
        """Nothing to end."""


@contextmanager
def running_service(app: FastAPI, settings: ServiceSettings) -> Iterator[str]:
    """Serve ``app`` as long as the block lasts; its base URL is yielded. Give ``settings`` the port 0 for a free one.

    Raises:
        AlphaPulseError: what kept the service from opening.
    """
    server = server_for(app, settings)
    thread = threading.Thread(target=server.run_to_the_end, name="service", daemon=True)
    thread.start()
    try:
        yield f"http://{_address(app, server, thread)}"
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_S)


def _address(app: FastAPI, server: AnnouncedServer, thread: threading.Thread) -> str:
    """``host:port`` once it listens."""
    end = time.monotonic() + _PATIENCE_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise app.state.failure or Fatal("the service did not start")
        time.sleep(_LOOK_S)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    return f"{host}:{port}"
