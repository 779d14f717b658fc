"""The example and the curl lines of the documentation, against a running service."""

import re
import shlex
import shutil
import subprocess

import pytest

from tests.integration.examples.running import example
from tests.integration.service.conftest import READ, TOKENS, TRADE
from tests.unit.docs.pages import blocks

PAGES = ("docs/how-to/put-it-behind-your-trading-system.md", "docs/reference/http-api.md")
LINES = [
    line.strip()
    for block in blocks("sh")
    if block.page in PAGES
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.startswith("curl ")
]
SHOWN_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{6}-[0-9a-f]{8}")


def test_the_example_asks_everything(serve, tmp_path):
    served = serve({"HE_API_TOKENS": TOKENS})
    done = example("examples.service_client", tmp_path, "--url", served.url, HEDGE_TOKEN=TRADE)
    assert done.returncode == 0, done.stderr
    assert "by my own score: hedge 68.5%, 171,373 USD" in done.stdout
    assert "by the latest score: hedge " in done.stdout
    assert [decision.kind for decision in served.log.decisions] == ["hedge", "hedge", "multi", "signals", "assess"]


def test_without_a_score_the_example_holds(serve, tmp_path):
    served = serve()
    served.scores.scores.clear()
    done = example("examples.service_client", tmp_path, "--url", served.url)
    assert "by the latest score: hold what is on" in done.stdout


def test_the_example_says_when_it_may_not_ask_and_when_nobody_answers(serve, tmp_path):
    served = serve({"HE_API_TOKENS": TOKENS})
    refused = example("examples.service_client", tmp_path, "--url", served.url, HEDGE_TOKEN=READ)
    assert (refused.returncode, refused.stderr.startswith("refused: ")) == (1, True)
    nobody = example("examples.service_client", tmp_path, "--url", "http://127.0.0.1:1")
    assert (nobody.returncode, "keep the hedge that is on" in nobody.stderr) == (1, True)


def test_the_documentation_shows_curl_at_all():
    assert len(LINES) >= 5


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", LINES)
def test_every_curl_line_of_the_documentation_is_answered(served, line):
    decision_id = served.client.post("/hedge", json={"asset": "BTC", "amount_usd": 1, "override_score": 0.5}).json()["decision_id"]
    words = shlex.split(SHOWN_ID.sub(decision_id, line.replace("http://127.0.0.1:8000", served.url)))
    done = subprocess.run([*words, "-sS", "-o", "-", "-w", "\n%{http_code}"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - our own pages
    assert done.stdout.rpartition("\n")[2] == "200", done.stdout + done.stderr
