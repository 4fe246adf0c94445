"""What a page says of an error is in its reader's language, whatever went wrong."""

import pytest
from django.utils import translation

from hontoni.errors import ApiError, BadRequest, Conflict
from hontoni.translated_errors import translated


@pytest.mark.parametrize(
    ("error", "english", "vietnamese"),
    [
        (
            BadRequest("amount: from $5.00 to $5,000.00.", param="amount"),
            "From $5.00 to $5,000.00.",
            "Từ $5,00 đến $5.000,00.",
        ),
        (
            Conflict("This key is revoked: make a new one instead.", code="key_ended"),
            "This key has ended: make a new one instead.",
            "Khoá này đã kết thúc: hãy tạo khoá mới.",
        ),
        (
            BadRequest("A token lasts for a year at the most."),
            "A token lasts for a year at the most.",
            "Có gì đó chưa hợp lệ. Hãy xem lại.",
        ),
    ],
)
def test_no_error_is_english_to_who_reads_vietnamese(
    error: ApiError, english: str, vietnamese: str
) -> None:
    for language, said in (("en", english), ("vi", vietnamese)):
        with translation.override(language):
            assert translated(error) == said
