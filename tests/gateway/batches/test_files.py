"""Files by OpenAI's own SDK: their owner's alone, sealed, counted, and gone when told."""

import json
from datetime import timedelta
from typing import Any

import openai
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from gateway.batches import sealing
from gateway.batches.models import BatchRequest, FilePiece, StoredFile
from hontoni.vault import Vault
from tests.gateway.batches.world import create, ended, held, line, row, upload
from tests.gateway_server import Gateway, fund, nobody_runs_batches
from tests.world import Person

SECRET = "the eagle has landed"


def test_a_file_goes_round_and_is_nobody_elses(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    fund(alice, "1")
    large = "\n".join(line(f"l{n}", SECRET * 40) for n in range(600))
    name = upload(gateway, alice, large)
    client, other = gateway.openai(alice), gateway.openai(bob)
    found = client.files.retrieve(name)
    assert (found.purpose, found.filename, found.bytes) == ("batch", "lines.jsonl", len(large))
    assert found.expires_at - found.created_at == 30 * 86_400
    assert client.files.content(name).content == large.encode()
    assert [each.id for each in client.files.list(purpose="batch")] == [name]
    assert client.files.list(purpose="batch_output").data == []
    stored = b"".join(bytes(piece.content) for piece in FilePiece.objects.all())
    assert FilePiece.objects.count() > 1 and SECRET.encode() not in stored
    for ask in (other.files.retrieve, other.files.content, other.files.delete):
        with pytest.raises(openai.NotFoundError):
            ask(name)
    assert other.files.list().data == []
    fund(bob, "10")
    with pytest.raises(openai.NotFoundError):
        other.batches.create(
            input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert client.files.delete(name).deleted
    assert not FilePiece.objects.exists()
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(name)


def test_files_are_listed_by_pages_in_both_orders(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    names = [upload(gateway, alice, line("a")) for _ in range(3)]
    assert [each.id for each in client.files.list(limit=2)] == names[::-1]
    assert [each.id for each in client.files.list(limit=1, order="asc")] == names
    with pytest.raises(openai.BadRequestError):
        client.files.list(after="file-none")


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"purpose": "assistants"}, "purpose"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, "expires_after"),
        (
            {
                "purpose": "batch",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": "10",
            },
            "expires_after",
        ),
    ],
)
def test_what_is_no_upload_is_refused(
    gateway: Gateway, alice: Person, form: dict[str, str], param: str
) -> None:
    fund(alice, "1")
    with gateway.http(alice) as http:
        reply = http.post("/v1/files", data=form, files={"file": ("a", b"x")})
        nothing = http.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a", b"")})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param
    assert nothing.status_code == 400
    assert not StoredFile.objects.exists()


def test_an_account_has_so_much_room(gateway: Gateway, alice: Person, settings: Settings) -> None:
    fund(alice, "10")
    one = line("a", "x" * 1000)
    settings.FILES_ACCOUNT_BYTES = int(len(one) * 2.5)
    client = gateway.openai(alice)
    first = upload(gateway, alice, one)
    with nobody_runs_batches():
        made = client.batches.create(
            input_file_id=first, endpoint="/v1/chat/completions", completion_window="24h"
        )
        with pytest.raises(openai.APIStatusError) as refused:
            upload(gateway, alice, one)
        assert refused.value.status_code == 413
        assert refused.value.code == "file_storage_full"
    ended(gateway, alice, made.id)
    client.files.delete(first)
    assert upload(gateway, alice, one)


def test_many_tiny_files_take_room_too(
    gateway: Gateway, alice: Person, settings: Settings
) -> None:
    fund(alice, "1")
    settings.FILES_ACCOUNT_BYTES = 3000
    for _ in range(2):
        upload(gateway, alice, "x")
    with pytest.raises(openai.APIStatusError) as refused:
        upload(gateway, alice, "x")
    assert refused.value.code == "file_storage_full" and StoredFile.objects.count() == 2


