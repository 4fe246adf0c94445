from accounts import terms
from accounts.models import User
from tests.world import Person


def test_a_change_raises_the_version_of_that_account_only(alice: Person, bob: Person) -> None:
    terms.changed(alice.user.pk)
    terms.changed(alice.user.pk)
    versions = dict(User.objects.values_list("email", "terms_version"))
    assert versions == {"alice@example.com": 3, "bob@example.com": 1}


def test_saving_a_row_read_before_does_not_turn_the_version_back(alice: Person) -> None:
    stale = User.objects.get(pk=alice.user.pk)
    terms.changed(alice.user.pk)
    stale.name = "Alice Liddell"
    stale.save()
    found = User.objects.get(pk=alice.user.pk)
    assert (found.name, found.terms_version) == ("Alice Liddell", 2)
