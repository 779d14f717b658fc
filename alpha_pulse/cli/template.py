"""A commented configuration, written from the settings themselves so that it cannot drift from them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final, Literal, get_args, get_origin

from alpha_pulse.hedging.common.problems import dotted_keys
from alpha_pulse.hedging.common.section import key_of, text_of, unit_of
from alpha_pulse.settings import Settings

_BARE: Final = re.compile(r"[A-Za-z_./][\w./+-]*(:[\w./+-]+)*")  # needs no quotes in YAML, and is not taken for a number
_WORDS: Final = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_COMMENT_COLUMN: Final = 42
_HEADER: Final = """\
# Settings of alpha_pulse: every key with its default, what it means and its [unit].
# Numbers may be written as numbers or as strings; fractions are fractions: 0.01 is 1 %. null switches a limit off, or says "choose for me".
# The environment (TRADING_MODE, ALPHA_PULSE_SECTION__KEY) beats this file, and flags beat both:
# `alpha-pulse config show` tells what is in force and why, `alpha-pulse doctor` what is dangerous about it.
"""


def render(settings: Settings) -> str:
    """The settings as a commented YAML file; a value that is not the default is marked with what the default is."""
    defaults = Settings()
    lines = [_HEADER]
    keys = dotted_keys(Settings)
    for name in Settings.model_fields:
        section = Settings.sections().get(name)
        if section is None:
            lines.append(_line(name, getattr(settings, name), getattr(defaults, name), keys[name], indent=""))
            continue
        lines += ["", f"{name}:  # {(section.__doc__ or '').strip().splitlines()[0].rstrip('.').replace('``', '')}"]
        for field_name, info in section.model_fields.items():
            value, default = (getattr(getattr(tree, name), field_name) for tree in (settings, defaults))
            lines.append(_line(key_of(field_name, info), value, default, info, indent="  "))
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any, default: Any, info: Any, *, indent: str) -> str:
    setting = f"{indent}{key}: {scalar(value)}"
    changed = f" (default {scalar(default)})" if value != default else ""
    choices = " | ".join(str(choice) for choice in get_args(info.annotation)) if get_origin(info.annotation) is Literal else ""
    return f"{setting:<{_COMMENT_COLUMN}}  # {text_of(info)}{changed} [{choices or unit_of(info)}]"


def scalar(value: Any) -> str:
    """One value as YAML: money in quotes, so that no reader passes it through a float."""
    if value is None or isinstance(value, bool | int | tuple | dict):
        return json.dumps(value)
    if isinstance(value, Decimal):
        return f'"{value:f}"'
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    text = str(value)
    return text if _BARE.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)
