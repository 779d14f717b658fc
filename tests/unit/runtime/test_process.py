"""Telling processes apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

from alpha_pulse.runtime import process
from alpha_pulse.runtime.process import SystemHost, process_start


def test_this_process_is_running_and_its_predecessor_with_the_same_pid_is_not():
    host = SystemHost()
    me = host.identity()
    assert me.pid == os.getpid()
    assert me.started
    assert host.is_running(me) is True
    assert host.is_running(replace(me, started="an earlier boot:1")) is False
    assert SystemHost().identity() == me


def test_a_process_of_another_host_cannot_be_asked():
    host = SystemHost()
    assert host.is_running(replace(host.identity(), host="elsewhere/pid:[1]")) is None
    assert host.now_ms() > 1_700_000_000_000


def test_a_killed_process_is_dead_before_its_parent_has_collected_it():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert process_start(child.pid) is not None
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert process_start(child.pid) is None
    finally:
        child.wait()
    assert process_start(child.pid) is None


def test_where_there_is_no_proc_the_process_list_is_asked():
    stamp = process._start_from_ps(os.getpid())
    assert stamp
    assert stamp == process._start_from_ps(os.getpid())
    assert process._start_from_ps(2**22 + 1) is None
