"""A receipt keeps codes, and says what they mean in its reader's language."""

from io import BytesIO

import pytest
from django.test import Client
from django.utils import translation
from pypdf import PdfReader

from gateway.catalogue.features import seed
from gateway.catalogue.seed_endpoints import counters
from tests.world import Person, used

pytestmark = pytest.mark.any_database

_DETAILS = {
    "rule": "estimated",
    "left_out": ["tool:web_search (balance)", "beta:context-9m", "odd"],
    "clamps": {
        "max_tokens": {"asked": 32_000, "applied": 1_500, "by": "spend-cap"},
        "thinking": {"asked": 4_096, "applied": 4_096},
        "charge": {"asked": 40_000_000, "applied": 20_500_000, "by": "hold"},
    },
}


def _page(person: Person, language: str, ending: str = "") -> bytes:
    event = used(person, details=_DETAILS, duration_ms=12_345)
    client = Client(headers={"Accept-Language": language})
    client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    answer = client.get(f"/usage/{event.request_id}{ending}")
    assert answer.status_code == 200
    return answer.content


def test_what_was_limited_and_left_out_is_said_in_the_readers_language(alice: Person) -> None:
    english, vietnamese = (_page(alice, each).decode() for each in ("en", "vi"))
    assert "1,500 instead of 32,000, by the key&#x27;s spend cap" in english
    assert "$0.0205 instead of $0.04, by what was held" in english
    assert "<dt>Thinking tokens</dt><dd>4,096</dd>" in english  # nothing took any away
    assert "tool <code>web_search</code>" in english and "<code>odd</code>" in english
    assert "your balance did not cover it" in english
    assert "1.500 thay vì 32.000, do mức chi tối đa của khoá" in vietnamese
    assert "$0,0205 thay vì $0,04, do số đã giữ" in vietnamese
    assert "công cụ <code>web_search</code>" in vietnamese
    assert "cờ beta <code>context-9m</code>" in vietnamese
    assert "số dư của bạn không đủ cho nó" in vietnamese and "(balance)" not in vietnamese


def test_the_paper_names_its_rule_and_writes_numbers_as_its_reader_does(alice: Person) -> None:
    paper = PdfReader(BytesIO(_page(alice, "vi", ".pdf"))).pages[0].extract_text()
    assert "ước tính của chúng tôi" in paper and "estimated" not in paper
    assert "12.345 ms" in paper and "$0,0105" in paper and "1.000" in paper


def test_every_note_that_is_shipped_has_its_vietnamese() -> None:
    notes = {row.note for row in (*seed.rows(), *counters()) if row.note}
    assert len(notes) > 20
    with translation.override("vi"):
        assert [note for note in notes if translation.gettext(note) == note] == []
