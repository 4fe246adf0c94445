"""A frozen account's keys refuse, and say why; nothing else about it changes."""

from accounts.models import User
from accounts.people import freezing
from tests.gateway_server import Gateway, fund
from tests.world import Person


def frozen(person: Person) -> tuple[str, int]:
    user = User.objects.get(pk=person.user.pk)
    assert (user.frozen_at is None) == (user.frozen_reason == "")
    return user.frozen_reason, user.terms_version


def test_a_frozen_accounts_key_is_refused_by_the_very_next_request(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    freezing.freeze(alice.user.pk, "A payment is disputed.")
    refused = gateway.chat(alice)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "account_frozen")
    assert "A payment is disputed." in refused.json()["error"]["message"]
    assert alice.client().get("/api/billing/balance").status_code == 200
    freezing.unfreeze(alice.user.pk)
    assert gateway.chat(alice).status_code == 200
    assert len(gateway.books()) == 2


def test_who_froze_first_has_said_why(alice: Person) -> None:
    assert freezing.freeze(alice.user.pk, "Abuse")
    assert not freezing.freeze(alice.user.pk, "A payment is disputed.")
    assert frozen(alice) == ("Abuse", 2)


def test_a_dispute_that_is_won_lifts_its_own_freeze_only(alice: Person) -> None:
    freezing.freeze(alice.user.pk, "Abuse")
    assert not freezing.unfreeze(alice.user.pk, only="A payment is disputed.")
    assert freezing.unfreeze(alice.user.pk, only="Abuse")
    assert not freezing.unfreeze(alice.user.pk)
    assert frozen(alice) == ("", 3)


def test_saving_a_row_read_before_does_not_thaw(alice: Person) -> None:
    stale = User.objects.get(pk=alice.user.pk)
    freezing.freeze(alice.user.pk, "Abuse")
    stale.name = "Alice Liddell"
    stale.save()
    assert frozen(alice) == ("Abuse", 2)
