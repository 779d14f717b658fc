"""Which process this is, and whether another one still lives: what the store's locks stand on."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path

from alpha_pulse.hedging.state.locks import ProcessIdentity
from alpha_pulse.runtime.clock import SystemClock

_PROC = Path("/proc")


class SystemHost:
    """The machine that this process runs on. Reads /proc where there is one (Linux) and asks ``ps`` elsewhere."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._host = _host_name()

    def identity(self) -> ProcessIdentity:
        """This process."""
        pid = os.getpid()
        return ProcessIdentity(pid, self._host, process_start(pid) or "")

    def is_running(self, process: ProcessIdentity) -> bool | None:
        """Whether ``process`` lives; None when it is on another host, or in another container on this one."""
        if process.host != self._host:
            return None
        return process_start(process.pid) == process.started

    def now_ms(self) -> int:
        """Wall-clock time, milliseconds UTC."""
        return self._clock.now_ms()


def process_start(pid: int) -> str | None:
    """A stamp that tells a process from every other that ever had its pid; None when there is no such process."""
    if (_PROC / "self" / "stat").exists():
        return _start_from_proc(pid)
    return _start_from_ps(pid)


def _start_from_proc(pid: int) -> str | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Fields after the command, which may itself hold spaces and brackets: state is the first, starttime the twentieth (proc(5)).
    fields = text.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        return None  # killed, and not yet collected by its parent
    boot = ""
    with contextlib.suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{fields[19]}"


def _start_from_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - fixed arguments and an int
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607 - ps is where PATH says
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _host_name() -> str:
    """The host's name with the pid namespace, so that containers that share a name and a volume are not taken for one machine."""
    name = socket.gethostname()
    with contextlib.suppress(OSError):
        name += f"/{(_PROC / 'self/ns/pid').readlink().name}"
    return name
