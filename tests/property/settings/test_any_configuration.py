"""Whatever a configuration holds, it is read or refused in words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpha_pulse.cli.template import render
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import dotted_keys
from alpha_pulse.hedging.common.tree import FLAT_KEYS
from alpha_pulse.settings import Settings, load_settings

KEYS = st.sampled_from([*dotted_keys(Settings), *FLAT_KEYS]) | st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_mapping_is_read_or_refused_in_words(mapping):
    refused = ""
    try:
        Settings.read(mapping)
    except ConfigError as error:
        refused = str(error)
    assert "Traceback" not in refused


@given(st.binary(max_size=60) | st.text(alphabet="grid:hedge {}[]&*!|>'\"#-\t\n0.5%", max_size=60).map(str.encode))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused_in_words(tmp_path: Path, content: bytes):
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    refused = str(path)
    try:
        load_settings(path, environ={})
    except ConfigError as error:
        refused = str(error)
    assert str(path) in refused


@given(
    ratio=st.integers(0, 10_000).map(lambda n: n / 10_000),
    spacing=st.decimals("0.0001", "0.4999", places=6),
    quantity=st.decimals("-1000", "1000", places=8).filter(bool),
    levels=st.integers(1, 200),
    limit=st.none() | st.decimals("0.01", "1e9", places=2),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_configuration_reads_back_as_it_was(
    tmp_path: Path, ratio: float, spacing: Decimal, quantity: Decimal, levels: int, limit
):
    mapping = {
        "hedge": {"ratio": ratio},
        "grid_spacing_pct": spacing,
        "inventory": {"quantity": quantity},
        "num_levels": levels,
        "var_limit": limit,
    }
    chosen = Settings.read(mapping)
    path = tmp_path / "written.yaml"
    path.write_text(render(chosen), encoding="utf-8")
    assert load_settings(path, environ={}).settings == chosen
