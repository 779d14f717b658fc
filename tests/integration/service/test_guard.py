"""Who may ask, from where, how often, how much: over real sockets, against clients that do not behave."""

import json
import socket
import threading

import pytest

from tests.integration.service.conftest import HEDGE, READ, TOKENS, TRADE, bearer

BODY = json.dumps(HEDGE).encode()
LENGTH = len(BODY)
QUESTIONS = ["/hedge", "/hedge/multi", "/signals", "/assess"]
LOOKS = ["/decisions", "/decisions/x", "/curves", "/readyz", "/metrics"]


@pytest.fixture
def guarded(serve):
    """A service with a read token and a trade token."""
    return serve({"HE_API_TOKENS": TOKENS})


def exchange(served, *pieces, pause=None):
    """Send raw bytes, and read what comes until the service hangs up."""
    with socket.create_connection(served.address, timeout=20) as raw:
        for piece in pieces:
            try:
                raw.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
            if pause is not None:
                pause()
        got = b""
        while True:
            try:
                part = raw.recv(65_536)
            except ConnectionResetError:
                return got
            if not part:
                return got
            got += part


def head(path="/hedge", method="POST", length=LENGTH, **headers):
    named = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(length), "Connection": "close", **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value is not None)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


# --- tokens -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", QUESTIONS)
def test_a_question_without_a_trade_token_is_refused(guarded, path):
    none = guarded.client.post(path, json={})
    assert (none.status_code, none.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.client.post(path, json={}, headers=bearer("wrong")).status_code == 401
    assert guarded.client.post(path, json={}, headers={"Authorization": f"Basic {TRADE}"}).status_code == 401
    assert guarded.client.post(path, json={}, headers=bearer(READ)).status_code == 403
    assert guarded.client.post(path, json={}, headers=bearer(TRADE)).status_code == 422
    assert guarded.log.decisions == []


@pytest.mark.parametrize("path", LOOKS)
def test_what_was_answered_takes_a_token_of_either_scope(guarded, path):
    assert guarded.client.get(path).status_code == 401
    seen = {guarded.client.get(path, headers=bearer(token)).status_code for token in (READ, TRADE)}
    assert seen <= {200, 404}


def test_only_liveness_and_the_description_are_open(guarded):
    assert [guarded.client.get(path).status_code for path in ("/healthz", "/docs", "/openapi.json", "/nope")] == [200, 200, 200, 401]


def test_a_decision_names_the_token_that_asked(guarded):
    assert guarded.client.post("/hedge", json=HEDGE, headers=bearer(TRADE)).status_code == 200
    assert guarded.log.decisions[0].client == "desk"


def test_guessing_tokens_is_slowed_down_and_the_right_one_still_works(serve):
    served = serve({"HE_API_TOKENS": TOKENS, "HE_REFUSED_PER_MIN": "3"})
    seen = [served.client.post("/hedge", json=HEDGE, headers=bearer(f"guess-{number}")) for number in range(6)]
    assert [each.status_code for each in seen] == [401] * 3 + [429] * 3
    assert int(seen[-1].headers["retry-after"]) >= 1
    assert served.client.post("/hedge", json=HEDGE, headers=bearer(TRADE)).status_code == 200


def test_each_token_has_its_own_rate(serve):
    served = serve({"HE_API_TOKENS": TOKENS, "HE_RATE_LIMIT_PER_S": "0.001"})
    assert served.client.get("/curves", headers=bearer(READ)).status_code == 200
    late = served.client.get("/curves", headers=bearer(READ))
    assert (late.status_code, int(late.headers["retry-after"]) > 100) == (429, True)
    assert served.client.post("/hedge", json=HEDGE, headers=bearer(TRADE)).status_code == 200
    assert served.client.get("/healthz").status_code == 200


# --- hosts and origins ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]", "@localhost", "localhost@evil.example"],
)
@pytest.mark.parametrize("path", ["/hedge", "/healthz"])
def test_without_tokens_other_host_names_are_refused(served, path, host):
    answer = exchange(served, head(path, Host=host) + BODY)
    assert status_of(answer) == 403
    assert served.log.decisions == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000", "127.0.0.2:80"])
