"""Where alerts may go."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest

from alpha_pulse.runtime.notify.guard import Guard, Refused, is_public, is_public_or_own, literal

PUBLIC = ("8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808")
OWN = (
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
)  # fmt: skip
NEVER = (
    "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255",  # noqa: S104 - nothing binds
    "192.0.2.1", "198.18.0.1", "2001:db8::1", "fec0::1",
)  # fmt: skip


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_permitted(text):
    assert is_public(ipaddress.ip_address(text))
    assert is_public_or_own(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", OWN)
def test_private_and_loopback_addresses_are_permitted_where_the_user_asks_for_it(text):
    assert not is_public(ipaddress.ip_address(text))
    assert is_public_or_own(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", NEVER)
def test_metadata_link_local_multicast_and_reserved_addresses_are_never_permitted(text):
    assert not is_public(ipaddress.ip_address(text))
    assert not is_public_or_own(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0177.0.0.1", "017700000001", "0x7f000001", "0x7f.1", "127.1", "127.0.0.1.", "[::1]", "::ffff:7f00:1"],
)
def test_an_address_in_disguise_is_seen_through_without_asking_the_resolver(host):
    def resolve(name: str) -> list[str]:
        pytest.fail(f"{name} was looked up")

    assert literal(host) is not None
    with pytest.raises(Refused, match="nothing is sent there"):
        Guard(is_public, resolve).check(host)


@pytest.mark.parametrize("host", ["localhost", "face", "hooks.example", "1inch.io", ""])
def test_a_name_is_no_address(host):
    assert literal(host) is None


def test_a_name_with_one_forbidden_address_among_good_ones_is_refused():
    guard = Guard(is_public, lambda _name: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Refused, match=r"hooks\.example \(10\.0\.0\.1\)"):
        guard.check("hooks.example")
    Guard(is_public, lambda _name: ["8.8.8.8"]).check("hooks.example")


def test_a_name_that_cannot_be_resolved_now_is_left_to_the_attempt():
    def resolve(_name: str) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    Guard(is_public, resolve).check("hooks.example")


def test_while_watching_a_forbidden_connection_never_reaches_the_listener(listener):
    with Guard(is_public).watching() as refusals:
        with pytest.raises(Refused):
            socket.create_connection(listener.getsockname())
        with socket.socket() as plain, pytest.raises(Refused):
            plain.connect_ex(listener.getsockname())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(Refused):
            datagrams.sendto(b"x", ("169.254.169.254", 53))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(Refused):
            datagrams.sendmsg([b"x"], [], 0, ("10.0.0.1", 53))
    assert [refusal.destination for refusal in refusals] == ["127.0.0.1", "127.0.0.1", "169.254.169.254", "10.0.0.1"]
    listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_while_watching_a_name_given_to_a_socket_is_refused_because_it_could_change_its_mind(listener):
    with Guard(lambda _address: True).watching(), socket.socket() as plain, pytest.raises(Refused, match="no internet address"):
        plain.connect(("localhost", listener.getsockname()[1]))


def test_while_watching_local_sockets_are_refused(tmp_path):
    with Guard(lambda _address: True).watching(), socket.socket(socket.AF_UNIX) as local, pytest.raises(Refused):
        local.connect(str(tmp_path / "socket"))


def test_neither_other_threads_nor_what_comes_after_is_watched(listener):
    done: list[bool] = []

    def connect() -> None:
        socket.create_connection(listener.getsockname()).close()
        done.append(True)

    with Guard(is_public).watching():
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
    connect()
    assert done == [True, True]
