"""Alerts over real HTTP and SMTP on loopback, and into nothing that is forbidden."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
import requests
import typer
from loguru import logger
from typer.testing import CliRunner

from alpha_pulse.cli.notify import notify_test
from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.masking import forget_secrets, mask
from alpha_pulse.runtime.notify.channel import Backoff
from alpha_pulse.runtime.notify.config import NotifySettings, Severity
from alpha_pulse.runtime.notify.guard import Guard, Refused, is_public_or_own
from alpha_pulse.runtime.notify.notifier import Notifier, notify_targets
from alpha_pulse.runtime.notify.targets import SendFailed, Target
from alpha_pulse.testing.bookings import SYMBOL
from alpha_pulse.testing.fakes import FakeClock

TOKEN = "A1b2C3d4E5f6G7h8"  # noqa: S105 - planted
HOSTILE = "<b>x</b> [l](http://evil.example) *y* @everyone"


@dataclass
class Server:
    """An HTTP server on 127.0.0.1 that answers as its script says; the last status repeats."""

    script: list[int] = field(default_factory=lambda: [200])
    location: str = ""
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    port: int = 0
    headers: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            state.received.append((self.path, json.loads(body or b"{}")))
            state.headers.append(str(self.headers))
            status = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            self.send_response(status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    state.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    forget_secrets()


def loopback(address: IPv4Address | IPv6Address) -> bool:
    """What tests permit: the server's address and no other."""
    return str(address) == "127.0.0.1"


def targets(*urls: str, **options: Any) -> tuple[Target, ...]:
    return notify_targets(NotifySettings(urls=urls), {}, **({"permits": loopback} | options))


def send(target: Target, body: str = "body") -> None:
    target.send("title", body, Severity.WARNING)


def refused(target: Target) -> str:
    with pytest.raises(SendFailed) as failed:
        send(target)
    assert not failed.value.again
    return str(failed.value)


def test_an_alert_arrives_as_it_was_worded_after_a_retry(server):
    server.script = [500, 200]
    settings = NotifySettings(urls_env="MY_TARGETS")
    found = notify_targets(settings, {"MY_TARGETS": f"json://127.0.0.1:{server.port}/{TOKEN}"}, permits=loopback)
    notifier = Notifier(settings, FakeClock(), found, backoff=Backoff(0.001, 0.01, 0.0))
    notifier.tell([Event(EventKind.ALERT, 1_738_582_543_000, "t", {"key": "liquidation", "text": f"Top up by 5 USDT {HOSTILE}"})], SYMBOL)
    notifier.close()
    assert [path for path, _ in server.received] == [f"/{TOKEN}", f"/{TOKEN}"]
    body = server.received[1][1]
    assert body["title"] == "CRITICAL BTCUSDT: liquidation"
    assert body["type"] == "failure"
    assert "Top up by 5 USDT" in body["message"]
    assert not set("<>*@[") & set(body["message"].replace("\n", ""))
    assert (notifier.dropped, notifier.lost) == (0, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "localhost", "[::1]", "[::ffff:7f00:1]", "169.254.169.254", "10.0.0.1"])
def test_by_default_no_target_in_the_own_network_gets_anything(server, host):
    (target,) = targets(f"json://{host}:{server.port}/", permits=None)
    assert "nothing is sent there" in refused(target)
    assert server.received == []


@pytest.mark.parametrize("host", ["0177.0.0.1", "0x7f.1", "127.1"])
def test_other_disguises_are_no_hosts_to_the_library_already(host):
    with pytest.raises(ConfigError, match="no URL that apprise can read"):
        targets(f"json://{host}/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_self_hosted_target_is_reached_where_the_user_allows_it_and_metadata_is_not(server, host):
    settings = NotifySettings(urls=[f"json://{host}:{server.port}/", "json://169.254.169.254/latest"], allow_private_hosts=True)
    own, metadata = notify_targets(settings, {})
    send(own)
    assert len(server.received) == 1
    assert "169.254.169.254" in refused(metadata)


def test_a_name_that_rebinds_between_the_check_and_the_connection_is_refused(server):
    (target,) = targets(f"json://localhost:{server.port}/", permits=None, resolve=lambda _name: ["93.184.216.34"])
    assert "127.0.0.1" in refused(target) or "::1" in refused(target)
    assert server.received == []


def test_a_name_is_refused_when_any_of_its_addresses_is_forbidden(server):
    (target,) = targets("json://hooks.example/", permits=None, resolve=lambda _name: ["93.184.216.34", "169.254.169.254"])
    assert "hooks.example (169.254.169.254)" in refused(target)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server, status):
    server.script, server.location = [status], f"http://127.0.0.1:{server.port}/elsewhere"
    (target,) = targets(f"json://127.0.0.1:{server.port}/")
    with pytest.raises(SendFailed):
        send(target)
    assert len(server.received) == 1


def test_a_redirect_that_something_follows_all_the_same_ends_at_the_forbidden_address(server):
    server.script, server.location = [302], f"http://127.0.0.2:{server.port}/"
    with Guard(loopback).watching() as refusals, pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{server.port}/", timeout=5)
    assert [refusal.destination for refusal in refusals] == ["127.0.0.2"]
    assert len(server.received) == 1


