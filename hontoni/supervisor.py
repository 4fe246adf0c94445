"""`make run`: the whole product from nothing, and all of it gone again on Ctrl-C or SIGTERM.

Valkey, then migrations and seeds, then settlement, web and a worker with beat in it, side by side.
If one of them dies, the others are stopped too: half a product is worse than none. All but Valkey
are forked from this process (children.py).
"""

import contextlib
import errno
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from hontoni import children
from hontoni.children import Command

READY_SECONDS = 60
STREAM_SECONDS = 30  # STOP_STREAM_SECONDS here, where whoever presses Ctrl-C waits for it
LAST_WORDS_SECONDS = 20  # after them
PAUSE_SECONDS = 0.05
STRIPE_PORT = 8001  # of the simulated Stripe, or another where it is taken


class Stop(Exception):
    """Somebody asked us to stop."""


class Failed(Exception):
    """It cannot start, or a child died. Says why."""


def _say(text: str) -> None:
    print(f"hontoni: {text}", flush=True)


def _commands(host: str, port: int, data_dir: str, web_processes: int = 1) -> dict[str, Command]:
    """What each child is in an interpreter of its own."""
    python = sys.executable
    return {
        "web": [
            *(python, "-m", "uvicorn", "hontoni.asgi:application"),
            *("--host", host, "--port", str(port), "--loop", "uvloop"),
            *("--http", "hontoni.edge:Protocol", "--no-proxy-headers", "--ws-max-size", "65536"),
            *("--no-access-log", "--log-level", "warning", "--no-server-header"),
            *("--workers", str(web_processes)),
        ],
        "settlement": [python, "manage.py", "settle"],
        "worker": [python, "-m", "hontoni.worker", f"{data_dir}/celerybeat-schedule"],
    }


class Supervisor:
    """Starts the children in order, watches them, stops them in the opposite order."""

    def __init__(self) -> None:
        self.children: dict[str, BaseProcess] = {}
        self.asked_to_stop = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Only note it: raising here could lose a child between its birth and our knowing it."""
        self.asked_to_stop = True

    def start(self, name: str, command: Command, listener: socket.socket | None = None) -> None:
        self.children[name] = children.start(command, listener)

    def run(self, command: Command) -> int:
        """The exit status of a command that ends by itself; raises Stop like everything else."""
        child = children.start(command)
        try:
            while child.is_alive():
                self.check()
                time.sleep(PAUSE_SECONDS)
        finally:
            child.kill()
            child.join()
        return child.exitcode or 0

    def check(self) -> None:
        if self.asked_to_stop:
            raise Stop
        for name, child in self.children.items():
            if not child.is_alive():
                raise Failed(f"{name} ended unexpectedly (exit status {child.exitcode})")

    def wait_until_ready(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(PAUSE_SECONDS)
        raise Failed(f"not ready within {READY_SECONDS} seconds; {url}/readyz tells why")

    def watch(self) -> None:
        while True:
            self.check()
            time.sleep(4 * PAUSE_SECONDS)

    def stop(self) -> None:
        for name in ("web", "worker", "settlement", "stripe"):
            child = self.children.get(name)
            if child is not None and child.is_alive():
                child.terminate()
        patience = float(os.environ["STOP_STREAM_SECONDS"]) + LAST_WORDS_SECONDS
        deadline = time.monotonic() + patience
        for name, child in self.children.items():
            child.join(max(0.1, deadline - time.monotonic()))
            if child.is_alive():
                _say(f"{name} did not stop in time; killing it")
                child.kill()
                child.join()


def main(*, demo: bool = False) -> int:
    """Run until stopped; a `demo` is filled first (operations/demo). Exit status 0 after a signal,
    1 if something failed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
    os.environ.setdefault("STOP_STREAM_SECONDS", str(STREAM_SECONDS))
    supervisor, url, status = Supervisor(), "", 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, supervisor.on_signal)
    with contextlib.ExitStack() as stack:
        try:
            url = _start(supervisor, stack, demo=demo)
            supervisor.watch()
        except Stop:
            pass
        except Failed as failure:
            _say(str(failure))
            status = 1
        finally:
            _say("stopping ..." if url else "stopping before it was ready ...")
            supervisor.stop()
    _say(f"stopped; {url} is free again" if url else "stopped")
    return status


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    )


