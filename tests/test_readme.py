"""What the README says is there."""

import re
from pathlib import Path

import pytest
from django.urls import Resolver404, resolve

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_setting_is_documented() -> None:
    names = set(
        re.findall(r"""env(?:\.\w+)?\(\s*"(\w+)\"""", (ROOT / "hontoni/settings.py").read_text())
    )
    assert len(names) > 20
    table = README.split("### Configuration")[1].split("\n## ")[0]
    first_columns = "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", first_columns))
    assert documented == names


def test_every_api_address_it_names_exists() -> None:
    for path in set(re.findall(r"(/api/[a-z/]+)", README)):
        try:
            resolve(path.rstrip("/"))
        except Resolver404:
            resolve(f"{path.rstrip('/')}/x")


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.M)):
        assert f"\n{''.join(target)}:" in makefile


def test_every_picture_it_shows_is_there() -> None:
    pictures = re.findall(r'(?:src|srcset)="([^"]+\.png)"', README)
    assert len(pictures) >= 2
    assert [path for path in pictures if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("folder", [ROOT, ROOT / "tests"], ids=["run", "test"])
def test_what_make_installs_is_all_that_is_asked_for(folder: Path) -> None:
    """What is only in the developer's virtualenv is missing on a fresh clone."""
    asked = re.findall(r"^([\w.-]+)[^\n]*", (folder / "requirements.in").read_text(), re.M)
    pinned = re.findall(r"^([\w.-]+)==", (folder / "requirements.txt").read_text(), re.M)
    assert len(asked) > 10
    assert {name.lower() for name in asked if not name.startswith("-")} - set(pinned) == set()
