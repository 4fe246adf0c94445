"""The search providers that staff keep."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from gateway.vendors import fetching, vault
from gateway.vendors.web import searching, testing
from gateway.vendors.web.models import SearchProvider
from tests.vendors import KEY, Vendors

ADD = "/admin/gateway/searchprovider/add/"


def typed(vendors: Vendors, **more: Any) -> dict[str, Any]:
    form = {"name": "mine", "shape": "brave", "base_url": vendors.url, "key": KEY}
    return {**form, "internal": "on", "results": 5, "priority": 0, "active": "on", **more}


def test_staff_add_one_and_its_key_is_never_shown(admin_client: Client, vendors: Vendors) -> None:
    assert admin_client.post(ADD, typed(vendors)).status_code == 302
    row = SearchProvider.objects.get()
    assert vault.unseal(row.sealed) == KEY and KEY not in row.sealed
    page = f"/admin/gateway/searchprovider/{row.pk}/change/"
    assert KEY not in admin_client.get(page).content.decode()
    assert KEY not in admin_client.get("/admin/gateway/searchprovider/").content.decode()
    call_command("reseal")
    row.refresh_from_db()
    assert vault.unseal(row.sealed) == KEY


def test_a_key_goes_nowhere_but_where_it_was_entered_for(
    admin_client: Client, vendors: Vendors
) -> None:
    admin_client.post(ADD, typed(vendors))
    row = SearchProvider.objects.get()
    page = f"/admin/gateway/searchprovider/{row.pk}/change/"
    moved = typed(vendors, base_url="https://elsewhere.example", key="")
    reply = admin_client.post(page, moved)
    assert reply.status_code == 200 and "Enter it again" in reply.content.decode()
    SearchProvider.objects.update(base_url="https://elsewhere.example")
    row.refresh_from_db()
    with pytest.raises(ValueError, match="was entered for"):
        searching.of(row)
    assert not testing.test(row).good


def test_a_form_says_what_is_missing(admin_client: Client, vendors: Vendors) -> None:
    bare = admin_client.post(ADD, typed(vendors, key=""))
    nowhere = admin_client.post(ADD, typed(vendors, shape="searxng", base_url=""))
    assert "Brave answers nobody without one." in bare.content.decode()
    assert "say where it is" in nowhere.content.decode()
    assert SearchProvider.objects.count() == 0


@pytest.mark.parametrize("shape", ["brave", "searxng"])
def test_staff_try_it(admin_client: Client, vendors: Vendors, shape: str) -> None:
    admin_client.post(ADD, typed(vendors, shape=shape))
    row = SearchProvider.objects.get()
    tried = admin_client.get(f"/admin/gateway/searchprovider/{row.pk}/try/", follow=True)
    assert "found 3 pages, the first at https://example.com/wikipedia/1" in tried.content.decode()
    SearchProvider.objects.update(sealed=vault.seal("wrong"))
    them = {"action": "try_them", "_selected_action": [row.pk]}
    again = admin_client.post("/admin/gateway/searchprovider/", them, follow=True).content.decode()
    wrong = "says 422 The provided subscription token is invalid."
    assert (wrong in again) == (shape == "brave")


def test_an_address_of_our_own_network_is_for_those_that_staff_have_put_there(
    admin_client: Client, vendors: Vendors
) -> None:
    admin_client.post(ADD, typed(vendors, internal=""))
    row = SearchProvider.objects.get()
    assert testing.test(row).text.startswith("says not reached")
    assert vendors.sandbox.searches == []
    for never in ("169.254.169.254", "0.0.0.0", "fe80::1"):
        assert not fetching.is_internal(never)
    for inside in ("127.0.0.1", "10.1.2.3", "192.168.0.9", "fd00::1"):
        assert fetching.is_internal(inside)
    assert not fetching.is_internal("93.184.216.34")


def test_a_domain_means_what_is_below_it_and_nothing_beside() -> None:
    for url, site, on in (
        ("https://example.com/a", "example.com", True),
        ("https://docs.example.com/a", "example.com", True),
        ("https://www.example.com", "example.com", True),
        ("https://badexample.com", "example.com", False),
        ("https://example.com.evil.net", "example.com", False),
        ("https://example.com@evil.net/", "example.com", False),
        ("https://example.com:444/a/b", "example.com/a", True),
        ("https://example.com/b", "example.com/a", False),
        ("https://EXAMPLE.com", "https://example.com", True),
    ):
        assert searching.permitted(url, (site,), ()) is on, url
        assert searching.permitted(url, (), (site,)) is not on, url
