"""The documentation: every link leads somewhere, every address is this deployment's."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.keys import api_keys
from gateway.catalogue.models import Alias
from gateway.catalogue.seed import seed
from gateway.dashboard import docs
from gateway.plane.v1 import V1
from gateway.usage.explanations import EXPLANATIONS
from hontoni.translated_errors import MESSAGES
from tests.conformance import vietnamese
from tests.web.crawling import english
from tests.world import Person

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize("slug", list(docs.sources()))
def test_a_page_is_about_this_deployment(client: Client, db: None, slug: str) -> None:
    page = client.get(f"/docs/{slug}").content.decode()
    assert docs.BASE_URL not in page
    assert "hontoni.vn" not in page
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=", page)


@pytest.mark.parametrize(("language", "said"), [("en", "14 days from then"), ("vi", "14 ngày kể")])
def test_a_page_tells_this_deployments_numbers(
    settings: Settings, language: str, said: str
) -> None:
    settings.PRICE_NOTICE_DAYS = 14
    docs.sources.cache_clear()
    try:
        text = docs.sources(language)["billing"].text
    finally:
        docs.sources.cache_clear()
    assert said in text and "PRICE_NOTICE_DAYS" not in text


def test_links_between_pages_lead_somewhere(client: Client, db: None) -> None:
    anchors = {(section.slug, section.anchor) for section in docs.sections()}
    for slug in docs.sources():
        html = docs.render(slug, "http://here", docs.KEY).html
        for path in re.findall(r'href="(/[^"]*)"', html):
            url, _, anchor = path.partition("#")
            assert client.get(url).status_code in (200, 302), f"{slug}: {path}"
            if anchor:
                assert (url.removeprefix("/docs/"), anchor) in anchors, f"{slug}: {path}"


def test_the_chosen_keys_prefix_is_filled_in(client: Client, alice: Person, bob: Person) -> None:
    client.force_login(alice.user, "allauth.account.auth_backends.AuthenticationBackend")
    shown = f"{alice.key.prefix}…{alice.key.last4}"
    assert shown in client.get(f"/docs/tools?key={alice.key.pk}").content.decode()
    assert bob.key.last4 not in client.get(f"/docs/tools?key={bob.key.pk}").content.decode()
    api_keys.revoke(alice.key)
    assert shown not in client.get(f"/docs/tools?key={alice.key.pk}").content.decode()


def test_the_names_on_the_page_are_those_in_the_catalogue(client: Client, db: None) -> None:
    seed()
    Alias.objects.create(name="house-blend", model_id="gpt-4o")
    Alias.objects.create(name="<script>", model_id="gpt-4o")
    page = client.get("/docs/names").content.decode()
    row = re.search(r'<th scope="row"><code>gpt-4o</code></th><td>(.*?)</td>', page)
    assert row and "<code>house-blend</code>" in row[1] and "&lt;script&gt;" in row[1]
    vietnamese = client.get("/docs/names", headers={"Accept-Language": "vi"}).content.decode()
    assert "Cũng được gọi là" in vietnamese and "Also asked for as" not in vietnamese
    Alias.objects.filter(name="house-blend").delete()
    assert "house-blend" not in client.get("/docs/names").content.decode()


def test_the_corrections_of_the_tools_are_there() -> None:
    html = docs.render("tools", "http://here", docs.KEY).html
    for word in ("openai/claude-sonnet-4", "wire_api", "settings.json", "config.yaml"):
        assert word in html


@pytest.mark.parametrize("slug", ["quickstart", "chat-completions", "messages", "responses"])
def test_an_example_is_there_in_every_language_one_writes(slug: str) -> None:
    html = docs.render(slug, "http://here", docs.KEY).html
    for tab in ("curl", "Python", "Node"):
        assert f'data-tab="{tab}"' in html


def test_search_finds_sections_by_their_words(client: Client, db: None) -> None:
    found = docs.search("overlap rotate")
    assert (found[0].slug, found[0].anchor) == ("authentication", "rotate-without-an-outage")
    assert docs.search("") == [] == docs.search("zxqv")
    page = client.get("/docs/search", {"q": "<script>alert(1)"}).content.decode()
    assert "<script>alert" not in page


def test_there_is_no_other_page(client: Client, db: None) -> None:
    assert client.get("/docs/nothing").status_code == 404


VIETNAMESE = [slug for slug, source in docs.sources("vi").items() if source.language == "vi"]


def test_every_page_is_there_in_vietnamese() -> None:
    assert list(docs.sources()) == VIETNAMESE


def _pieces(text: str) -> Iterator[str]:
    """Paragraphs, and what the rows of tables begin with."""
    for paragraph in text.split("\n\n"):
        lines = paragraph.strip().split("\n")
        table = lines[0].startswith("|")
        yield from (line.split("|")[1] for line in lines) if table else (paragraph,)


def test_the_board_is_the_same_in_vietnamese_and_none_of_it_is_english() -> None:
    english, twin = vietnamese.ENGLISH.read_text(), vietnamese.TWIN.read_text()
    assert twin == vietnamese.twin(english)  # else: python -m tests.conformance.vietnamese
    left = []
    for ours, theirs in zip(_pieces(english), _pieces(twin), strict=True):
        words = re.sub(r"`.*?`", "", ours)
        if ours == theirs and re.search(r"[a-z]{3}", words) and not re.search(r"\d", words):
            left.append(ours)
    assert left == []  # their words are missing in tests/conformance/vietnamese.py


@pytest.mark.parametrize("slug", VIETNAMESE)
def test_a_translation_has_the_same_code_links_and_anchors(slug: str) -> None:
    def bones(language: str) -> list[list[str]]:
        html = docs.render(slug, docs.BASE_URL, docs.KEY, language).html
        return [
            re.findall(r"<pre[^>]*>.*?</pre>", html, re.DOTALL),
            sorted(re.findall(r'href="([^"]*)"', html)),
            re.findall(r'<h[23] id="([^"]*)"', html),
            [str(len(re.findall("<tr>", html)))],
        ]

    assert bones("vi") == bones("en")


def test_the_visitors_language_is_spoken(client: Client, db: None) -> None:
    vietnamese = {"Accept-Language": "vi"}
    page = client.get("/docs/billing", headers=vietnamese).content.decode()
    assert '<article lang="vi">' in page and "<h1>Thanh toán</h1>" in page
    assert 'id="holds"' in page  # a link to a section is good in every language
    found = client.get("/docs/search", {"q": "hoá đơn"}, headers=vietnamese).content.decode()
    assert "/docs/billing#invoices" in found
    assert '<article lang="en">' in client.get("/docs/billing").content.decode()


# -- For programs that read ----------------------------------------------------------------------


def test_every_page_is_there_as_markdown_and_listed_for_language_models(client: Client) -> None:
    listed = client.get("/llms.txt", headers={"Host": "localhost:8123"})
    assert listed["Content-Type"].startswith("text/plain")
    found = re.findall(r"http://localhost:8123(/docs/[a-z-]+\.md)", listed.content.decode())
    assert len(found) == len(docs.sources()) > 10
    for path in found:
        page = client.get(path, headers={"Host": "localhost:8123"})
        text = page.content.decode()
        assert page["Content-Type"].startswith("text/markdown")
        assert text.startswith("# ") and "hontoni.example" not in text and "<!--" not in text


def test_the_openapi_document_of_v1_has_every_endpoint(client: Client) -> None:
    document = client.get("/openapi/v1.json").json()
    routes = {route.path.replace(":path", "") for route in V1().router.routes}  # type: ignore[attr-defined]
    described = {path.partition("}:")[0] + "}" * ("}:" in path) for path in document["paths"]}
    assert routes - {"/v1", "/v1/api/hello"} == described  # Google's verbs are one route
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("code", ["plan_limit_5h", "key_cap_daily", "insufficient_balance"])
def test_an_error_has_a_page_of_its_own(client: Client, code: str) -> None:
    for language in ("en", "vi"):
        page = client.get(f"/errors/{code}", headers={"Accept-Language": language})
        assert code in page.content.decode() and page.status_code == 200
        assert docs.about_code(code, "", language)


@pytest.mark.parametrize("code", [*EXPLANATIONS, *MESSAGES])
def test_no_error_leads_nowhere_or_to_english(client: Client, code: str) -> None:
    page = client.get(f"/errors/{code}", headers={"Accept-Language": "vi"})
    assert page.status_code == 200 and english(page.content.decode()) == []


def test_an_error_says_where_its_page_is(api: APIClient) -> None:
    raised = api.post("/api/auth/login", {"email": "x"}, format="json").json()["error"]
    assert raised["doc_url"].endswith(f"/errors/{raised['code']}")
    assert Client().get(urlsplit(raised["doc_url"]).path).status_code == 200


def test_code_is_copied_with_a_press(client: Client) -> None:
    assert 'data-copy="Copy"' in client.get("/docs/quickstart").content.decode()
