"""The command line in this process, as a user types it."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest
from loguru import logger

from alpha_pulse.cli.main import main


def alpha_pulse(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    logger.remove()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()
