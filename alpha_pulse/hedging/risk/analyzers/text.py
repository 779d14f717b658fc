"""Texts from outside, made fit to be stored and shown: no key, no control characters, not too long. Pure."""

from __future__ import annotations


class Cleaner:
    """Cleans text, knowing the key that must never appear in it. Its repr shows nothing of the key."""

    __slots__ = ("_key",)

    def __init__(self, key: str = "") -> None:
        self._key = key

    def without_key(self, text: str) -> str:
        """The text with every occurrence of the key replaced by stars."""
        return text.replace(self._key, "***") if self._key else text

    def __call__(self, text: str, limit: int) -> str:
        """At most ``limit`` characters (then how many were left out), with what is not printable written as an escape.

        Control characters, lone surrogates and text-direction marks would break a database, a hash or a terminal.
        """
        text = self.without_key(text)
        kept = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:limit])[:limit]
        return kept if len(text) <= limit else f"{kept}… ({len(text) - limit} more characters)"
