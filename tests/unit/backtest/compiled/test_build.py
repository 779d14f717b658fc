"""The machine code is kept under a key of every source that it was made from."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from alpha_pulse.backtest.compiled import build, values
from alpha_pulse.backtest.compiled.build import (
    OWN,
    SHARED,
    cache_folder,
    compiled,
    own_functions,
    shared_functions,
    source_files,
    source_key,
)
from alpha_pulse.execution.matching import kernel

REPO = Path(__file__).resolve().parents[4]


def test_every_file_that_holds_a_kernel_is_part_of_the_key():
    files = set(source_files())
    for function in (*shared_functions(), *own_functions()):
        assert Path(inspect.getfile(function)) in files
    assert Path(inspect.getfile(values)) in files  # the layout of the records
    assert Path(inspect.getfile(build)) in files  # the options of the compiler


def test_a_change_in_any_called_function_is_another_key(tmp_path):
    files = source_files()
    before = source_key(files)
    assert before == source_key(files)
    for file in files:
        changed = tmp_path / file.name
        changed.write_bytes(file.read_bytes() + b"\n")
        assert source_key([changed if other == file else other for other in files]) != before


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("ALPHA_PULSE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "alpha_pulse" / "compiled" / source_key(source_files())
    monkeypatch.setenv("ALPHA_PULSE_CACHE", str(tmp_path / "own"))
    assert cache_folder().is_relative_to(tmp_path / "own")
    assert not cache_folder().is_relative_to(REPO)


def test_kernels_call_no_function_that_is_not_compiled():
    """Each name that a kernel calls is a kernel, a shared function, or numba's business: a forgotten one fails here, not at a user's."""
    known = {function.__name__ for function in (*shared_functions(), *own_functions())}
    for function in own_functions():
        for name in function.__code__.co_names:
            found = function.__globals__.get(name)
            if inspect.isfunction(found):
                assert name in known, f"{function.__name__} calls {name}"


def test_a_function_of_the_live_path_is_compiled_as_it_stands():
    assert kernel.crossing in set(shared_functions())
    assert all(module.__name__.startswith("alpha_pulse.") for module in (*OWN, *(module for module, _ in SHARED)))
    assert compiled() is compiled()


@pytest.mark.parametrize("module", ["alpha_pulse.cli.main", "alpha_pulse.backtest.compiled.sweep", "alpha_pulse.backtest.compiled.record"])
def test_numba_is_imported_only_to_compile(module):
    code = f"import sys, {module}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=REPO).returncode == 0  # noqa: S603 - our own interpreter
