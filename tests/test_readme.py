"""What the README says is there."""

import re
from pathlib import Path

import pytest
from django.urls import Resolver404, resolve

from hontoni import environment, options
from tests.gateway.vendors import board

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_setting_that_is_read_is_documented_and_the_other_way_round() -> None:
    source = "".join(path.read_text() for path in ROOT.glob("hontoni/*settings.py"))
    read = set(re.findall(r"""env(?:\.\w+)?\(\s*"(\w+)\"""", source))
    assert read == {option.name for option in options.OPTIONS}


def test_defaults_are_as_documented() -> None:
    source = "".join(path.read_text() for path in ROOT.glob("hontoni/*settings.py"))
    values = re.findall(
        r'env(?:\.\w+)?\("(\w+)", default=(?:"([^"]+)"|([\d.]+)|(True|False))\)', source
    )
    told = {option.name: option.default for option in options.OPTIONS}
    wrong = [
        name
        for name, text, number, truth in values
        if (code := re.fullmatch(r"`([^`]*)`", told[name]))
        and code[1] != (text or number or truth.lower())
    ]
    assert len(values) > 20 and wrong == []


def test_the_page_of_the_settings_is_printed_anew() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == environment.page(), "make docs"


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


def test_its_table_of_providers_is_what_the_tests_ask() -> None:
    assert board.written(README) == README, "make providers"


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
    named = {re.sub(r"[-_.]+", "-", name.lower()) for name in asked if not name.startswith("-")}
    assert named - set(pinned) == set()