def test_nothing_is_kept_for_who_could_pay_for_no_request(gateway: Gateway, alice: Person) -> None:
    """Not as a file, nor as a batch of what cannot be understood and so costs nothing."""
    with pytest.raises(openai.APIStatusError) as refused:
        upload(gateway, alice, line("a"))
    assert (refused.value.status_code, refused.value.code) == (402, "insufficient_balance")
    nonsense = {"custom_id": "a", "params": {"model": "gpt-4o", "messages": SECRET}}
    with gateway.http(alice) as http:
        reply = http.post("/v1/messages/batches", json={"requests": [nonsense]})
    assert reply.status_code == 402 and reply.json()["error"]["code"] == "insufficient_balance"
    assert not StoredFile.objects.exists() and not BatchRequest.objects.exists()


def test_a_balance_on_hold_still_keeps_files(gateway: Gateway, alice: Person) -> None:
    fund(alice, "0.004")
    with nobody_runs_batches():
        made = create(gateway, alice, line("a", max_tokens=150))
        assert held(alice.user) > 0 and upload(gateway, alice, line("b"))
    assert ended(gateway, alice, made.id).status == "completed"


def test_a_file_lives_as_long_as_its_owner_says(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    client = gateway.openai(alice)
    made = client.files.create(
        file=("a", line("a").encode()),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert made.expires_at - made.created_at == 3600
    StoredFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    assert client.files.list().data == []


def test_deleted_results_are_kept_nowhere(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    done = ended(gateway, alice, create(gateway, alice, line("a", f"[[say: {SECRET}]]")).id)
    gateway.openai(alice).files.delete(done.output_file_id)
    assert not BatchRequest.objects.exists()
    assert gateway.openai(alice).batches.retrieve(done.id).output_file_id is None


def test_the_input_may_go_while_its_batch_runs(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, line("a"))
        gateway.openai(alice).files.delete(made.input_file_id)
    assert ended(gateway, alice, made.id).request_counts.completed == 1


def test_all_of_it_is_in_the_export(gateway: Gateway, alice: Person, client: Client) -> None:
    fund(alice, "10")
    made = create(gateway, alice, line("mine", f"[[say: {SECRET}]]"))
    done = ended(gateway, alice, made.id)
    client.force_login(alice.user)
    found = exported(alice)
    by_id = {each["id"]: each for each in found["files"]}
    assert SECRET in by_id[done.input_file_id]["content"]
    assert by_id[done.output_file_id]["content"] is None
    assert [each["id"] for each in found["batches"]] == [made.id]
    (request,) = found["batch_requests"]
    assert request["custom_id"] == "mine" and SECRET in request["answer"]


def exported(person: Person) -> dict[str, Any]:
    import asyncio

    from gateway.dashboard.views import data_views

    async def whole() -> bytes:
        return b"".join([part async for part in data_views._document(person.user)])

    document: dict[str, Any] = json.loads(asyncio.run(whole()))
    return document


def test_a_new_key_seals_what_is_kept(gateway: Gateway, alice: Person, settings: Settings) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, line("a"))
        before = settings.CREDENTIAL_KEYS
        settings.CREDENTIAL_KEYS = [Vault.__name__ * 8, *before]
        assert sealing.reseal() == 2
        settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
        assert b"Hello" in sealing.opened(BatchRequest.objects.get().body)
        settings.CREDENTIAL_KEYS = [*settings.CREDENTIAL_KEYS, *before]
    assert ended(gateway, alice, made.id).request_counts.completed == 1


def test_a_batch_whose_key_of_sealing_is_gone_ends(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with nobody_runs_batches():
        made = create(gateway, alice, line("a"), line("b"))
        BatchRequest.objects.filter(number=0).update(body=b"nobody can read this")
    done = ended(gateway, alice, made.id)
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    assert held(alice.user) == 0 and row(made.id).status == "completed"
