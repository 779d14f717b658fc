"""Where messages go: each apprise URL as a guarded target that says why a message did not get through."""

from __future__ import annotations

import logging
import re
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from alpha_pulse.errors import AlphaPulseError, ConfigError
from alpha_pulse.runtime.masking import mask, register_secret
from alpha_pulse.runtime.notify.config import Severity
from alpha_pulse.runtime.notify.guard import Guard, Refused, literal

if TYPE_CHECKING:
    from apprise import AppriseAsset

_TITLE: Final = "alpha_pulse"
_TIMEOUT_S: Final = 60.0
_LONG: Final = 12  # characters: a shorter part of a URL is rather a word than a token
_WORD: Final = re.compile(r"[a-z]+|[A-Z][a-z]+")
_TYPES: Final = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}


class SendFailed(AlphaPulseError):  # noqa: N818 - named by what happened, as the others are
    """A message did not get through. ``again``: whether another attempt may help."""

    def __init__(self, reason: str, *, again: bool) -> None:
        self.again = again
        super().__init__(reason)


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """One place that messages are sent to. ``label`` names it without its URL; ``plugin`` is apprise's."""

    label: str
    plugin: Any
    guard: Guard

    def send(self, title: str, body: str, severity: Severity) -> None:
        """Send one message and wait for it; for a thread of its own.

        Raises:
            SendFailed: it did not get through, and why.
        """
        reasons: list[str] = []
        with self.guard.watching() as refusals:
            _reasons.into = reasons
            try:
                for host in _hosts(self.plugin):
                    self.guard.check(host)
                done = self.plugin.notify(title=title, body=body, notify_type=_TYPES[severity], body_format="text")
            except Refused as refused:
                raise SendFailed(f"refused: {mask(str(refused.strerror))}", again=False) from None
            except Exception as error:  # noqa: BLE001 - the code of any of a hundred services; it must not end the alerts
                done, reasons = False, [*reasons, f"{type(error).__name__}: {error}"]
            finally:
                _reasons.into = None
        if not done and refusals:
            raise SendFailed(f"refused: {mask(str(refusals[0].strerror))}", again=False)
        if not done:
            raise SendFailed(mask("; ".join(reasons) or "the service did not take it"), again=True)


def open_targets(urls: Sequence[SecretStr], guard: Guard) -> tuple[Target, ...]:
    """Read the URLs; whatever is secret in them is masked in the log from now on.

    Raises:
        ConfigError: apprise is not installed, or it cannot read a URL or be kept from forbidden hosts with it. URLs are not repeated.
    """
    asset = _asset()
    for url in urls:
        _register(url.get_secret_value())
    with warnings.catch_warnings(), guard.watching():  # a service may connect as soon as it is made
        warnings.simplefilter("ignore", DeprecationWarning)  # the first URL loads every service, with whatever they still import
        return tuple(_target(number, url.get_secret_value(), asset, guard) for number, url in enumerate(urls, start=1))


def _asset() -> AppriseAsset:
    try:
        import apprise  # noqa: PLC0415 - half a second and a hundred services, for those who want alerts
        import stamina  # noqa: F401, PLC0415 - missing, it would show on the first alert
    except ImportError as error:
        raise ConfigError(
            f"alerts need a library that is not installed ({error.name})",
            field="notify",
            fix='pip install "alpha-pulse[notify]", or unset the targets',
        ) from None
    logger = logging.getLogger("apprise")
    if not any(isinstance(handler, _Reasons) for handler in logger.handlers):
        logger.addHandler(_Reasons(logging.WARNING))
        logger.propagate = False  # what failed is said once, by whoever sends
    return apprise.AppriseAsset(
        app_id=_TITLE,
        app_desc=_TITLE,
        http_redirects=False,
        async_mode=False,
        service_timeout=_TIMEOUT_S,
        pgp_autogen=False,
        pem_autogen=False,
    )


def _target(number: int, url: str, asset: AppriseAsset, guard: Guard) -> Target:
    import apprise  # noqa: PLC0415 - as above

    where = f"notify target {number}"
    plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        raise ConfigError(
            "is no URL that apprise can read, or needs a library of its own", field=where, fix="compare it with apprise's list of services"
        )
    label = f"target {number} ({plugin.service_name})"
    if not _is_guarded(plugin):
        raise ConfigError(
            f"{plugin.service_name} cannot be kept from forbidden hosts", field=where, fix="use a service over https, or mail"
        )
    if plugin.redirects:
        raise ConfigError("follows redirects, which may lead anywhere", field=where, fix="remove redirect=yes from it")
    return Target(label, plugin, guard)


def _is_guarded(plugin: Any) -> bool:
    """Whether it connects with Python's sockets in the thread that it is called in: all that use requests, and mail."""
    name = type(plugin).__module__
    return hasattr(sys.modules[name], "requests") or name.startswith("apprise.plugins.email.")


def _hosts(plugin: Any) -> list[str]:
    """The hosts that a URL names, as far as they are known to be hosts: never a token that stands in the host's place."""
    named = [plugin.host] if "host" in plugin.template_tokens else []
    named += [getattr(plugin, "smtp_host", None)]
    return [str(host) for host in named if host and ("." in host or host.lower() == "localhost" or literal(host) is not None)]


def _register(url: str) -> None:
    """Mask the URL, its user and password, and every part of it that may be a token."""
    register_secret(url)
    try:
        parts = urlsplit(url)
        credentials = [parts.username, parts.password]
    except ValueError:
        return
    place = parts.netloc.rpartition("@")[2]
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    pieces += [] if "." in place or "[" in place else place.split(":")
    for piece in credentials:
        if piece:
            register_secret(unquote(piece))
    for piece in pieces:
        if len(piece) >= _LONG and not _WORD.fullmatch(piece):
            register_secret(unquote(piece))


class _Into(threading.local):
    """Where this thread's reasons go."""

    into: list[str] | None = None


_reasons = _Into()


class _Reasons(logging.Handler):
    """Collects what apprise says about a failure, for the thread that sends."""

    def emit(self, record: logging.LogRecord) -> None:
        if _reasons.into is not None:
            _reasons.into.append(record.getMessage())
