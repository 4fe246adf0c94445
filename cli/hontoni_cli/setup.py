"""Setting a tool up: its own files are changed, after their person has seen how and said yes."""

import difflib
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hontoni_cli import backups, home, login
from hontoni_cli.clients.client import Client, File, Place
from hontoni_cli.documents import text
from hontoni_cli.gateway import Failed, Gateway, origin

Say = Callable[[str], None]
Ask = Callable[[str], bool]

_TO_COME = "sk-gw-…"  # in the difference that is shown before there is a key
# Whosever they are: values of what is called a secret, and what looks like one.
_SECRETS = (
    re.compile(
        r"""(?i)((?:key|token|secret|password|authorization|credentials?)["']?\s*[:=]\s*["']?"""
        r"""(?:bearer\s+|basic\s+)?)(?!\d+\b)[^\s"',}]{4,}"""
    ),
    re.compile(r"(?<![A-Za-z0-9])((?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|AIza)[-_]?)[\w-]{12,}"),
    re.compile(r"(://[^\s:/@]*:)[^\s/@]+(?=@)"),
)


@dataclass(frozen=True)
class Wanted:
    """What was said on the command line; empty: as the person is signed in, and our choice."""

    url: str = ""
    key: str = ""
    model: str = ""


@dataclass(frozen=True)
class _Change:
    path: Path
    before: bytes | None
    after: bytes
    puts: tuple[tuple[tuple[str, ...], Any], ...]


def set_up(client: Client, wanted: Wanted, say: Say, ask: Ask) -> None:
    """Raises Failed. Nothing is written, and no key is made, before the person agrees."""
    gateway = _gateway(wanted)
    place = _place(client, gateway, wanted)
    planned = _changes(client.files(place))
    if not planned:
        say(f"{client.title} is set up already: nothing to change.")
        return
    for change in planned:
        say(_difference(change))
    if not ask(f"Change {client.title}'s settings like this?"):
        say("Nothing was changed.")
        return
    key_id = None
    if place.key == _TO_COME:
        key_id, key = _make_key(gateway, client)
        place = Place(place.url, key, place.model)
    try:
        _write(client, place, key_id)
    except BaseException:
        if key_id is not None:
            gateway.ask("DELETE", f"/api/keys/{key_id}")
        raise
    say(f"{client.title} is set up. As it was before: hontoni undo {client.name}")
    if client.overruled:
        say(f"Your shell sets {', '.join(client.overruled)}, which goes before these settings.")
    if client.after:
        say(client.after.format(key=place.key, v1=place.v1, model=place.model))


def undo(client: Client, say: Say, *, force: bool = False) -> None:
    """As it was before the last set-up. The key that was made for it is revoked. Raises Failed."""
    entry = backups.pop(client.name, force=force)
    for kept in entry.files:
        say(f"{kept.path}: {'removed' if kept.before is None else 'as it was'}")
    for key_id in entry.key_ids:
        _revoke(entry.url, key_id, say)


def _revoke(url: str, key_id: int, say: Say) -> None:
    try:
        gateway = login.gateway()
        if gateway.url != url:
            raise Failed("you are signed in elsewhere")
        gateway.ask("DELETE", f"/api/keys/{key_id}")
        say("The key that was made for it is revoked.")
    except Failed as failed:
        say(f"Its key is not revoked ({failed}): do it at {url}/keys")


def _gateway(wanted: Wanted) -> Gateway:
    if not wanted.key:
        known = login.gateway()
        if wanted.url and origin(wanted.url) != known.url:
            raise Failed(f"You are signed in at {known.url}: hontoni login {wanted.url}")
        return known
    return Gateway(origin(wanted.url) if wanted.url else login.gateway().url, wanted.key)


def _place(client: Client, gateway: Gateway, wanted: Wanted) -> Place:
    """What it will be told. A key that it has for this gateway stays."""
    known = client.read()
    mine = known.key if known is not None and known.url == gateway.url else ""
    usable = mine if backups.stack(client.name) else ""
    model = wanted.model or _model(client, gateway)
    return Place(gateway.url, wanted.key or usable or _TO_COME, model)


def _model(client: Client, gateway: Gateway) -> str:
    """The first of those it likes that are on sale, one that stays before one that ends."""
    sold = Gateway(gateway.url).get("/api/models")["data"]
    ends = {name: row.get("ends_at") for row in sold for name in (row["id"], *row["aliases"])}
    liked = [name for name in client.models if name in ends]
    found = next((name for name in liked if not ends[name]), next(iter(liked), None))
    if found is None:
        raise Failed(f"Say which model: --model, one of {gateway.url}/models")
    return found


def _make_key(gateway: Gateway, client: Client) -> tuple[int, str]:
    name = f"{client.title} on {platform.node() or 'a computer'}"[:100]
    body = {"name": name, "scopes": ["inference", "usage:read"]}
    try:
        made = gateway.post("/api/keys", body).content
    except Failed as failed:
        if failed.code == "key_limit_reached":
            raise Failed(f"{failed} Or use one that you have: --key sk-gw-…") from None
        raise
    return made["id"], made["key"]


def _changes(files: Sequence[File]) -> list[_Change]:
    """What differs. Raises Failed for a file that cannot be understood: it is left alone."""
    found = []
    for file in files:
        before = file.path.read_bytes() if file.path.exists() else None
        try:
            after = _edited(before or b"", file)
        except ValueError as error:
            raise Failed(f"{file.path} cannot be understood ({error}): mend it first.") from None
        if after != before:
            found.append(_Change(file.path, before, after, file.puts))
    return found


def _edited(before: bytes, file: File) -> bytes:
    found = text.read(before)
    return found.bytes_of(file.changed(found.content))


def _write(client: Client, place: Place, key_id: int | None) -> None:
    """All files, or none: what was written is taken back where one fails."""
    changes = _changes(client.files(place))
    kept = [backups.kept(change.path, change.after, change.puts) for change in changes]
    backups.push(client.name, backups.Entry(place.url, [] if key_id is None else [key_id], kept))
    written = []
    try:
        for change, was in zip(changes, kept, strict=True):
            written.append(was)
            change.path.resolve().parent.mkdir(parents=True, exist_ok=True)
            # It holds a key now: nobody else reads it.
            home.replace(change.path, change.after, was.mode & ~0o077)
    except BaseException:
        for was in written:
            backups.restore(was)
        backups.drop(client.name)
        raise


def _difference(change: _Change) -> str:
    """As `diff -u`, secrets but for their ends."""
    lines = difflib.unified_diff(
        (change.before or b"").decode().splitlines(keepends=True),
        change.after.decode().splitlines(keepends=True),
        str(change.path),
        str(change.path),
        n=2,
    )
    return "".join(_hidden(line if line.endswith("\n") else f"{line}\n") for line in lines)


def _hidden(line: str) -> str:
    for pattern in _SECRETS:
        line = pattern.sub(_shortened, line)
    return line


def _shortened(found: re.Match[str]) -> str:
    secret = found[0].removeprefix(found[1])
    if secret == _TO_COME:
        return found[0]
    ours = "sk-gw-" if secret.startswith("sk-gw-") else ""
    return f"{found[1]}{ours}…{secret[-4:] if len(secret) > 12 else ''}"