def test_this_machines_own_names_are_taken(served, host):
    assert status_of(exchange(served, head(Host=host) + BODY)) == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "http://localhost.evil.example", "https://", "file://"]
)
@pytest.mark.parametrize("tokens", [False, True])
def test_pages_of_other_origins_are_refused(serve, origin, tokens):
    served = serve({"HE_API_TOKENS": TOKENS} if tokens else {})
    headers = {"Origin": origin} | (bearer(TRADE) if tokens else {})
    answer = served.client.post("/hedge", json=HEDGE, headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert served.log.decisions == []


def test_pages_of_the_service_itself_may_ask(served):
    assert served.client.post("/hedge", json=HEDGE, headers={"Origin": served.url}).status_code == 200


def test_without_tokens_a_browser_on_another_site_is_refused(served):
    assert served.client.get("/curves", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert served.client.get("/curves", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_preflights_are_not_answered(served):
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = served.client.options("/hedge", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_with_tokens_names_may_be_limited_to_known_ones(serve):
    served = serve({"HE_API_TOKENS": TOKENS, "HE_ALLOWED_HOSTS": "hedge.example"})
    assert status_of(exchange(served, head(Host="hedge.example:8000", Authorization=f"Bearer {TRADE}") + BODY)) == 200
    assert status_of(exchange(served, head(Host="localhost", Authorization=f"Bearer {TRADE}") + BODY)) == 403


# --- bodies -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": None},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/jsonp"},
        {"Content_Type": "application/json; charset=utf-7"},
        {"Content_Type": "multipart/form-data; boundary=x"},
        {"Content_Encoding": "gzip"},
    ],
)
def test_only_plain_json_is_taken(served, headers):
    named = {"Content-Type": headers.get("Content_Type", "application/json")} if "Content_Type" in headers else {}
    answer = exchange(served, head(**{**named, **{key: value for key, value in headers.items() if key != "Content_Type"}}) + BODY)
    assert status_of(answer) == 415


def test_json_in_utf_8_may_say_so(served):
    assert status_of(exchange(served, head(**{"Content-Type": "application/json; charset=UTF-8"}) + BODY)) == 200


def test_a_body_that_announces_its_size_is_refused_unread(served):
    answer = exchange(served, head(length=100_000_000))
    assert status_of(answer) == 413
    assert b"connection: close" in answer.lower()


def test_a_hundred_megabytes_in_chunks_are_refused_while_others_are_answered(served):
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    over, answered = threading.Event(), []

    def others():
        while not over.is_set():
            answered.append(served.client.get("/healthz").status_code)

    asking = threading.Thread(target=others)
    asking.start()
    start = head(**{"Transfer-Encoding": "chunked", "Content-Length": None})
    answers = [exchange(served, start, *[chunk] * 1600) for _ in range(3)]
    over.set()
    asking.join()
    assert [status_of(answer) for answer in answers if answer] == [413] * len([answer for answer in answers if answer])
    assert any(answers)
    assert set(answered) == {200}


@pytest.mark.parametrize("path", ["/nope", "/curves", "/healthz"])
def test_a_body_that_nobody_asked_for_is_not_read(served, path):
    assert status_of(exchange(served, head(path, length=100_000_000), b" " * 100_000)) in {404, 405}


def test_a_slow_body_is_given_up_while_others_are_answered(serve):
    served = serve({"HE_BODY_TIMEOUT_S": "0.5"})
    answered = []
    answer = exchange(served, head(length=1000), b"{", pause=lambda: answered.append(served.client.post("/hedge", json=HEDGE).status_code))
    assert status_of(answer) == 408
    assert set(answered) == {200}


def test_a_body_that_drips_is_given_up_all_the_same(serve):
    served = serve({"HE_BODY_TIMEOUT_S": "0.5"})
    tick = threading.Event()
    answer = exchange(served, head(length=1000), *[b" "] * 20, pause=lambda: tick.wait(0.1))
    assert status_of(answer) == 408


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"asset":' * 6_000, b'{"asset": "BTC", "amount_usd": ' + b"[" * 500 + b"]" * 500 + b"}"])
def test_deep_nesting_is_refused(served, body):
    assert status_of(exchange(served, head(length=len(body)) + body)) == 400


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"asset": "\\ud800", "amount_usd": 1}', b"{} {}", b"NaN"])
def test_what_is_no_question_is_refused(served, body):
    assert status_of(exchange(served, head(length=len(body)) + body)) in {400, 422}


def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(served):
    with socket.create_connection(served.address, timeout=20) as raw:
        raw.sendall(head(length=1000) + b"{")
    assert served.client.post("/hedge", json=HEDGE).status_code == 200
    assert len(served.log.decisions) == 1


NASTY = ["'; DROP TABLE decisions; --", '"><script>alert(1)</script>', "{{7*7}}", "%00", "${jndi:ldap://x}", "\u202e", "a" * 200]


@pytest.mark.parametrize("text", NASTY)
def test_text_of_a_client_is_inert(served, text):
    question = {"position_delta_usd": 1.0, "signals": [{"name": "mood", "value": 0.5, "weight": 1, "description": text}]}
    answer = served.client.post("/signals", json=question)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["signal_breakdown"]["mood"]["description"] == text
    found = served.client.get(f"/decisions/{answer.json()['decision_id']}")
    assert found.json()["request"]["signals"][0]["description"] == text
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("text", [*NASTY[:-1], "../../etc/passwd", "BTC\x00"])
def test_text_that_should_be_a_name_is_refused_unrepeated(served, text):
    answer = served.client.post("/hedge", json=HEDGE | {"asset": text})
    assert answer.status_code == 422
    assert text not in answer.text
    named = served.client.post("/signals", json={"position_delta_usd": 1, "signals": [{"name": text, "value": 0, "weight": 1}]})
    assert named.status_code == 422


# --- headers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/healthz"), ("GET", "/nope"), ("GET", "/hedge"), ("POST", "/hedge"), ("GET", "/docs")]
)
def test_every_answer_has_the_same_security_headers(served, method, path):
    headers = served.client.request(method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


def test_proxy_headers_do_not_move_anybody(served):
    headers = {"X-Forwarded-For": "8.8.8.8", "X-Forwarded-Host": "evil.example", "Forwarded": "for=8.8.8.8"}
    assert served.client.post("/hedge", json=HEDGE, headers=headers).status_code == 200
