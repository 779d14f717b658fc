"""A planted secret is in no answer, no log, no metric and no traceback, whatever fails."""

import json
import logging

import httpx
import pytest
from loguru import logger

from alpha_pulse.errors import Fatal
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.runtime.masking import forget_secrets
from alpha_pulse.service.app import create_app
from alpha_pulse.service.server import forward_logs
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import running_service
from tests.integration.service.conftest import HEDGE, READ, TOKENS, TRADE, bearer

PLANTED = "p1anted-pass-word"
VARIABLES = {
    "HE_PORT": "0",
    "HE_API_TOKENS": TOKENS,
    "HE_REDIS_URL": f"redis://:{PLANTED}@127.0.0.1:1/0",
    "HE_BOTS_DSN": f"postgresql+asyncpg://bots:{PLANTED}@127.0.0.1:1/bots",
    "HE_DB_DSN": f"postgresql+asyncpg://hedge:{PLANTED}@127.0.0.1:1/hedge",
}


class Telling(MemoryDecisionLog):
    """Fails as libraries do: with the whole address in the message."""

    async def record(self, decision):
        if decision.asset == "ETH":
            raise Fatal(f"cannot write: postgresql://hedge:{PLANTED}@db")
        if decision.asset == "LTC":
            raise RuntimeError(f"connect(password={PLANTED!r})")


@pytest.fixture
def logged(tmp_path):
    """The log of everything, as a production run writes it."""
    file = tmp_path / "service.log"
    configure_logging(LoggingSettings(level="DEBUG", file=file, json=True), console=False)
    before = {name: logging.getLogger(name).handlers for name in ("uvicorn", "redis")}
    forward_logs()
    yield file
    logger.remove()
    for name, handlers in before.items():
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).propagate = True
    forget_secrets()


def test_a_planted_secret_is_nowhere(logged):
    settings = load_service_settings(VARIABLES)
    app = create_app(settings, log=Telling())
    with running_service(app, settings) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        answers = [client.post("/hedge", json=HEDGE | {"asset": asset}, headers=bearer(TRADE)) for asset in ("BTC", "ETH", "LTC")]
        answers += [client.post("/hedge", json={"asset": "BTC", "amount_usd": 1}, headers=bearer(TRADE))]
        answers += [
            client.get(path, headers=bearer(READ)) for path in ("/readyz", "/metrics", "/curves", "/docs", "/openapi.json", "/nope")
        ]
        answers += [client.get("/curves", headers=bearer(PLANTED)), client.get(f"/decisions/{READ}x")]
    assert [answer.status_code for answer in answers[:4]] == [200, 503, 500, 503]
    log = logged.read_text()
    assert log
    kept = [json.loads(line) for line in log.splitlines()]
    assert any("failed" in line["message"] for line in kept)
    texts = [log, repr(settings), *(answer.text + str(answer.headers) for answer in answers)]
    for secret in (PLANTED, TRADE, READ, *(entry.rpartition(":")[2] for entry in TOKENS.split(","))):
        assert [text for text in texts if secret in text] == []


def test_a_service_that_cannot_start_says_why_without_the_secret(logged, tmp_path):
    (tmp_path / "occupied").write_text("a file where the folder should be")
    settings = load_service_settings({**VARIABLES, "HE_SPOOL_DIR": str(tmp_path / "occupied" / "spool")})
    app = create_app(settings)
    with pytest.raises(Exception) as caught, running_service(app, settings):  # noqa: PT011 - whichever it is
        pass
    text = logged.read_text() + str(caught.value)
    assert PLANTED not in text
    assert "Traceback" not in text
