"""Everything that a user can set: one frozen tree, read from YAML, the environment and flags, with where each value came from."""

from __future__ import annotations

from alpha_pulse.settings.load import Effective, LoadedSettings, load_settings
from alpha_pulse.settings.model import Settings, check_against_instrument
from alpha_pulse.settings.pairs import each_pair, one_pair

__all__ = ["Effective", "LoadedSettings", "Settings", "check_against_instrument", "each_pair", "load_settings", "one_pair"]
