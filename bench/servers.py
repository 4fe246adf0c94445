"""The servers that are compared, each started on a free port and stopped with its block.

nginx, LiteLLM and Portkey take part when they are found on PATH; `PEERS` says how to start each.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import cost, traffic

START_SECONDS, STOP_SECONDS = 300, 45  # a first start migrates, a minute of it for dj-stripe


@dataclass(frozen=True)
class Server:
    """One that runs. `pids` are the server itself; `beside` works for it and is told apart."""

    name: str
    port: int
    pids: tuple[int, ...]
    beside: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], *, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that ends with the block: asked to, and after STOP_SECONDS made to."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C reaches only us, and we stop them in order
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the port answers. Raises RuntimeError with the log's tail if it never does."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def vendor() -> Iterator[Server]:
    """The fake vendor itself: what everything else is compared with."""
    process = subprocess.Popen([sys.executable, "-m", "bench.vendor"], stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield Server("direct", int(process.stdout.readline()), (process.pid,))
    finally:
        process.terminate()
        process.communicate()


def uvicorn(application: str, port: int) -> list[str]:
    """Served with what the supervisor serves the product with, but for its patience at the end."""
    return [
        *(sys.executable, "-m", "uvicorn", application, "--host", "127.0.0.1"),
        *("--port", str(port), "--loop", "uvloop", "--http", "httptools"),
        *("--no-access-log", "--log-level", "warning", "--no-server-header"),
        *("--timeout-graceful-shutdown", "1"),
    ]


@contextmanager
def bare(upstream: int, home: Path) -> Iterator[Server]:
    """The bare pass-through of `bench.baseline`."""
    port, log = free_port(), home / "bare.log"
    env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}"}
    with running(uvicorn("bench.baseline:application", port), log=log, env=env) as process:
        listening(process, port, log)
        yield Server("bare pass-through", port, (process.pid,))


NGINX = """
daemon off;
{user}
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {home}/nginx-body;
  proxy_temp_path {home}/nginx-proxy;
  fastcgi_temp_path {home}/nginx-fastcgi;
  uwsgi_temp_path {home}/nginx-uwsgi;
  scgi_temp_path {home}/nginx-scgi;
  keepalive_requests 1000000000;
  upstream vendor {{
    server 127.0.0.1:{upstream};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://vendor;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


@contextmanager
def nginx(upstream: int, home: Path) -> Iterator[Server]:
    """`proxy_pass` in one worker: about the least that any proxy can cost."""
    port, config = free_port(), home / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else its worker may not enter `home`
    config.write_text(NGINX.format(home=home, port=port, upstream=upstream, user=user))
    command = [_executable("nginx"), "-e", str(home / "nginx.log"), "-p", str(home)]
    log = home / "nginx.log"
    with running([*command, "-c", str(config)], log=log) as process:
        listening(process, port, log)
        yield Server("nginx", port, tuple(cost.family(process.pid)))


@contextmanager
def litellm(upstream: int, home: Path) -> Iterator[Server]:
    """LiteLLM's proxy: one worker, two routes, no database, its master key the only key."""
    port, config, log = free_port(), home / "litellm.yaml", home / "litellm.log"
    root = f"http://127.0.0.1:{upstream}"
    routes = [
        (traffic.CHAT.model, f"openai/{traffic.CHAT.model}", f"{root}/v1"),
        (traffic.MESSAGES.model, "anthropic/claude-sonnet-4-5-20250929", root),
    ]
    models = [
        {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "x"}}
        for name, model, base in routes
    ]
    config.write_text(json.dumps({"model_list": models}))  # JSON is YAML
    command = [_executable("litellm"), "--config", str(config), "--port", str(port)]
    key = f"sk-{secrets.token_hex(32)}"
    env = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    headers = {"authorization": f"Bearer {key}"}
    with running([*command, "--host", "127.0.0.1"], log=log, env=env) as process:
        listening(process, port, log)
        yield Server("LiteLLM proxy", port, tuple(cost.family(process.pid)), headers=headers)


@contextmanager
def portkey(upstream: int, home: Path) -> Iterator[Server]:
    """Portkey's gateway in Node."""
    port, log = free_port(), home / "portkey.log"
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        "authorization": "Bearer upstream",
    }
    command = [_executable("node"), _portkey(), f"--port={port}", "--headless"]
    with running(command, log=log, env={"NODE_ENV": "production"}) as process:
        listening(process, port, log)
        yield Server("Portkey gateway", port, tuple(cost.family(process.pid)), headers=headers)


def _executable(name: str) -> str:
    return shutil.which(name) or ""


def _portkey() -> str:
    """npm installs it under the name `gateway`, which others may use too."""
    script = os.path.realpath(_executable("gateway"))
    return script if "@portkey-ai" in script else ""


@dataclass(frozen=True)
class Peer:
    """Something to compare with that may not be here; `found` is empty then."""

    name: str
    found: Callable[[], str]
    start: Callable[[int, Path], AbstractContextManager[Server]]


PEERS = (
    Peer("nginx", lambda: _executable("nginx"), nginx),
    Peer("Portkey gateway", lambda: _executable("node") and _portkey(), portkey),
    Peer("LiteLLM proxy", lambda: _executable("litellm"), litellm),
)
