"""Open dashboards: `python -m bench.dashboards PORT COOKIE`, sessions as JSON on stdin.

Every session's socket is opened and read until stdin ends. Prints how many are open when all are,
and at the end how many pushes came.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Crowd:
    """The readers, and what they were told."""

    def __init__(self, port: int, cookie: str, expected: int) -> None:
        self.port, self.cookie, self.expected = port, cookie, expected
        self.opened = self.pushes = 0
        self.all_open = asyncio.Event()

    async def sit(self, session: str, gate: asyncio.Semaphore) -> None:
        url = f"ws://127.0.0.1:{self.port}/live"
        async with gate:
            socket = await connect(
                url,
                origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
                additional_headers={"Cookie": f"{self.cookie}={session}"},
                open_timeout=60,
            )
            await socket.recv()  # what the page missed
        self.opened += 1
        if self.opened == self.expected:
            self.all_open.set()
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                self.pushes += 1


async def main(port: int, cookie: str) -> None:
    sessions: list[str] = json.loads(sys.stdin.readline())
    crowd, gate = Crowd(port, cookie, len(sessions)), asyncio.Semaphore(8)
    readers = [asyncio.create_task(crowd.sit(session, gate)) for session in sessions]
    opening = asyncio.create_task(crowd.all_open.wait())
    await asyncio.wait([opening, *readers], return_when=asyncio.FIRST_COMPLETED)  # or one failed
    print(crowd.opened, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for reader in readers:
        reader.cancel()
    print(crowd.pushes, flush=True)


@contextlib.contextmanager
def watching(port: int, cookie: str, sessions: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """All of these dashboards open, for the length of a block."""
    command = [sys.executable, "-m", "bench.dashboards", str(port), cookie]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(json.dumps(list(sessions)) + "\n")
        process.stdin.flush()
        opened = int(process.stdout.readline())
        if opened != len(sessions):
            raise RuntimeError(f"Only {opened} of {len(sessions)} dashboards opened.")
        yield process
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
