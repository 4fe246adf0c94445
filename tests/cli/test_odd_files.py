"""Files of settings as people really have them, and homes that are in the way."""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hontoni_cli import backups
from hontoni_cli.clients import CLIENTS
from hontoni_cli.clients.client import Place
from hontoni_cli.documents import toml
from hontoni_cli.gateway import Failed
from hontoni_cli.main import main
from hontoni_cli.setup import Wanted
from tests.cli.test_setup import KEY, WANTED, everything, furnish, set_up, undo
from tests.cli.test_setup import home as home

PLACE = Place(WANTED.url, KEY, WANTED.model)


def given(name: str, text: str | bytes) -> Path:
    """The tool's first file, with that in it."""
    path = CLIENTS[name].files(PLACE)[0].path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-code", '{"env": null}'),
        ("claude-code", "// nothing yet\n"),
        ("codex", 'model_providers = { other = { name = "x" } }\n'),
        ("codex", 'model_providers.other.name = "x"\n[tui]\na = 1\n'),
        ("codex", 'profile = "p"\n[profiles.p]\nmodel = "x"\n'),
        ("codex", '[model_providers.hontoni]\nbase_url = "https://old.example/v1"\n'),
        ("codex", '\r\n[tui]\r\nnote = """\r\n[not] a table\r\n"""\r\n'),
        ("continue", "models:\n"),
        ("continue", "models: {}\n"),
        ("continue", '{"name": "x", "models": [{"name": "A"}]}'),
        ("continue", "---\nname: Local\nmodels: &all\n  - name: A\nagain: *all\n"),
        ("aider", "\ufeffdark-mode: true\r\n"),
        ("cursor", '{"mcpServers": []}'),
        ("gemini", 'export GEMINI_API_KEY="theirs" # mine\r\nA=1\r\n'),
    ],
)
def test_what_a_tool_can_read_is_set_up_and_as_it_was_again(
    home: Path, name: str, text: str
) -> None:
    path = given(name, text)
    before = everything(home)
    set_up(name)
    found = CLIENTS[name].read()
    assert found is not None and (found.url, found.key) == (WANTED.url, KEY)
    assert "nothing to change" in set_up(name)
    undo(name)
    assert path.read_bytes() == text.encode() and everything(home) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-code", '{"env": "x"}'),
        ("claude-code", '{"a": 1}'.encode("utf-16")),
        ("codex", 'model_providers = "x"\n'),
        ("codex", '[[model_providers]]\nname = "x"\n'),
        ("continue", 'models: "x"\n'),
        ("continue", "models:\n  a: 1\n"),
        ("aider", "- a\n"),
        ("aider", "just words\n"),
        ("aider", "model: a\nmodel: b\n"),
        ("opencode", '{"provider": ["x"]}'),
        ("windsurf", "null"),
    ],
)
def test_what_would_be_lost_is_left_alone(name: str, text: str | bytes) -> None:
    path = given(name, text)
    raw = path.read_bytes()
    assert CLIENTS[name].read() is None
    with pytest.raises(Failed, match="cannot be understood"):
        set_up(name)
    assert path.read_bytes() == raw
    with pytest.raises(Failed, match="nothing to undo"):
        undo(name)


def test_a_value_that_no_writer_puts_right_is_said_by_its_whole_name() -> None:
    text = 'a.b.c = 1\n[d]\n"e f" = 2\n'
    for path in (("a", "x", "y z"), ("model",), ("d", "g")):
        text = toml.put(text, path, "v")
    found = toml.read(text)
    assert found["a"] == {"b": {"c": 1}, "x": {"y z": "v"}}
    assert (found["model"], found["d"]) == ("v", {"e f": 2, "g": "v"})


@pytest.mark.parametrize(
    ("name", "text", "secret"),
    [
        ("claude-code", '{"env": {"ANTHROPIC_AUTH_TOKEN": "%s"}}', "sk-ant-0123456789abcdef"),
        ("claude-code", '{"apiKeyHelper": 1, "env": {"HTTPS_PROXY": "http://me:%s@p"}}', "hush"),
        ("codex", 'model = "x"\nnote = "%s"\n', "ghp_0123456789abcdefghij"),
        ("aider", "openai-api-key: %s\n", "theirs-0123456789"),
        ("cursor", '{"mcpServers": {"a": {"headers": {"Authorization": "Bearer %s"}}}}', "t0pS3c"),
        ("gemini", "GEMINI_API_KEY=%s\n", "AIzaSyA0123456789"),
        ("windsurf", '{"ai.openai.apiKey": "%s"}', "whatever-they-had"),
    ],
)
def test_what_is_shown_tells_nobody_s_secret(name: str, text: str, secret: str) -> None:
    given(name, text % secret)
    for key in (KEY, "their-own-form-of-a-key"):
        shown = set_up(name, Wanted(WANTED.url, key, WANTED.model)).partition(" is set up")[0]
        assert shown.count("…") > 0 and secret not in shown and key not in shown
        assert str(CLIENTS[name].files(PLACE)[0].path) in shown


