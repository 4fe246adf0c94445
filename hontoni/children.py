"""The processes of `make run`: forked from one that has loaded the product already.

What is loaded once is in memory once, however many processes use it, and is not loaded again by
each. A child does what its command would do in an interpreter of its own, and is named after it.
Where forking is not safe (macOS), it is an interpreter of its own.
"""

import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import threading

from hontoni.watching import STOPS

os.environ.setdefault("SPT_NOENV", "1")  # a process's title leaves its environment readable
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # `prepare` has made them
FORKS = sys.platform == "linux"
_CONTEXT = multiprocessing.get_context("fork" if FORKS else "spawn")
# Not hontoni.asgi itself: it configures logging anew once uvicorn has configured its own.
_LOADED = (
    *("hontoni.urls", "hontoni.edge", "hontoni.health", "hontoni.bodies", "hontoni.stopping"),
    *("gateway.plane.v1", "gateway.metrics.exposition", "channels.auth", "channels.routing"),
    *("uvicorn.main", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvloop"),
    *("hontoni.celery", "celery.apps.worker", "celery.beat"),
    *("celery.concurrency.thread", "celery.worker.consumer", "kombu.transport.redis"),
    *("celery.contrib.django.task", "celery.app.amqp", "celery.app.control", "celery.app.log"),
    *("celery.backends.base", "celery.events.dispatcher", "celery.worker.strategy"),
    *("gateway.stores.reaping", "gateway.usage.settler", "django.core.asgi"),
    *("django.db.backends.sqlite3.base", "uvicorn.protocols.websockets.websockets_sansio_impl"),
)

_STRIPE = ("sandbox.stripe.app", "uvicorn.protocols.http.httptools_impl", "uvicorn.loops.auto")
_VENDORS = ("sandbox.vendors.server",)

Command = list[str]


def preload() -> None:
    """Load what the children need. Nothing is opened: neither a connection nor a thread."""
    if not FORKS:
        return
    gc.disable()  # it would write to every page that is to be shared
    # Its command line, with what it draws with: httpx does without where it is not installed.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    import django

    django.setup()
    from django.conf import settings
    from django.urls import get_resolver

    from hontoni import health

    health.preload()
    simulated = _STRIPE if settings.STRIPE_SIMULATED else ()
    played = _VENDORS if settings.SANDBOX else ()
    for name in (*_LOADED, *simulated, *played):
        importlib.import_module(name)
    from hontoni.celery import app

    app.loader.import_default_modules()
    # The processes of WEB_CONCURRENCY are forked, too: from the web's first.
    setattr(importlib.import_module("uvicorn._subprocess"), "spawn", _CONTEXT)  # noqa: B010
    get_resolver().url_patterns  # noqa: B018  # they are loaded when they are first read
    if threading.active_count() > 1:
        raise RuntimeError("a thread was started; what it holds would be lost by forking")
    gc.collect()
    gc.freeze()


def start(command: Command, listener: socket.socket | None = None) -> int:
    """Run a command of Python's: `python -m module …` or `python script.py …`. `--fd` and the
    number of `listener` are added to it. Its process id, for watching.py."""
    child = _CONTEXT.Process(target=_run, args=(command, listener))  # type: ignore[attr-defined]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return int(child.pid)


def _run(command: Command, listener: socket.socket | None) -> None:
    """In the child: Ctrl-C reaches only the supervisor, which decides the order of the end."""
    os.setsid()
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    gc.enable()
    if listener is not None:
        command = [*command, "--fd", str(listener.fileno())]
    words = command[1:]
    _entitle(words)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


def _entitle(words: Command) -> None:
    """As `ps` shows it."""
    import setproctitle

    setproctitle.setproctitle(" ".join(words))
