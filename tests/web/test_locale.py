"""Vietnamese: nothing is left in English, and what is compiled is what is written."""

import re
import unicodedata
from pathlib import Path

import polib
import pytest
from django.conf import settings

# Of the two ways to place the tone in words such as "khoá", the one this product does not use.
OTHER_SPELLING = re.compile(r"\w*(?:[óòỏõọ][ae]|[úùủũụ]y)\b", re.IGNORECASE)
FILES = sorted(Path(path) / "vi/LC_MESSAGES/django.po" for path in settings.LOCALE_PATHS)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_everything_is_translated_and_compiled(path: Path) -> None:
    written = polib.pofile(str(path))
    assert [entry.msgid for entry in written.untranslated_entries()] == []
    assert [entry.msgid for entry in written.fuzzy_entries()] == []
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    shown = {
        (entry.msgctxt, entry.msgid): (entry.msgstr, entry.msgstr_plural) for entry in compiled
    }
    assert shown == {
        (entry.msgctxt, entry.msgid): (entry.msgstr, entry.msgstr_plural) for entry in written
    }


def test_a_placeholder_is_in_the_translation_too() -> None:
    for path in FILES:
        for entry in polib.pofile(str(path)):
            for name in ("%(name)s", "%(percent)s", "%(time)s", "<strong>"):
                translated = entry.msgstr or entry.msgstr_plural.get(0, "")
                assert (name in entry.msgid) == (name in translated), entry.msgid


def test_vietnamese_is_spelled_one_way() -> None:
    base = Path(settings.BASE_DIR)
    written = [*FILES, *base.glob("docs/vi/*.md"), *base.glob("templates/emails/vi/*.txt")]
    assert len(written) > 40
    assert {path.name: found for path in written if (found := _otherwise(path))} == {}


def _otherwise(path: Path) -> list[str]:
    return OTHER_SPELLING.findall(unicodedata.normalize("NFC", path.read_text()))
