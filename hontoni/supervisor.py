"""`make run`: the whole product from nothing, and all of it gone again on Ctrl-C or SIGTERM.

Valkey, then migrations and seeds, then settlement, web and a worker with beat in it, side by side.
If one of them dies, the others are stopped too: half a product is worse than none. All but Valkey
are forked from this process (children.py), which then becomes one that only watches
(watching.py).
"""

import errno
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from hontoni import children, watching
from hontoni.children import Command
from hontoni.watching import PAUSE_SECONDS, Failed, Signals, Stop, Watched, say

READY_SECONDS = 60
STREAM_SECONDS = 30  # STOP_STREAM_SECONDS here, where whoever presses Ctrl-C waits for it
STRIPE_PORT = 8001  # of the simulated Stripe, or another where it is taken


def _commands(host: str, port: int, data_dir: str, web_processes: int = 1) -> dict[str, Command]:
    """What each child is in an interpreter of its own."""
    python = sys.executable
    return {
        "web": [
            *(python, "-m", "uvicorn", "hontoni.asgi:application"),
            *("--host", host, "--port", str(port), "--loop", "uvloop"),
            *("--http", "hontoni.edge:Protocol", "--no-proxy-headers", "--ws-max-size", "65536"),
            *("--ws-per-message-deflate", "false"),
            *("--no-access-log", "--log-level", "warning", "--no-server-header"),
            *("--workers", str(web_processes)),
        ],
        "settlement": [python, "manage.py", "settle"],
        "worker": [python, "-m", "hontoni.worker", f"{data_dir}/celerybeat-schedule"],
    }


class Supervisor:
    """Starts the children in order, and stops them if it does not come to the last."""

    def __init__(self) -> None:
        self.watched, self.signals = Watched(), Signals()

    def start(self, name: str, command: Command, listener: socket.socket | None = None) -> None:
        self.watched.pids[name] = children.start(command, listener)

    def run(self, command: Command) -> int:
        """The exit status of a command that ends by itself; raises Stop like everything else."""
        child = children.start(command)
        try:
            while (status := watching.ended(child)) is None:
                self.check()
                time.sleep(PAUSE_SECONDS)
        finally:
            watching.kill(child)
        return status

    def check(self) -> None:
        self.signals.check()
        self.watched.check()

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


def main(*, demo: bool = False) -> int:
    """Run until stopped; a `demo` is filled first (operations/demo). Exit status 0 after a signal,
    1 if something failed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
    os.environ.setdefault("STOP_STREAM_SECONDS", str(STREAM_SECONDS))
    supervisor, status = Supervisor(), 0
    try:
        _start(supervisor, demo=demo)
        watching.stay(supervisor.watched, supervisor.signals)
    except Stop:
        pass
    except Failed as failure:
        say(str(failure))
        status = 1
    finally:
        say("stopping before it was ready ...")
        supervisor.watched.stop()
    say("stopped")
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


def _start(supervisor: Supervisor, *, demo: bool) -> None:
    say("starting ...")
    with _listen_for_stripe() as stripe:
        # Before anybody reads the settings: they, and every child, learn it from here.
        os.environ["STRIPE_SIMULATOR_PORT"] = str(stripe.getsockname()[1])
        from django.conf import settings

        from hontoni import private

        _refuse_a_taken_port(settings.HOST, settings.PORT)
        private.close(settings.DATA_DIR)
        children.preload()
        if settings.EMBEDDED_REDIS:
            _start_valkey(supervisor, settings.DATA_DIR / "valkey", settings.EMBEDDED_SOCKET)
        if settings.STRIPE_SIMULATED:
            say("simulated Stripe ...")
            supervisor.start("stripe", _stripe(stripe, settings.PORT, settings.DATA_DIR), stripe)
    say("database: migrations and seeds ...")
    if supervisor.run([sys.executable, "manage.py", "prepare"]):
        raise Failed("preparing the database failed")
    if demo:
        say("a business to look at: a minute or two ...")
        if supervisor.run([sys.executable, "manage.py", "demo"]):
            raise Failed("filling the database failed")
    say("settlement, web, worker and beat ...")
    listen, folder = (settings.HOST, settings.PORT), str(settings.DATA_DIR)
    for name, command in _commands(*listen, folder, settings.WEB_CONCURRENCY).items():
        supervisor.check()
        supervisor.start(name, command)
    url = f"http://{_reachable(settings.HOST)}:{settings.PORT}"
    supervisor.wait_until_ready(url)
    mode = "  (sandbox: no vendor key is set, answers are simulated)" if settings.SANDBOX else ""
    supervisor.watched.url = url
    say(f"ready on {url}{mode}")


def _start_valkey(supervisor: Supervisor, folder: Path, address: Path) -> None:
    from hontoni.valkey import Valkey

    say("embedded Valkey ...")
    valkey = Valkey(folder, address)
    try:
        valkey.start()
    except RuntimeError as error:
        raise Failed(str(error)) from error
    assert valkey.process is not None
    supervisor.watched.pids["valkey"] = valkey.process.pid
    supervisor.watched.socket = str(address)


if __name__ == "__main__":
    sys.exit(main(demo="--demo" in sys.argv[1:]))
