"""Keeps alerts from being sent into the own network: to cloud metadata, to this machine, to whatever listens behind the firewall.

Two checks. ``Guard.check`` resolves the host of a target before anything is sent, for a clear message. What protects is ``Guard.watching``:
while it lasts, each address that this thread connects to is judged at the moment it does, whatever library connects, whatever
name led there, after any redirect or rebinding. It stands on CPython's audit events (PEP 578), which name the very address that the
socket is given; a connection to a name instead of an address is refused, so that nobody can resolve it differently. A proxy of the
environment is judged like any other destination.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Permits: TypeAlias = Callable[[Address], bool]
Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""From a host's name to its addresses, as texts; raises OSError where there are none."""

# Cloud metadata that is not link-local: AWS and GCP over IPv6, Alibaba, Azure's platform address, Oracle.
_METADATA: Final = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_OWN: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128")
)
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # IPv4 in its last 32 bits, deprecated and still understood
_LOW: Final = 0xFFFFFFFF
_CONNECTS: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NUMERIC: Final = frozenset("0123456789abcdefABCDEFxX.")


class Refused(PermissionError):  # noqa: N818 - named by what happened, as the others are
    """A message would have gone where it must not."""

    def __init__(self, destination: str) -> None:
        self.destination = destination
        super().__init__(errno.EACCES, f"{destination} is in the own network, on this machine or reserved: nothing is sent there")


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, as far as the address tells; so must be every address that it wraps."""
    return all(_is_public(one) for one in _unwrapped(address))


def is_public_or_own(address: Address) -> bool:
    """As ``is_public``, or private or loopback, for self-hosted services; never metadata, link-local, multicast or reserved."""
    return all(_is_public(one) or (one not in _METADATA and _is_own(one)) for one in _unwrapped(address))


def _is_public(address: Address) -> bool:
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local or address in _METADATA)


def _is_own(address: Address) -> bool:
    return any(address.version == network.version and address in network for network in _OWN)


def _unwrapped(address: Address) -> tuple[Address, ...]:
    """The addresses that this one stands for: IPv4 inside IPv6 (mapped, compatible, NAT64), with the wrapper where that counts too."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    low = ipaddress.IPv4Address(int(address) & _LOW)
    if any(address in network for network in _NAT64):
        return (low,)
    if address in _COMPATIBLE and int(address) > 1:
        return (low,)
    inner = [address.sixtofour, *(address.teredo or ())]
    return (ipaddress.IPv6Address(int(address)), *(one for one in inner if one is not None))  # without the zone


def literal(host: str) -> Address | None:
    """The address that a host is if it is no name: also in brackets, in decimal, octal or hexadecimal, or with parts left out."""
    text = host.strip().strip("[]").rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if not text or not set(text) <= _NUMERIC:
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))  # reads 2130706433, 0177.1 and 0x7f.1 as connecting would
    except OSError:
        return None


def resolved(host: str) -> Sequence[str]:
    """Every address of a name, as this machine's resolver has them now."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Guard:
    """Judges destinations by ``permits``; names are looked up with ``resolve``."""

    def __init__(self, permits: Permits = is_public, resolve: Resolve = resolved) -> None:
        self._permits = permits
        self._resolve = resolve

    def check(self, host: str) -> None:
        """Refuse a host if any of its addresses is not permitted. One that cannot be resolved now is left to the attempt to connect.

        Raises:
            Refused: nothing may be sent there.
        """
        address = literal(host)
        if address is not None:
            self._judge(address, host)
            return
        try:
            found = self._resolve(host)
        except (OSError, UnicodeError):
            return
        for text in found:
            self._judge(ipaddress.ip_address(text), f"{host} ({text})")

    @contextmanager
    def watching(self) -> Iterator[list[Refused]]:
        """While this lasts, this thread connects to permitted addresses alone. Yields the list that refusals are added to."""
        _install()
        before, refusals = getattr(_watched, "judge", None), []

        def judge(destination: Any) -> None:
            try:
                self._judge_destination(destination)
            except Refused as refused:
                refusals.append(refused)
                raise

        _watched.judge = judge
        try:
            yield refusals
        finally:
            _watched.judge = before

    def _judge_destination(self, destination: Any) -> None:
        """``destination`` is what a socket was given: (host, port, ...) of the internet, anything else of another family."""
        host = destination[0] if isinstance(destination, tuple) and destination else None
        try:
            address = ipaddress.ip_address(host) if isinstance(host, str) else None
        except ValueError:
            address = None
        if address is None:
            raise Refused(f"{host or destination!r}, which is no internet address,")
        self._judge(address, str(host))

    def _judge(self, address: Address, shown: str) -> None:
        if not self._permits(address):
            raise Refused(shown)


_watched = threading.local()
_installing = threading.Lock()
_installed: list[bool] = []


def _install() -> None:
    """Add the audit hook, once for the process: hooks cannot be removed, so it does nothing for threads that are not watched."""
    with _installing:
        if not _installed:
            sys.addaudithook(_audit)
            _installed.append(True)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _CONNECTS:
        return
    judge = getattr(_watched, "judge", None)
    if judge is not None and (event == "socket.connect" or arguments[1] is not None):
        judge(arguments[1])
