"""Ten tools are set up on a throwaway home, and made as they were again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hontoni_cli import setup
from hontoni_cli.clients import CLIENTS
from hontoni_cli.clients.client import Place
from hontoni_cli.gateway import Failed
from hontoni_cli.setup import Wanted

KEY = "sk-gw-" + "k" * 49
WANTED = Wanted("https://gateway.example", KEY, "claude-sonnet-4")
# What somebody has in these files already: comments, other settings, odd ends.
THEIRS = {
    "claude-code": {
        ".claude/settings.json": '{\n  "model": "opus",\n  "env": {"EDITOR": "vi"}\n}'
    },
    "codex": {
        ".codex/config.toml": '# mine\nmodel = "gpt-5"  # fast\n\n[tui]\ntheme = "dark"\n\n'
        '[model_providers.other]\nname = "Other"\nbase_url = "https://o.example"\n'
    },
    "cursor": {".cursor/mcp.json": '{"mcpServers": {"git": {"command": "git-mcp"}}}\n'},
    "cline": {
        ".cline/data/settings/providers.json": '{\n  "version": 1,\n  "lastUsedProvider": '
        '"anthropic",\n  "modes": {},\n  "providers": {"anthropic": {"settings": {}}}\n}'
    },
    "continue": {
        ".continue/config.yaml": "# mine\nname: Local\nversion: 1.0.0\nschema: v1\nmodels:\n"
        "  - name: Other  # kept\n    provider: ollama\n    model: 'llama3'\n"
        "rules:\n  - Be short\n"
    },
    "aider": {
        ".aider.conf.yml": "## my aider\ndark-mode: true   # night\n\nread: [CONVENTIONS.md]\n"
    },
    "opencode": {
        ".config/opencode/opencode.jsonc": '{\r\n\t// mine\r\n\t"theme": "tokyo",\r\n}\r\n'
    },
    "windsurf": {
        ".config/Windsurf/User/settings.json": '\ufeff{\n    "editor.fontSize": 13, // small\n}\n'
    },
    "zed": {
        ".config/zed/settings.json": '// Zed settings\n{\n  "vim_mode": true,\n'
        '  "language_models": {\n    // others\n'
        '    "ollama": { "api_url": "http://localhost:11434" },\n  },\n}\n'
    },
    "gemini": {
        ".gemini/.env": "export OTHER=1\nGEMINI_API_KEY=theirs",
        ".gemini/settings.json": '{"ui": {"theme": "GitHub"}}',
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("XDG_CONFIG_HOME", "HONTONI_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path


def everything(home: Path) -> dict[str, tuple[bytes, int]]:
    """Every file and folder below, but for what the command itself keeps."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = str(path.relative_to(home))
        if not name.startswith(".config/hontoni") and name != ".config":
            mode = path.stat().st_mode
            found[name] = (path.read_bytes() if path.is_file() else b"", mode)
    return found


def set_up(name: str, wanted: Wanted = WANTED, *, agrees: bool = True) -> str:
    lines: list[str] = []
    setup.set_up(CLIENTS[name], wanted, lines.append, lambda question: agrees)
    return "\n".join(lines)


def undo(name: str, *, force: bool = False) -> str:
    lines: list[str] = []
    setup.undo(CLIENTS[name], lines.append, force=force)
    return "\n".join(lines)


def furnish(home: Path, name: str) -> None:
    for file, text in THEIRS[name].items():
        path = home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(0o640)


@pytest.mark.parametrize("furnished", [True, False], ids=["theirs", "nothing"])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_tool_is_set_up_and_undone_byte_for_byte(home: Path, name: str, furnished: bool) -> None:
    if furnished:
        furnish(home, name)
    before = everything(home)
    shown = set_up(name)
    after = everything(home)
    assert after != before
    key = "" if name == "zed" else KEY  # which keeps it in a store of its own
    model = "" if name == "cursor" else "claude-sonnet-4"
    assert CLIENTS[name].read() == Place("https://gateway.example", key, model)
    written = [file for file, was in after.items() if was != before.get(file) and was[0]]
    assert written and all((after[file][1] & 0o077) == 0 for file in written)  # a key is in it
    differences = shown.partition(" is set up.")[0]
    assert KEY not in differences
    assert all(f"+++ {home}/{file}" in shown for file in written)
    if furnished:
        for file, text in THEIRS[name].items():
            kept = (home / file).read_text("utf-8-sig")
            for word in (
                "// mine",
                "# mine",
                "## my aider",
                "# kept",
                "# fast",
                "# night",
                "// small",
            ):
                assert word not in text or word in kept
    undo(name)
    assert everything(home) == before


