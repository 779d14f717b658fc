"""Bearer tokens: made once, shown once, kept as SHA-256 hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from alpha_pulse.errors import ConfigError

_VARIABLE: Final = "HE_API_TOKENS"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENTRY: Final = re.compile(rf"({_NAME.pattern}):(read|trade):([0-9a-fA-F]{{64}})")
_BYTES: Final = 32  # of randomness: nobody guesses it, so that a fast hash is enough
_HOW: Final = "`alpha-pulse serve --new-token NAME --scope read` prints one"


class Scope(StrEnum):
    """What a token may do. ``trade`` may ask everything, ``read`` may look at what was answered."""

    READ = "read"
    TRADE = "trade"

    def allows(self, wanted: Scope) -> bool:
        """Whether a token of this scope may do what takes ``wanted``."""
        return self is Scope.TRADE or wanted is Scope.READ


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as it is kept: never itself, only its hash."""

    name: str
    scope: Scope
    digest: bytes = field(repr=False)

    @property
    def entry(self) -> str:
        """As it stands in ``HE_API_TOKENS``."""
        return f"{self.name}:{self.scope.value}:{self.digest.hex()}"


def new_token(name: str, scope: Scope) -> tuple[str, ApiToken]:
    """A fresh token, and what is kept of it.

    Raises:
        ConfigError: the name cannot stand in ``HE_API_TOKENS``.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("is no name for a token", field="--new-token", value=name, fix="letters, digits, dot, dash and underscore")
    token = secrets.token_urlsafe(_BYTES)
    return token, ApiToken(name, scope, digest_of(token))


def digest_of(token: str) -> bytes:
    """SHA-256 of a token as a client sends it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def parse_tokens(text: str) -> tuple[ApiToken, ...]:
    """The tokens of ``HE_API_TOKENS``: ``name:scope:sha256`` entries, separated by commas or white space.

    Raises:
        ConfigError: an entry is malformed, or a name is given twice. Entries are counted from 1 and never repeated: somebody will paste
            a token there.
    """
    found: dict[str, ApiToken] = {}
    for number, entry in enumerate(text.replace(",", " ").split(), start=1):
        parts = _ENTRY.fullmatch(entry)
        if parts is None:
            raise ConfigError(f"entry {number} is not name:scope:sha256, with read or trade as scope", field=_VARIABLE, fix=_HOW)
        name, scope, digest = parts.groups()
        if name in found:
            raise ConfigError(f"the name {name} is given twice", field=_VARIABLE, fix="give each token a name of its own")
        found[name] = ApiToken(name, Scope(scope), bytes.fromhex(digest))
    return tuple(found.values())


def find_token(tokens: Iterable[ApiToken], presented: str) -> ApiToken | None:
    """The token that a client presented, if it is one of these. It takes as long for a wrong token as for any right one."""
    digest, found = digest_of(presented), None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found
