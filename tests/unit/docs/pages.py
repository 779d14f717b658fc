"""The documentation as the tests read it: pages, fenced blocks, inline code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """One fenced block. Page relative to the root, ``number`` within the page."""

    page: str
    number: int
    language: str
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(language: str) -> list[Block]:
    """Every fenced block of a language."""
    found = []
    for page in PAGES:
        for number, (tag, text) in enumerate(_FENCE.findall(page.read_text(encoding="utf-8")), 1):
            if tag == language:
                found.append(Block(name_of(page), number, tag, text))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in the prose of a page."""
    return _INLINE.findall(prose(page))
