"""What a process has used: CPU seconds, resident bytes. Elsewhere than on Linux as `ps` says."""

import ctypes
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

LINUX = sys.platform == "linux"


def cpu_seconds(pid: int) -> float:
    """User and system time so far. Raises ProcessLookupError if there is no such process."""
    if LINUX:
        return time.clock_gettime(_cpu_clock(pid))
    days, _, clock = _ps("time", pid).rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(days or 0) * 86400 + seconds


def tree_seconds(pid: int) -> float:
    """The same of a process and of all that it has started and that still run: a database."""
    seconds = 0.0
    for member in family(pid):
        with suppress(ProcessLookupError):  # it has just ended
            seconds += cpu_seconds(member)
    return seconds


def _cpu_clock(pid: int) -> int:
    """The clock of that process: nanoseconds, where /proc/PID/stat counts in hundredths."""
    clock = ctypes.c_int()
    failed = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if failed:
        raise ProcessLookupError(failed, f"no process {pid}")
    return clock.value


def resident_bytes(pid: int) -> int:
    """Memory in RAM. Raises ProcessLookupError if there is no such process."""
    if not LINUX:
        return int(_ps("rss", pid)) * 1024
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def shared_bytes(pid: int) -> int:
    """Memory in RAM, a page that n processes share counted as its n-th part (PSS); elsewhere than
    on Linux as resident_bytes. Raises ProcessLookupError if there is no such process."""
    if not LINUX:
        return resident_bytes(pid)
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"no process {pid}") from None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def command_line(pid: int) -> str:
    """As it was started. Raises ProcessLookupError if there is no such process."""
    return _ps("args", pid)


def _ps(column: str, pid: int) -> str:
    found = subprocess.run(
        ["ps", "-ww", "-o", f"{column}=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    if not found.stdout.strip():
        raise ProcessLookupError(f"no process {pid}")
    return found.stdout.strip()


def family(pid: int) -> list[int]:
    """That process and everything it started, directly or not."""
    rows = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [
        (int(child), int(parent)) for child, parent in map(str.split, rows.stdout.splitlines())
    ]
    found = [pid]
    for member in found:  # grows while it is read: children, then theirs
        found += [child for child, parent in parents if parent == member]
    return found