def _refuse_a_taken_port(host: str, port: int) -> None:
    """Said before anything is started. uvicorn would say it last, and less plainly."""
    try:
        _listen(host, port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Failed(f"cannot listen on {host} port {port}: {error}") from error
        raise Failed(f"port {port} is in use; choose another: make run PORT={port + 1}") from error


def _stripe(listener: socket.socket, web: int, data_dir: Path) -> Command:
    """A Stripe of our own, so that topping up can be clicked through without an account there."""
    from django.conf import settings

    host, port = listener.getsockname()[:2]
    return [
        *(sys.executable, "-m", "sandbox.stripe", "--state", str(data_dir / "stripe.json")),
        *("--public-url", f"http://{_reachable(host)}:{port}"),
        *("--api-key", settings.STRIPE_SECRET_KEY),
        *("--webhook-url", f"http://127.0.0.1:{web}/webhooks/stripe"),
        *("--webhook-secret", settings.STRIPE_WEBHOOK_SECRET, "--log-level", "warning"),
    ]


def _listen_for_stripe() -> socket.socket:
    """On the usual port, or any other where it is taken. Handed to the simulator open: two copies
    that start at the same time cannot both find the same port free."""
    host = os.environ.get("HOST") or "127.0.0.1"
    wanted = int(os.environ.get("STRIPE_SIMULATOR_PORT") or STRIPE_PORT)
    try:
        return _listen(host, wanted)
    except OSError:
        return _listen("127.0.0.1", 0)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host


def _start(supervisor: Supervisor, stack: contextlib.ExitStack, *, demo: bool) -> str:
    _say("starting ...")
    stripe = stack.enter_context(_listen_for_stripe())
    # Before anybody reads the settings: they, and every child, learn it from here.
    os.environ["STRIPE_SIMULATOR_PORT"] = str(stripe.getsockname()[1])
    from django.conf import settings

    from hontoni import private

    _refuse_a_taken_port(settings.HOST, settings.PORT)
    private.close(settings.DATA_DIR)
    children.preload()
    if settings.EMBEDDED_REDIS:
        from hontoni.valkey import Valkey

        _say("embedded Valkey ...")
        try:
            stack.enter_context(Valkey(settings.DATA_DIR / "valkey", settings.EMBEDDED_SOCKET))
        except RuntimeError as error:
            raise Failed(str(error)) from error
    if settings.STRIPE_SIMULATED:
        _say("simulated Stripe ...")
        supervisor.start("stripe", _stripe(stripe, settings.PORT, settings.DATA_DIR), stripe)
    stripe.close()
    _say("database: migrations and seeds ...")
    if supervisor.run([sys.executable, "manage.py", "prepare"]):
        raise Failed("preparing the database failed")
    if demo:
        _say("a business to look at: a minute or two ...")
        if supervisor.run([sys.executable, "manage.py", "demo"]):
            raise Failed("filling the database failed")
    _say("settlement, web, worker and beat ...")
    listen, folder = (settings.HOST, settings.PORT), str(settings.DATA_DIR)
    for name, command in _commands(*listen, folder, settings.WEB_CONCURRENCY).items():
        supervisor.check()
        supervisor.start(name, command)
    url = f"http://{_reachable(settings.HOST)}:{settings.PORT}"
    supervisor.wait_until_ready(url)
    mode = "  (sandbox: no vendor key is set, answers are simulated)" if settings.SANDBOX else ""
    _say(f"ready on {url}{mode}")
    return url


if __name__ == "__main__":
    sys.exit(main(demo="--demo" in sys.argv[1:]))
