"""How much disk the core takes: the package and everything that it requires without extras."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_OURS = "alpha-pulse"
_BLOCK = 512  # bytes, the unit of st_blocks


def core_size() -> int:
    """Bytes on disk of the core as it is installed in this environment, compiled bytecode included, and of the pip that installs it."""
    return sum(size_of(path) for path in core_files())


def core_files() -> set[Path]:
    """Every file of the core's distributions."""
    files: set[Path] = set()
    for name in sorted(core_names()):
        files.update(_files(distribution(name)))
    package = importlib.util.find_spec("alpha_pulse")
    for folder in (package.submodule_search_locations or ()) if package else ():  # an editable install lists no files of its own
        files.update(Path(folder).resolve().rglob("*"))
    return {file for file in files if file.is_file()}


def core_names() -> set[str]:
    """Canonical names of the core's distributions, and pip where it is installed."""
    names: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(_OURS, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        names.add(name)
        needs = required(distribution(name).requires or (), extras)
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in needs]
    return names | ({"pip"} if _is_installed("pip") else set())


def required(lines: Iterable[str], extras: Iterable[str]) -> list[Requirement]:
    """The requirements among ``lines`` that hold on this machine, with these extras of the distribution that states them."""
    parsed = [Requirement(line) for line in lines]
    wanted = ("", *extras)
    return [each for each in parsed if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted)]


def size_of(path: Path) -> int:
    """What a file takes on disk, in whole blocks [bytes]."""
    status = path.stat()
    return status.st_blocks * _BLOCK if hasattr(status, "st_blocks") else status.st_size


def _files(found: Distribution) -> Iterable[Path]:
    return (Path(str(found.locate_file(file))).resolve() for file in found.files or ())


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
