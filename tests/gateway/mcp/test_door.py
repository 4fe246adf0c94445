"""Nobody pays for the protocol who does not speak it."""

import subprocess
import sys

from django.conf import settings

_LOADED = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
import hontoni.asgi, sys
print([name for name in sys.modules if name.partition(".")[0] in ("mcp", "mcp_types")])
"""


def test_the_protocol_is_loaded_by_who_speaks_it() -> None:
    found = subprocess.check_output(
        [sys.executable, "-c", _LOADED], cwd=settings.BASE_DIR, text=True
    )
    assert found.strip().endswith("[]"), found