def test_a_target_that_insists_on_redirects_is_refused_at_the_start(server):
    with pytest.raises(ConfigError, match=r"notify target 1: follows redirects.*Fix: remove redirect=yes"):
        targets(f"json://127.0.0.1:{server.port}/?redirect=yes")


def test_mail_is_guarded_too():
    accepted: list[bytes] = []

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            accepted.append(b"")
            self.wfile.write(b"220 here\r\n")
            data = False
            for line in self.rfile:
                accepted[-1] += line
                if data:
                    data = line != b".\r\n"
                    reply = b"" if data else b"250 queued\r\n"
                elif line.upper().startswith(b"DATA"):
                    data, reply = True, b"354 go\r\n"
                elif line.upper().startswith(b"QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    reply = b"250 ok\r\n"
                self.wfile.write(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as smtp:
        smtp.daemon_threads = True
        thread = threading.Thread(target=smtp.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"mailto://bot.example:{smtp.server_address[1]}/?smtp=127.0.0.1&from=bot@bot.example&to=me@bot.example&mode=insecure"
        try:
            (forbidden,) = targets(url, permits=None, resolve=lambda _name: [])
            assert "127.0.0.1" in refused(forbidden)
            assert accepted == []
            (permitted,) = targets(url, resolve=lambda _name: [])
            send(permitted, "Top up by 5 USDT <now>")
        finally:
            smtp.shutdown()
            thread.join()
    assert b"Top up by 5 USDT" in accepted[0]
    assert b"Content-Type: text/plain" in accepted[0]


def test_a_service_that_cannot_be_guarded_and_a_url_that_nobody_can_read_are_refused_without_being_repeated():
    for url in (f"syslog://{TOKEN}", f"rsyslog://{TOKEN}", f"bogus://{TOKEN}", TOKEN):
        with pytest.raises(ConfigError, match="notify target 2") as error:
            targets("json://hooks.example/", url)
        assert TOKEN not in str(error.value)


def test_tokens_are_masked_in_reasons_and_logs(server):
    server.script = [403]
    lines: list[str] = []
    number = logger.add(lambda line: lines.append(str(line)))
    url = f"json://bot:pass-w0rd-x@127.0.0.1:{server.port}/hooks/{TOKEN}/?+X-Token=Zz9Yy8Xx7Ww6Vv5"
    settings = NotifySettings(urls=[url], attempts=1)
    notifier = Notifier(settings, FakeClock(), notify_targets(settings, {}, permits=loopback))
    notifier.tell([Event(EventKind.ALERT, 1, "t", {"key": f"stale {TOKEN}", "text": f"{TOKEN} pass-w0rd-x Zz9Yy8Xx7Ww6Vv5"})], SYMBOL)
    notifier.close()
    logger.remove(number)
    assert "target 1 (JSON)" in lines[0]
    assert "403" in lines[0]
    sent = json.dumps(server.received[0][1])
    assert "Basic " in server.headers[0]
    for secret in (TOKEN, "pass-w0rd-x", "Zz9Yy8Xx7Ww6Vv5"):
        assert secret not in sent + "".join(lines)
        assert secret not in mask(server.headers[0])
    assert "hooks" in mask("hooks")  # a word of the path is no secret


def test_nothing_is_looked_up_that_stands_where_a_token_does():
    looked_up: list[str] = []

    def resolve(name: str) -> list[str]:
        looked_up.append(name)
        return []

    for target in targets(
        f"tgram://123456789:AAEjGCeGHpSJQ8cTxuRq3BBBLFJFQbq3{TOKEN[:3]}/12315544/",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "ntfy://my-secret-topic",
        permits=lambda _address: False,
        resolve=resolve,
    ):
        with pytest.raises(SendFailed):
            send(target)
    assert looked_up == []


def test_a_target_that_is_down_or_silent_holds_nobody_up(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = NotifySettings(
            urls=[f"json://127.0.0.1:{port}/?rto=0.3", f"json://127.0.0.1:{server.port}/"], close_timeout_s=2, attempts=1
        )
        notifier = Notifier(settings, FakeClock(), notify_targets(settings, {}, permits=loopback))
        started = time.monotonic()
        notifier.tell([Event(EventKind.STARTED, 1, "t", {})], SYMBOL)
        assert time.monotonic() - started < 0.1
        notifier.close()
        assert time.monotonic() - started < 2.5
    assert len(server.received) == 1
    assert notifier.lost == 1


def test_the_guard_permits_what_it_was_told_to_and_the_default_refuses(server):
    with Guard(is_public_or_own).watching():
        assert requests.get(f"http://127.0.0.1:{server.port}/", timeout=5).status_code == 200
    with pytest.raises(Refused):
        Guard().check("127.0.0.1")


def test_the_command_says_what_became_of_each_target(server, monkeypatch):
    app = typer.Typer()
    app.command()(notify_test)
    monkeypatch.setenv("ALPHA_PULSE_NOTIFY_URLS", f"json://127.0.0.1:{server.port}/ json://169.254.169.254/")
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("target 1 (JSON): refused: 127.0.0.1 ")
    assert second.startswith("target 2 (JSON): refused: 169.254.169.254 ")
    monkeypatch.delenv("ALPHA_PULSE_NOTIFY_URLS")
    done = CliRunner().invoke(app, [])
    assert isinstance(done.exception, ConfigError)
