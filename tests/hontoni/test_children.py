"""The processes of `make run` are forked from one that has loaded the product already."""

import subprocess
import sys
from pathlib import Path

import pytest

from hontoni import children

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not children.FORKS, reason="it does not fork here")

OPENED = """
import os, sys, threading
from hontoni import children
children.preload()
seldom = {"reportlab", "PIL", "pypdf", "pyarrow", "aiohttp", "minio", "dns", "rich"}
seldom = {name for name in seldom if sys.modules.get(name)}
assert not seldom, f"few need them, and all would hold them: {seldom}"
from django.db import connection
assert connection.connection is None, "a connection would be shared"
assert threading.active_count() == 1
sockets = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
           if os.path.exists(f"/proc/self/fd/{n}")]
assert not any(name.startswith("socket:") or "sqlite3" in name for name in sockets), sockets
"""

STARTED = """
import os, signal, sys, time
from pathlib import Path
from hontoni import children, watching
signal.signal(signal.SIGTERM, lambda *_: print("the parent's own"))
def status(child):
    end = time.monotonic() + 20
    while (found := watching.ended(child)) is None and time.monotonic() < end:
        time.sleep(0.01)
    return found
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"]
child = children.start(command)
facts = Path("/proc") / str(child)
end = time.monotonic() + 20
while not (facts / "cmdline").read_bytes().startswith(b"-m http.server"):
    if time.monotonic() > end:
        watching.kill(child)
        sys.exit("it has no name of its own")
    time.sleep(0.01)
own_session = os.getsid(child) == child
marked = os.environ["MARK"].encode() in (facts / "environ").read_bytes()
watching.kill(child, signal.SIGTERM)
assert status(child) == -signal.SIGTERM
assert own_session, "Ctrl-C would reach it"
assert marked, "its environment is not readable"
for _ in range(50):  # at any moment after its birth
    child = children.start(command)
    watching.kill(child, signal.SIGTERM)
    assert status(child) == -signal.SIGTERM
assert status(children.start([sys.executable, "-c-is-no-file"])) == 1
"""


def _run(code: str, home: Path) -> None:
    environment = {
        "DATA_DIR": str(home),
        "DJANGO_SETTINGS_MODULE": "hontoni.settings",
        "MARK": "readable by whoever looks",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
    }
    script = home / "script.py"
    script.write_text(code)
    ran = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_nothing_is_open_when_the_product_is_loaded(tmp_path: Path) -> None:
    _run(OPENED, tmp_path)


def test_a_child_is_named_and_ends_whenever_it_is_asked_to(tmp_path: Path) -> None:
    _run(STARTED, tmp_path)
