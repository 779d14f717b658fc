"""Secrets taken out of texts: those that were registered, in every form that they travel in, and what looks like a credential."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "***"
_SHORTEST_BASE64: Final = 8  # characters: fewer would be found in innocent text
_SHORTEST_LINE: Final = 16  # of a private key that spans lines; "-----" and the like are no secrets
_SHORTEST_SECRET: Final = 4  # characters
_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}")

# What signs or authenticates a request, as exchanges and notification services call it.
_HEADERS: Final = (
    r"X-MBX-APIKEY|X-BAPI-(?:API-KEY|SIGN)|(?:OK-)?ACCESS-(?:KEY|SIGN|PASSPHRASE)|KC-API-(?:KEY|SIGN|PASSPHRASE)|"
    r"APIKey|Authent|(?:Proxy-)?Authorization|X-API-KEY|X-Auth-Token|X-Gotify-Key"
)
_PARAMETERS: Final = r"signature|api_?key|api_?secret|access_?token|listen_?key|token|passphrase|(?:ssl)?password|pass|secret"
_NAMED: Final = re.compile(rf"(?:{_HEADERS}|{_PARAMETERS}|Cookie|Set-Cookie)", re.IGNORECASE)
_PATTERNS: Final = (
    re.compile(rf"(?i)(?<![A-Za-z0-9])((?:{_PARAMETERS})=)[^&\s\"'<>]+"),
    re.compile(
        rf"(?i)(?<![\w-])((?:(?:{_HEADERS})|(?-i:(?<=['\"])(?:KEY|SIGN)(?=['\"])))['\"]?\s*[:=,]\s*(?:b(?=['\"]))?['\"]?)"
        r"(?:(?:Bearer|Basic|Digest|Token)\s+)?[^\s'\",;}\])]+"
    ),
    re.compile(r"(://[^:/@\s]*:)(?!PASSWORD@)[^@\s]+(?=@)"),  # the password in a URL; not where a fix says how to write one
)

_secrets: set[str] = set()


def register_secret(secret: str) -> None:
    """From now on ``secret`` is masked wherever it would be logged: messages, bound fields, exceptions.

    Also where it is URL-encoded, escaped as JSON or as a Python string, or in base64, alone or inside something longer
    (``Basic`` credentials), and each long line of a secret of several lines.
    """
    if len(secret.strip()) < _SHORTEST_SECRET:
        return  # nothing can be hidden by masking a letter, and every log would be holes
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret.strip() else []
    for piece in {secret, secret.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)}:
        _secrets.update(_forms(piece))


def forget_secrets() -> None:
    """Mask nothing that was registered any more. For tests."""
    _secrets.clear()


def mask(text: str) -> str:
    """``text`` without any registered secret, and without the values of signatures, keys and passwords that it names."""
    if _secrets:
        text = _registered(frozenset(_secrets)).sub(MASK, text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def is_sensitive(name: str) -> bool:
    """Whether a header, parameter or field of this name holds a credential."""
    return bool(_NAMED.fullmatch(name))


@lru_cache(maxsize=1)
def _registered(secrets: frozenset[str]) -> re.Pattern[str]:
    """Longest first: one secret may hold another."""
    return re.compile("|".join(re.escape(secret) for secret in sorted(secrets, key=len, reverse=True)))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield encoded
        yield _ESCAPE.sub(lambda found: found.group().lower(), encoded)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield from _base64_forms(secret.encode("utf-8", "backslashreplace"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """In base64 a text looks different at each of three places in a group of three bytes; its first and last characters depend on
    what stands beside it and are left out, except where it stands alone.
    """
    for before in range(3):
        coded = b64encode(b"\0" * before + secret).decode("ascii")
        inner = coded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        for form in (inner, coded, coded.rstrip("=")) if before == 0 else (inner,):
            if len(form) >= _SHORTEST_BASE64:
                yield form
                yield form.translate({ord("+"): "-", ord("/"): "_"})
