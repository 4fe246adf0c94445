"""What was there before a tool was set up, so that `undo` makes it so again, byte for byte.

A set-up is one entry on the tool's stack: of every file its bytes, its mode and which folders were
made for it. Setting up again what nobody has touched since keeps the older bytes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hontoni_cli import home
from hontoni_cli.documents import earlier, text
from hontoni_cli.gateway import Failed


@dataclass
class Kept:
    """A file: `before` its bytes in base 64 (None: there was none), `written` the digest of what
    it was made, `puts` the values in it that are ours."""

    path: str
    before: str | None
    mode: int
    written: str
    folders: list[str] = field(default_factory=list)
    puts: list[Any] = field(default_factory=list)

    @property
    def untouched(self) -> bool:
        """Whether it still is what was written."""
        found = _read(Path(self.path))
        return found is not None and digest(found) == self.written


@dataclass
class Entry:
    """A set-up. `key_ids` are the API keys that were made for it, at that address."""

    url: str
    key_ids: list[int]
    files: list[Kept]


def stack(name: str) -> list[Entry]:
    """The set-ups of a tool that can be undone, oldest first."""
    rows: list[Any] = home.read(_file(name)) or []
    return [Entry(row["url"], _keys(row), [Kept(**f) for f in row["files"]]) for row in rows]


def _keys(row: dict[str, Any]) -> list[int]:
    """Of an entry that was kept by a version before, too: it had one, or none."""
    known = row.get("key_ids")
    return known if known is not None else [row["key_id"]] if row.get("key_id") else []


def push(name: str, entry: Entry) -> None:
    """Before the first file is written."""
    entries = stack(name)
    if entries and entries[-1].url == entry.url and all(f.untouched for f in entries[-1].files):
        entry = _joined(entries.pop(), entry)
    _write(name, [*entries, entry])


def _joined(older: Entry, entry: Entry) -> Entry:
    """One set-up of two: undone, everything is as it was before both."""
    written = {now.path: now for now in entry.files}
    for then in older.files:
        if now := written.get(then.path):
            now.before, now.mode, now.folders = then.before, then.mode, then.folders
            now.puts = [*then.puts, *now.puts]
    rest = [then for then in older.files if then.path not in written]
    return Entry(entry.url, [*older.key_ids, *entry.key_ids], [*rest, *entry.files])


def pop(name: str, *, force: bool) -> Entry:
    """Make everything as it was before the last set-up. Of a file that was changed since, only
    what is ours is taken back, unless by `force`. Raises Failed where one cannot be understood
    any more, and there is nothing done then."""
    entries = stack(name)
    if not entries:
        raise Failed(f"{name} was not set up here: there is nothing to undo.")
    entry = entries[-1]
    changed = {} if force else {f.path: _without(f) for f in entry.files if not f.untouched}
    for kept in entry.files:
        content = changed.get(kept.path)
        if content is None:
            restore(kept)
        else:
            home.replace(Path(kept.path), content, kept.mode)
    _write(name, entries[:-1])
    return entry


def _without(kept: Kept) -> bytes | None:
    """A changed file without what is ours; None where it is to be as it was before. Raises
    Failed."""
    path = Path(kept.path)
    puts = [(tuple(names), value) for names, value in kept.puts]
    kind = earlier.kind_of(path)
    try:
        now = text.read(_read(path) or b"")
        if not now.content.strip():  # it was removed, or emptied
            return None
        before = text.read(base64.b64decode(kept.before or "")).content
        left = earlier.taken_back(now.content, before, kind, puts)
        nothing = kept.before is None and not (left.strip() and kind.read(left))
    except ValueError as error:
        raise Failed(
            f"{path} was changed since and cannot be understood ({error}). With --force it is as "
            "it was before the set-up."
        ) from None
    return None if nothing else now.bytes_of(left)


def drop(name: str) -> None:
    """Forget the last set-up: it did not come about."""
    _write(name, stack(name)[:-1])


def restore(kept: Kept) -> None:
    path = Path(kept.path).resolve()  # of a link what it leads to: it stays
    if kept.before is None:
        path.unlink(missing_ok=True)
        for folder in map(Path, kept.folders):  # the innermost first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        home.replace(path, base64.b64decode(kept.before), kept.mode)


def kept(path: Path, written: bytes, puts: Sequence[Any]) -> Kept:
    """A file as it is now, that those bytes are about to be written to."""
    found = _read(path)
    before = None if found is None else base64.b64encode(found).decode()
    mode = 0o600 if found is None else path.stat().st_mode & 0o7777
    missing = [str(each) for each in path.resolve().parents if not each.exists()]
    return Kept(str(path), before, mode, digest(written), missing, list(puts))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(name: str, entries: Sequence[Entry]) -> None:
    if entries:
        home.write(_file(name), [asdict(each) for each in entries])
    else:
        _file(name).unlink(missing_ok=True)


def _file(name: str) -> Path:
    return home.folder() / "backups" / f"{name}.json"
