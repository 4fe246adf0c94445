"""The processes of `make run` while they run: watched, and stopped in order.

Who starts them has loaded the product, to fork them from it (children.py), and needs none of it
afterwards: it becomes a process that has only this (`stay`). They stay its children.
"""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

PAUSE_SECONDS = 0.05
LAST_WORDS_SECONDS = 20  # after STOP_STREAM_SECONDS
STOPS = frozenset({signal.SIGINT, signal.SIGTERM})
_FIRST = ("web", "worker", "settlement", "stripe")  # in the order they are asked to end
_LAST = "valkey"  # all of them write to it


class Stop(Exception):
    """Somebody asked us to stop."""


class Failed(Exception):
    """It cannot start, or a child died. Says why."""


@dataclass
class Watched:
    """Children of this process by name, and the socket that Valkey leaves behind."""

    pids: dict[str, int] = field(default_factory=dict)
    socket: str = ""
    url: str = ""

    def check(self) -> None:
        """Raises Failed if one of them has ended."""
        for name, pid in self.pids.items():
            if (status := ended(pid)) is not None:
                raise Failed(f"{name} ended unexpectedly (exit status {status})")

    def stop(self) -> None:
        """All at once, but Valkey, which they need to their end. Who takes too long is killed."""
        patience = float(os.environ["STOP_STREAM_SECONDS"]) + LAST_WORDS_SECONDS
        first = [(name, self.pids[name]) for name in _FIRST if name in self.pids]
        _end(first, patience)
        _end([(_LAST, self.pids[_LAST])] if _LAST in self.pids else [], LAST_WORDS_SECONDS)
        if self.socket:
            Path(self.socket).unlink(missing_ok=True)


def say(text: str) -> None:
    print(f"hontoni: {text}", flush=True)


def ended(pid: int) -> int | None:
    """The exit status of a child, the negative number of the signal that ended it, or None while
    it runs. 0 if it was waited for before."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if found else None


def wait(pid: int, seconds: float) -> bool:
    """Whether a child ends within so many seconds."""
    deadline = time.monotonic() + seconds
    while ended(pid) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a child a signal, unless it has ended."""
    if ended(pid) is None:
        os.kill(pid, number)


def _end(children: list[tuple[str, int]], patience: float) -> None:
    for _, pid in children:
        kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for name, pid in children:
        if not wait(pid, max(0.1, deadline - time.monotonic())):
            say(f"{name} did not stop in time; killing it")
            kill(pid)
            wait(pid, patience)


class Signals:
    """SIGINT and SIGTERM from here on, noted only: raising at once could lose a child between its
    birth and our knowing it."""

    def __init__(self) -> None:
        self.came = False
        for number in STOPS:
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True

    def check(self) -> None:
        if self.came:
            raise Stop


def stay(watched: Watched, signals: Signals) -> None:
    """Become a process that only watches. Does not return, unless by Stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # what comes now is kept for it
    signals.check()
    handed_over = json.dumps(asdict(watched))
    os.execv(sys.executable, [sys.executable, "-m", "hontoni.watching", handed_over])


def watch(handed_over: str) -> int:
    """Until a signal (0) or until one of them ends (1), as `stay` says who they are."""
    signals, watched, status = Signals(), Watched(**json.loads(handed_over)), 0
    try:
        while True:
            signals.check()
            watched.check()
            time.sleep(4 * PAUSE_SECONDS)
    except Stop:
        pass
    except Failed as failure:
        say(str(failure))
        status = 1
    say("stopping ...")
    watched.stop()
    say(f"stopped; {watched.url} is free again")
    return status


if __name__ == "__main__":
    sys.exit(watch(sys.argv[1]))
