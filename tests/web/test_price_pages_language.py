"""What the pages of prices answer to a form (a refusal, a preview, what was done) is Vietnamese to
staff who read it: no list of pages finds it, for it is shown after a POST alone."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import translation

from accounts.models import User
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.seed import seed as seed_catalogue
from gateway.pricing.many import ModelSheet
from gateway.pricing.models import Kind, Proposal
from gateway.vendors.routing.models import Routing
from tests.web.furnished import sign_in
from tests.web.test_staff_language import english, said, typed

pytestmark = pytest.mark.any_database
__all__ = ["english"]

_COST = {
    **dict.fromkeys([*BUCKETS, *(f"long_{bucket}" for bucket in BUCKETS)], ""),
    **dict.fromkeys(("long_context_above", "batch_factor", "reason"), ""),
    **dict.fromkeys(("input", "cache_read", "cache_write_5m", "cache_write_1h", "output"), "90"),
}
_PRICE = _COST | {"model": "gpt-4o", "reasoning": "1", "effective_at_0": "", "effective_at_1": ""}
_LATER = {"from_at_0": "2031-01-01", "from_at_1": "00:00:00", "until_at_0": "", "until_at_1": ""}
_PAST = {"effective_at_0": "2020-01-01", "effective_at_1": "00:00:00"}
_COLUMNS = ", ".join(ModelSheet().columns)  # names of a file's, in no language
_NO_ROWS = {"offerings-TOTAL_FORMS": "0", "offerings-INITIAL_FORMS": "0"}
FORMS: dict[str, dict[str, str]] = {
    "price/add/?model=gpt-4o": _PRICE | dict.fromkeys(("input", "output"), "0.01"),
    "price/add/": _PRICE | _PAST,
    "price/many/": {"text": "model,output\ngpt-4o,1\ngpt-4.1,9\ngpt-9,1\ngpt-5.1,x\ngpt-4.1,1"},
    "price/many/#odd": {"text": "model,prize\ngpt-4o,1"},
    "price/many/#none": {"text": "gpt-4o"},
    "featureprice/many/": {"text": "name,factor\nservice_tier=*,x\nnone_such,1"},
    "vendorprice/add/": _COST | {"model": "gpt-4o", "since": "2026-01-01", "source": "x"},
    "customerprice/add/": _LATER | {"model": "gpt-4o", "multiplier": "10", "input": "1"},
    "customerprice/add/#multiple": _LATER | {"model": "gpt-4o", "multiplier": "10"},
    "customerprice/add/#end": _LATER
    | {"multiplier": "90", "until_at_0": "2030-01-01", "until_at_1": "00:00:00"},
    "ownkeyfee/add/": _PAST | {"vendor": "", "per_million": "9", "per_request": "1", "reason": ""},
    "routeterms/add/": {"model": "gpt-4o", "input": "1", "output": ""},
    "routing/add/": {"model": "", "choose": "cost"},
    "provider/add/": {"name": "x", "vendor": "anthropic", "hosting": "bedrock", "auth": "sigv4"}
    | {"base_url": "nowhere", "dialect": "gemini", "region": ""},
    "provider/add/#lacking": {"name": "x", "vendor": "google", "hosting": "vertex"}
    | {"base_url": "https://x.example", "auth": "bearer", "dialect": ""},
    "proposal/sync/": {"offline": "on", "confirmed": "yes"},
}


@pytest.fixture
def post(db: None) -> Iterator[Callable[[str, dict[str, str]], str]]:
    """What a page answers to a form, once it is followed."""
    seed_catalogue()
    Routing.objects.create(choose="share")
    client = Client(HTTP_ACCEPT="text/html")
    owner = User.objects.create_superuser("staff@example.com", "x", language="vi")
    sign_in(client, owner)
    client.cookies[configured.LANGUAGE_COOKIE_NAME] = "vi"

    def post(path: str, form: dict[str, str]) -> str:
        form = {"user": str(owner.pk), **_NO_ROWS, **form}
        answer = client.post(f"/admin/gateway/{path}", form, follow=True)
        assert answer.status_code == 200, path
        return answer.content.decode().replace(_COLUMNS, "")

    with translation.override("en"):  # a request leaves its own behind
        yield post


def test_what_pages_of_prices_answer_is_vietnamese(
    post: Callable[[str, dict[str, str]], str], english: set[str]
) -> None:
    found, data = {}, typed()
    for path, form in FORMS.items():
        found[path] = said(post(path, form), english, data)
    for kind in Kind:
        row = Proposal.objects.filter(kind=kind).first()
        if row is not None:
            page = post(f"proposal/{row.pk}/accept/", {})
            found[str(kind)] = said(page, english, data)
    assert {path: texts for path, texts in found.items() if texts} == {}
