"""Vietnamese: nothing is left in English, and what is compiled is what is written."""

from pathlib import Path

import polib
import pytest
from django.conf import settings

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
