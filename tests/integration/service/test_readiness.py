"""What a load balancer sees of a service whose decisions cannot be kept, and afterwards."""

import time

import pytest

from tests.integration.service.conftest import HEDGE


def test_a_log_that_can_be_written_again_is_ready_without_a_question(served):
    served.log.broken = "the disk is full"
    assert served.client.post("/hedge", json=HEDGE).status_code == 503
    assert served.client.get("/readyz").status_code == 503
    served.log.broken = ""
    end = time.monotonic() + 20
    while served.client.get("/readyz").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert served.log.decisions == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/curves", "/decisions", "/docs", "/openapi.json"])
def test_what_can_be_got_can_be_asked_for_without_its_body(served, path):
    got, asked = served.client.get(path), served.client.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert asked.headers["x-content-type-options"] == "nosniff"
    assert int(asked.headers["content-length"]) > 0


def test_a_question_has_no_head(served):
    refused = served.client.head("/hedge")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