@pytest.mark.parametrize("name", CLIENTS)
def test_who_says_no_has_everything_as_it_was(home: Path, name: str) -> None:
    furnish(home, name)
    before = everything(home)
    assert "Nothing was changed" in set_up(name, agrees=False)
    assert everything(home) == before
    with pytest.raises(Failed, match="nothing to undo"):
        undo(name)


@pytest.mark.parametrize("name", CLIENTS)
def test_settings_of_others_stay(home: Path, name: str) -> None:
    furnish(home, name)
    set_up(name)
    files = CLIENTS[name].files(Place(WANTED.url, KEY, WANTED.model))
    for file in files:
        theirs = THEIRS[name][str(file.path.relative_to(home))].lstrip("\ufeff")
        mine = {path[0] for path, _ in file.puts}
        kept = file.kind.read(file.path.read_text("utf-8-sig"))
        for name_of, value in file.kind.read(theirs).items():
            assert name_of in mine or kept[name_of] == value


def test_setting_up_again_changes_nothing_and_another_model_can_be_undone(home: Path) -> None:
    furnish(home, "codex")
    before = everything(home)
    set_up("codex")
    assert "nothing to change" in set_up("codex")
    set_up("codex", Wanted(WANTED.url, KEY, "gpt-4o"))
    found = CLIENTS["codex"].read()
    assert found is not None and found.model == "gpt-4o"
    undo("codex")
    assert everything(home) == before


# What the tool itself, or its person, put there after it was set up.
SINCE: dict[str, tuple[tuple[str, ...], object]] = {
    "codex": (("history", "persistence"), "none"),
    "continue": (("data",), "kept"),
    "aider": (("light-mode",), True),
    "gemini": (("ui", "footer"), "off"),
}


@pytest.mark.parametrize("furnished", [True, False], ids=["theirs", "nothing"])
@pytest.mark.parametrize("name", CLIENTS)
def test_what_was_changed_since_is_not_lost(home: Path, name: str, furnished: bool) -> None:
    if furnished:
        furnish(home, name)
    set_up(name)
    file = CLIENTS[name].files(Place(WANTED.url, KEY, WANTED.model))[-1]
    path, value = SINCE.get(name, (("since",), {"by": "the tool"}))
    text = file.path.read_text("utf-8-sig")
    file.path.write_text(file.kind.put(text, path, value))
    undo(name)
    now = file.kind.read(file.path.read_text())
    if furnished:
        theirs = THEIRS[name][str(file.path.relative_to(home))].lstrip("\ufeff")
        assert now == file.kind.read(file.kind.put(theirs, path, value))
    else:
        assert now == file.kind.read(file.kind.put("", path, value))
    with pytest.raises(Failed, match="nothing to undo"):
        undo(name)


def test_a_file_that_became_nonsense_since_is_undone_by_force_alone(home: Path) -> None:
    set_up("claude-code")
    file = home / ".claude" / "settings.json"
    file.write_text("{ nonsense")
    with pytest.raises(Failed, match="was changed since"):
        undo("claude-code")
    assert file.read_text() == "{ nonsense"
    undo("claude-code", force=True)
    assert not file.exists()


def test_a_file_that_cannot_be_understood_is_left_alone(home: Path) -> None:
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text("{ nonsense")
    with pytest.raises(Failed, match="cannot be understood"):
        set_up("claude-code")
    assert file.read_text() == "{ nonsense"


def test_a_link_stays_a_link(home: Path) -> None:
    kept = home / "dotfiles.json"
    kept.write_text("{}\n")
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").symlink_to(kept)
    set_up("claude-code")
    assert (home / ".claude" / "settings.json").is_symlink() and KEY in kept.read_text()
    undo("claude-code")
    assert kept.read_text() == "{}\n"


def test_where_writing_fails_nothing_is_left_behind(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(home, "gemini")
    before = everything(home)
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if str(target).endswith("settings.json") and not full_once:
            full_once.append(1)
            raise OSError("No space left on device")
        replace(source, target)

    full_once: list[int] = []
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        set_up("gemini")
    assert everything(home) == before


@pytest.mark.parametrize("url", ["http://gateway.example", "ftp://gateway.example", "https://"])
def test_a_key_is_shown_to_no_address_that_is_not_encrypted(url: str) -> None:
    with pytest.raises(Failed):
        set_up("codex", Wanted(url, KEY, "gpt-4o"))
