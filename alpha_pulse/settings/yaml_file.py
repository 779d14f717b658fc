"""Reads a YAML file of settings: line numbers kept, numbers left as they were written, everything odd refused with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from alpha_pulse.errors import ConfigError

_STANDARD_TAG: Final = "tag:yaml.org,2002:"
_DEEPEST: Final = 9  # the knots of a curve of one of several pairs; an alias to itself has no end
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(slots=True)
class YamlFile:
    """What a file said. Numbers are strings, exactly as written, so that 0.1 never passes through a float."""

    path: Path
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # by dotted key, counted from 1


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file cannot be read, is empty, is no YAML, is no mapping, or gives a key twice; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("no such file.", field=str(path), fix="check the path, or write one with `alpha-pulse init`") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not a text file (byte {error.start}).", field=str(path), fix="give a YAML file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}.", field=str(path), fix="give a readable YAML file") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, error) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"is not YAML: {' '.join(str(error).split())}.", field=str(path), fix="give a YAML file in UTF-8") from None
    if root is None:
        raise ConfigError("is empty.", field=str(path), fix="write one with `alpha-pulse init`, or leave --config out to run on defaults")
    if not isinstance(root, MappingNode):
        raise ConfigError("must be a mapping of settings.", field=_place(path, root), fix="write `key: value` lines, e.g. symbol: BTCUSDT")
    found = YamlFile(path)
    found.data = _mapping(root, found, "", 0)
    return found


def _syntax_error(path: Path, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = f"{path}:{mark.line + 1}" if mark else str(path)
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return ConfigError("a tab is no indentation in YAML.", field=place, fix="indent with spaces")
    context = f"{error.context}, " if error.context else ""
    return ConfigError(f"is not YAML: {context}{problem}.", field=place, fix="check colons, quotes, brackets and indentation on this line")


def _place(path: Path, node: Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _mapping(node: MappingNode, found: YamlFile, prefix: str, depth: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            raise ConfigError("a key must be a plain name.", field=_place(found.path, key_node), fix="write `name: value`")
        key = str(key_node.value)
        line = key_node.start_mark.line + 1
        if key in first:
            fix = "keep one of the two"
            raise ConfigError(f"{prefix}{key} is given twice, first on line {first[key]}.", field=_place(found.path, key_node), fix=fix)
        first[key] = line
        found.lines[f"{prefix}{key}"] = line
        result[key] = _value(value_node, found, f"{prefix}{key}.", depth + 1)
    return result


def _value(node: Node, found: YamlFile, prefix: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ConfigError("is nested too deeply.", field=_place(found.path, node), fix="settings are `section: {key: value}`")
    if not node.tag.startswith(_STANDARD_TAG):
        raise ConfigError(f"the tag {node.tag} is not known here.", field=_place(found.path, node), fix="remove the tag")
    if isinstance(node, MappingNode):
        return _mapping(node, found, prefix, depth)
    if isinstance(node, SequenceNode):
        items = []
        for number, item in enumerate(node.value):
            found.lines[f"{prefix[:-1]}[{number}]"] = item.start_mark.line + 1
            items.append(_value(item, found, f"{prefix[:-1]}[{number}].", depth + 1))
        return items
    if node.tag == f"{_STANDARD_TAG}null":
        return None
    if node.tag == f"{_STANDARD_TAG}bool":
        return _BOOLEANS.get(node.value.lower(), node.value)
    return node.value
