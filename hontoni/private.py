"""The folder of an embedded installation: its database, Valkey's file, the secret, the spool.

Nobody else on the machine may read them. What a process of ours makes is private by its umask
(hontoni/settings.py); what was there before is closed when the product starts.
"""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def close(folder: Path) -> None:
    """Make it if it is not there, and take it and all that is in it from everybody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _close(folder)
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            _close(Path(root, name))


def _close(path: Path) -> None:
    try:
        found = path.lstat()
        # What is linked lies elsewhere, and what is another user's is theirs.
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid():
            return
        if found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except FileNotFoundError:
        pass  # a journal that was just merged