def test_two_set_ups_are_undone_as_one(home: Path) -> None:
    """Of the second only one of the two files is another."""
    furnish(home, "gemini")
    before = everything(home)
    set_up("gemini")
    set_up("gemini", Wanted(WANTED.url, KEY, "gpt-4o"))
    undo("gemini")
    assert everything(home) == before
    with pytest.raises(Failed, match="nothing to undo"):
        undo("gemini")


def test_another_gateway_is_undone_by_itself_with_each_key(home: Path) -> None:
    set_up("codex")
    set_up("codex", Wanted("https://other.example", KEY, "gpt-4o"))
    undo("codex")
    found = CLIENTS["codex"].read()
    assert found is not None and found.url == WANTED.url
    entry = backups.Entry(WANTED.url, [1], [])
    backups.push("zed", entry)
    backups.push("zed", backups.Entry(WANTED.url, [2], []))
    assert [each.key_ids for each in backups.stack("zed")] == [[1, 2]]


def test_what_a_version_before_kept_is_undone(home: Path) -> None:
    file = home / ".claude" / "settings.json"
    set_up("claude-code")
    kept = home / ".config" / "hontoni" / "backups" / "claude-code.json"
    (row,) = json.loads(kept.read_text())
    assert row.pop("key_ids") == []
    kept.write_text(json.dumps([{**row, "key_id": None}]))
    undo("claude-code")
    assert not file.exists()


def test_a_link_that_leads_to_nothing_yet_stays(home: Path) -> None:
    target = home / "dotfiles" / "claude.json"
    link = given("claude-code", "")
    link.unlink()
    link.symlink_to(target)
    set_up("claude-code")
    assert link.is_symlink() and KEY in target.read_text()
    undo("claude-code")
    assert link.is_symlink() and not target.parent.exists()


@pytest.mark.parametrize("name", ["gemini", "windsurf", "continue", "codex"])
def test_a_file_of_windows_that_was_changed_since_keeps_its_lines(name: str) -> None:
    theirs = {"gemini": "A=1\r\n", "windsurf": '\ufeff{\r\n  "a": 1\r\n}\r\n'}
    path = given(name, theirs.get(name, "# mine\r\n"))
    set_up(name)
    line = {"gemini": "B=2\r\n", "windsurf": "// since\r\n"}.get(name, "# since\r\n")
    path.write_bytes(path.read_bytes() + line.encode())
    undo(name)
    raw = path.read_bytes()
    assert KEY.encode() not in raw and raw.endswith(line.encode())
    assert raw.count(b"\r\n") == raw.count(b"\n") >= 2
    assert raw.startswith(b"\xef\xbb\xbf") == (name == "windsurf")


@pytest.mark.parametrize("left", [None, b"", b"\n"])
def test_a_file_that_was_removed_since_is_no_obstacle(left: bytes | None) -> None:
    set_up("claude-code")
    path = CLIENTS["claude-code"].files(PLACE)[0].path
    if left is None:
        path.unlink()
    else:
        path.write_bytes(left)
    undo("claude-code")
    assert not path.exists()


def test_what_was_theirs_and_is_removed_since_stays_removed(home: Path) -> None:
    path = given("aider", "dark-mode: true\n")
    set_up("aider")
    path.write_text(path.read_text().replace("dark-mode: true\n", ""))
    undo("aider")
    assert path.read_text().strip() == ""


def test_only_its_owner_reads_what_is_kept(home: Path) -> None:
    set_up("codex")
    folder = home / ".config" / "hontoni"
    for path in (folder, folder / "backups"):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (folder / "backups" / "codex.json").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_to_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    furnish(home, "codex")
    before = everything(home)

    def forbidden(path: Path, *_: object) -> int:
        if ".codex" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *_)  # type: ignore[arg-type]

    opened = os.open
    monkeypatch.setattr("os.open", forbidden)
    arguments = ["setup", "codex", "--yes", "--key", KEY, "--url", WANTED.url, "--model", "gpt-4o"]
    assert main(arguments) == 2
    assert "Permission denied" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(home))
    assert everything(home) == before


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Path]:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("APPDATA", str(home / "AppData" / "Roaming"))
    yield home / "AppData" / "Roaming"


def test_editors_are_where_windows_has_them(windows: Path) -> None:
    places = {name: CLIENTS[name].files(PLACE)[0].path for name in CLIENTS}
    assert places["windsurf"] == windows / "Windsurf" / "User" / "settings.json"
    assert places["zed"] == windows / "Zed" / "settings.json"
    assert places["claude-code"] == Path.home() / ".claude" / "settings.json"


def test_editors_are_where_a_mac_has_them(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    library = home / "Library" / "Application Support"
    places = {name: CLIENTS[name].files(PLACE)[0].path for name in CLIENTS}
    assert places["windsurf"] == library / "Windsurf" / "User" / "settings.json"
    assert places["zed"] == home / ".config" / "zed" / "settings.json"
    assert places["opencode"] == home / ".config" / "opencode" / "opencode.json"


def test_a_backup_is_the_file_to_the_byte(home: Path) -> None:
    raw = b'\xef\xbb\xbf{\r\n\t"a": 1,\r\n}'
    path = given("zed", raw)
    set_up("zed")
    (entry,) = backups.stack("zed")
    assert base64.b64decode(entry.files[0].before or "") == raw
    undo("zed")
    assert path.read_bytes() == raw
