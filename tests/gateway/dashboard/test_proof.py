"""A receipt that a stranger can check: signed, adding up, and under a published root."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.sign_in import deletion
from billing.books.models import LedgerRoot, SigningKey, Transfer
from gateway.reconciliation.invariants import problems
from gateway.usage import ledger_roots
from gateway.usage.models import UsageEvent
from hontoni import verify
from tests.gateway_server import Gateway, fund
from tests.world import Person, at_once, used


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def later() -> Any:
    return timezone.now() + ledger_roots.SETTLED + timedelta(minutes=1)


def download(person: Person, event: UsageEvent) -> dict[str, Any]:
    answer = signed_in(person).get(f"/usage/{event.request_id}.json")
    assert answer["Content-Disposition"].startswith("attachment")
    document: dict[str, Any] = json.loads(answer.content)
    return document


def published(path: str) -> Any:
    return json.loads(Client().get(path).content)


@pytest.fixture
def bills(gateway: Gateway, alice: Person, bob: Person) -> list[UsageEvent]:
    """Five requests of two people, charged in several batches."""
    for person in (alice, bob):
        fund(person, "10")
    for person in (alice, bob, alice):
        gateway.chat(person)
    gateway.books()
    for person in (alice, bob):
        gateway.chat(person, text="And another")
    return gateway.books()


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`python -m hontoni.verify`, with copies of what is published."""

    def ran(document: Any, keys: Any = None, *more: str) -> int:
        files = {
            "receipt": document,
            "keys": keys or published("/.well-known/hontoni-receipts.json"),
            "roots": published("/proof.json"),
        }
        for name, content in files.items():
            (tmp_path / name).write_text(json.dumps(content))
        copies = ["--keys", str(tmp_path / "keys"), "--roots", str(tmp_path / "roots")]
        return verify.main([str(tmp_path / "receipt"), *copies, *more])

    return ran


def test_every_receipt_is_verified_by_a_stranger_up_to_a_published_root(
    bills: list[UsageEvent], alice: Person, bob: Person, run: Run, capsys: Any
) -> None:
    assert ledger_roots.make(later()) == 1
    people = {alice.user.pk: alice, bob.user.pk: bob}
    for event in bills:
        document = download(people[event.user_id], event)
        assert document["proof"] is not None
        assert run(document, None, "--issuer", document["issuer"]) == 0
    assert "Its root is published" in capsys.readouterr().out
    assert problems() == []


def test_a_fresh_receipt_is_signed_and_has_no_path_yet(
    bills: list[UsageEvent], alice: Person, run: Run, capsys: Any
) -> None:
    assert ledger_roots.make(timezone.now()) == 0  # nothing is settled yet
    document = download(alice, bills[0])
    assert document["proof"] is None
    assert run(document) == 0
    assert "no path to the ledger" in capsys.readouterr().out


def test_the_program_runs_where_nothing_of_ours_is_installed(
    bills: list[UsageEvent], alice: Person, tmp_path: Path
) -> None:
    ledger_roots.make(later())
    files = {
        "receipt.json": json.dumps(download(alice, bills[0])).encode(),
        "keys.json": Client().get("/.well-known/hontoni-receipts.json").content,
        "roots.json": Client().get("/proof.json").content,
        "verify.pyz": Client().get("/verify.pyz").content,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    copies = ["--keys", "keys.json", "--roots", "roots.json"]
    command = [sys.executable, "-I", "verify.pyz", "receipt.json", *copies]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "Signed by" in ran.stdout, ran.stderr


def _cheaper(document: Any) -> None:
    document["receipt"]["charged"] = "0.00"


def _dearer_line(document: Any) -> None:
    document["receipt"]["lines"][0]["tokens"] += 1


def _other_request(document: Any) -> None:
    document["receipt"]["request_id"] = "req_" + "0" * 32


def _other_root(document: Any) -> None:
    document["proof"]["root"] = "00" * 32


@pytest.mark.parametrize("change", [_cheaper, _dearer_line, _other_request, _other_root])
def test_whoever_changes_anything_is_found_out(
    bills: list[UsageEvent], alice: Person, run: Run, change: Callable[[Any], None]
) -> None:
    ledger_roots.make(later())
    document = download(alice, bills[0])
    change(document)
    assert run(document) == 1
    page = Client().post("/verify", {"text": json.dumps(document)})
    assert b"This receipt is not good" in page.content


def test_a_forger_with_a_key_of_his_own_is_not_the_issuer(
    bills: list[UsageEvent], alice: Person, run: Run
) -> None:
    document = download(alice, bills[0])
    assert run(document, {"keys": []}) == 1
    assert run(document, None, "--issuer", "https://honest.example") == 1


def test_the_page_checks_a_receipt_without_an_account(
    bills: list[UsageEvent], alice: Person
) -> None:
    ledger_roots.make(later())
    document = download(alice, bills[0])
    page = Client(enforce_csrf_checks=False).post("/verify", {"text": json.dumps(document)})
    assert b"This receipt is good" in page.content
    assert b"The root is one that we published" in page.content
    assert b"The books still say the same" in page.content


@pytest.mark.parametrize(
    "odd",
    ["", "x", "[]", "7", "{}", '{"type": "hontoni.receipt"}', "[" * 5000, '"' + "\ud83d" + '"'],
)
@pytest.mark.django_db
@pytest.mark.any_database
def test_what_is_no_receipt_is_told_so(odd: str) -> None:
    page = Client().post("/verify", {"text": odd.encode(errors="surrogatepass").decode("latin-1")})
    assert page.status_code == 200
    assert b'role="alert"' in page.content or b"errorlist" in page.content


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_receipt_is_its_owners(alice: Person, bob: Person) -> None:
    event = used(alice)
    for ending in ("json", "pdf"):
        assert signed_in(bob).get(f"/usage/{event.request_id}.{ending}").status_code == 404
        assert Client().get(f"/usage/{event.request_id}.{ending}").status_code == 302
    assert bob.client().get(f"/api/usage/{event.request_id}/signed").status_code == 404
    mine = alice.client().get(f"/api/usage/{event.request_id}/signed").json()
    assert mine["receipt"]["total"] == "0.0105" and mine["signature"]["algorithm"] == "Ed25519"
    assert (
        signed_in(bob).post(f"/usage/{event.request_id}/share", {"days": "7"}).status_code == 404
    )


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_receipt_is_printed(alice: Person) -> None:
    pdf = signed_in(alice).get(f"/usage/{used(alice).request_id}.pdf")
    assert pdf["Content-Type"] == "application/pdf" and pdf.content.startswith(b"%PDF")


# -- Sharing -------------------------------------------------------------------------------------


def share(person: Person, event: UsageEvent, days: str = "7") -> str:
    page = signed_in(person).post(f"/usage/{event.request_id}/share", {"days": days})
    found = re.search(r'id="share-link">https?://[^/]+(/receipts/[^<]+)<', page.content.decode())
    assert found is not None
    return found[1]


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_stranger_reads_and_downloads_what_is_shared_and_learns_nothing_else(
    alice: Person,
) -> None:
    event = used(alice, client="secret-tool/1.0")
    path = share(alice, event)
    page = Client().get(path).content.decode()
    assert event.request_id in page and "$0.0105" in page
    document = Client().get(f"{path}?as=json").content.decode()
    for private in ("secret-tool", alice.key.name, alice.user.email):
        assert private not in page and private not in document


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_link_ends_with_its_time_its_owners_sessions_or_the_account(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = used(alice)
    path = share(alice, event, "1")
    assert Client().get(path + "x").status_code == 404
    tomorrow = timezone.now() + timedelta(days=1, minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.dashboard.signed_receipts.timezone.now", lambda: tomorrow)
        assert Client().get(path).status_code == 404
    assert Client().get(path).status_code == 200
    alice.user.end_sessions()
    assert Client().get(path).status_code == 404
    path = share(alice, event)
    deletion.delete(alice.user)
    assert Client().get(path).status_code == 404


# -- Keys ----------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.any_database
def test_what_an_earlier_key_signed_stays_good(alice: Person, run: Run) -> None:
    old = download(alice, used(alice))
    call_command("rotatesigningkey")
    new = download(alice, used(alice))
    assert old["signature"]["key_id"] != new["signature"]["key_id"]
    assert run(old) == 0 and run(new) == 0
    listed = published("/.well-known/hontoni-receipts.json")["keys"]
    assert [bool(key["retired_at"]) for key in listed] == [False, True]


@pytest.mark.django_db
@pytest.mark.any_database
def test_a_signing_key_is_sealed_at_rest_and_resealed_with_the_rest(
    alice: Person, settings: Any, run: Run
) -> None:
    document = download(alice, used(alice))
    sealed = SigningKey.objects.get().sealed
    settings.CREDENTIAL_KEYS = ["another key of at least 32 letters", *settings.CREDENTIAL_KEYS]
    call_command("reseal")
    assert SigningKey.objects.get().sealed != sealed
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    assert download(alice, used(alice))["signature"]["key_id"] == document["signature"]["key_id"]
    settings.CREDENTIAL_KEYS = ["a third key that opens nothing here"]
    refused = signed_in(alice).get(f"/usage/{used(alice).request_id}.json")
    assert refused.status_code == 503 and refused["Content-Type"].startswith("text/html")


# -- Roots ---------------------------------------------------------------------------------------


def test_roots_are_chained_and_each_transfer_is_under_one(
    bills: list[UsageEvent], alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_roots, "MOST", 2)
    made = ledger_roots.make(later())
    roots = list(LedgerRoot.objects.all())
    assert made == len(roots) > 1
    assert sum(root.transfers for root in roots) == Transfer.objects.count()
    assert ledger_roots.make(later()) == 0
    fund(alice, "1")
    assert ledger_roots.make(later()) == 1
    listed = published("/proof.json")["roots"]
    assert [each["id"] for each in listed] == [
        root.pk for root in reversed(LedgerRoot.objects.all())
    ]
    one = published(f"/proof.json?id={listed[0]['id']}")["roots"]
    assert one == listed[:1]
    assert published(f"/proof.json?before={listed[0]['id']}")["roots"] == listed[1:]


@pytest.mark.django_db(transaction=True)
def test_two_workers_make_each_root_once(alice: Person) -> None:
    fund(alice, "1")
    moment = later()
    made = at_once(lambda: ledger_roots.make(moment), 2)
    assert sorted(made) == [0, 1]
    assert LedgerRoot.objects.count() == 1


@pytest.mark.django_db
def test_the_nightly_proof_tells_what_came_late(alice: Person) -> None:
    fund(alice, "1")
    fund(alice, "2")
    ledger_roots.make(later())
    root = LedgerRoot.objects.get()
    assert list(ledger_roots.problems(timezone.now())) == []
    values = {f.name: getattr(root, f.name) for f in LedgerRoot._meta.fields if f.name != "id"}
    hidden = Transfer.objects.order_by("-pk")[0]
    LedgerRoot.objects.create(**values | {"first": root.last + 1, "last": hidden.pk + 9})
    assert [problem.split(" is ")[0] for problem in ledger_roots.problems(timezone.now())] == [
        f"root {root.pk + 1}"
    ]


@pytest.mark.django_db
@pytest.mark.any_database
def test_everybody_sees_that_the_books_balance(alice: Person) -> None:
    fund(alice, "12.50")
    page = Client().get("/proof").content.decode()
    assert "The books balance" in page and "$12.50" in page and "−$12.50" in page
