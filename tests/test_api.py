"""What holds for every route under /api, whichever app serves it.

A new route is found in the URL conf by itself: it must be in the OpenAPI document, refuse
anonymous callers unless it is listed as public, and, if it takes an id, hide alice's from bob.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.test import APIClient

from accounts.keys import personal_tokens
from accounts.models import ApiKey, Membership, User
from accounts.sign_on import directory, domains, setting_up
from accounts.teams import forming, invitations, memberships
from billing.books import ledger
from billing.channels.models import Channel, Delivery
from billing.invoices.models import Invoice
from billing.payments.models import BankOrder, TopUp
from billing.plans.models import AddOn
from billing.plans.seed import seed
from billing.stripe.models import StripeCustomer
from billing.subscriptions import balance_changes
from gateway.usage.models import Refusal
from gateway.vendors.models import Provider
from gateway.vendors.own_keys import keeping
from hontoni.money import DOLLAR, nanos
from tests.confirmed import confirm
from tests.world import Person, used

PUBLIC = {
    "api/schema",
    "api/docs",
    "api/auth/register",
    "api/auth/login",
    "api/auth/refresh",
    "api/auth/logout",
    "api/models",
    "api/subscription/plans",
}


def boosted(person: Person) -> AddOn:
    """An add-on that is theirs."""
    seed()
    ledger.post(key="boost", kind="sandbox", user_id=person.user.pk, amount=nanos("5"))
    add_on = AddOn.objects.get(slug="rate-limit-2x")
    balance_changes.add(person.user.pk, add_on, now=timezone.now())
    return add_on


def invoiced(person: Person) -> Invoice:
    """The invoice of what they bought."""
    boosted(person)
    return Invoice.objects.get(user=person.user)


def ordered(alice: Person) -> TopUp:
    return TopUp.objects.create(user=alice.user, route="checkout", amount=DOLLAR)


def transferring(alice: Person) -> BankOrder:
    """An order that waits for a bank transfer."""
    return BankOrder.objects.create(
        user=alice.user,
        gateway="sepay",
        code="HT2345678",
        number=1,
        dong=26_000,
        rate=26_000,
        amount=DOLLAR,
        expires_at=timezone.now(),
    )


def began(alice: Person) -> str:
    """The month of alice's first money."""
    ledger.post(key="began", kind="sandbox", user_id=alice.user.pk, amount=DOLLAR)
    return timezone.now().strftime("%Y-%m")


def at_stripe(alice: Person) -> str:
    """Alice is known to Stripe, which is not set up here: she gets a 503, and bob a 404."""
    StripeCustomer.objects.get_or_create(user=alice.user, defaults={"stripe_id": "cus_alice"})
    return "something_of_hers"


def brought(person: Person) -> int:
    """A key of her own, at a provider where nobody listens."""
    provider, _ = Provider.objects.get_or_create(
        name="nobody", vendor="openai", base_url="http://127.0.0.1:9", own_keys=True
    )
    kept = keeping.of(person.user).first()
    return (kept or keeping.add(person.user, provider.name, "sk-alice-0123456789")).pk


def tokened(alice: Person) -> int:
    return personal_tokens.mint(alice.user, "report", ["usage:read"])[0].pk


def team(alice: Person) -> Membership:
    """A team of alice's."""
    return forming.make(confirm(alice.user), "Acme")


def membered(alice: Person) -> dict[str, Any]:
    place = team(alice)
    other = memberships.add(place.account, User.objects.create_user("dora@acme.test"), "viewer")
    return {"pk": place.account_id, "member": other.pk}


def invited(alice: Person) -> dict[str, Any]:
    place = team(alice)
    made = invitations.invite(place, "dora@acme.test", "viewer")
    return {"pk": place.account_id, "invitation": made.pk}


def claimed(alice: Person) -> dict[str, Any]:
    place = team(alice)
    return {"pk": place.account_id, "domain": domains.add(place, "acme.test").pk}


def grouped(alice: Person) -> dict[str, Any]:
    place = team(alice)
    group = directory.make_group(setting_up.of_team(place), "Devs")
    return {"pk": place.account_id, "group": group.pk}


def heard(alice: Person, kind: str) -> dict[str, Any]:
    """A channel of alice's, and what was brought there."""
    channel = Channel.objects.create(
        account=alice.user, person=alice.user, kind=kind, name="Deploy", url="https://no.invalid"
    )
    delivery = Delivery.objects.create(channel=channel, status=Delivery.Status.TAKEN)
    return {"pk": channel.pk, "delivery": delivery.pk}


def turned_away(alice: Person) -> str:
    """A request that was refused."""
    now = timezone.now()
    kind = {"code": "model_not_found", "status": 404, "message": "There is none.", "count": 1}
    of: dict[str, Any] = {
        "user": alice.user,
        "api_key": alice.key,
        "request_id": f"req_{'1' * 32}",
    }
    Refusal.objects.create(**kind, **of, hour=now, first_at=now, last_at=now)
    return str(of["request_id"])


# For every route with an id: the ids of something of alice's.
ALICES: dict[str, Callable[[Person], dict[str, Any]]] = {
    "api/keys/{}": lambda alice: {"pk": alice.key.pk},
    "api/keys/{}/rotate": lambda alice: {"pk": alice.key.pk},
    "api/own-keys/{}": lambda alice: {"pk": brought(alice)},
    "api/own-keys/{}/test": lambda alice: {"pk": brought(alice)},
    "api/tokens/{}": lambda alice: {"pk": tokened(alice)},
    "api/addons/{}": lambda alice: {"slug": boosted(alice).slug},
    "api/billing/invoices/{}/pdf": lambda alice: {"invoice_id": f"inv_{invoiced(alice).pk}"},
    **dict.fromkeys(
        (
            "api/billing/statements/{}",
            "api/billing/statements/{}.pdf",
            "api/billing/statements/{}.csv",
        ),
        lambda alice: {"month": began(alice)},
    ),
    "api/usage/{}": lambda alice: {"request_id": used(alice).request_id},
    "api/usage/refusals/{}": lambda alice: {"request_id": turned_away(alice)},
    "api/usage/{}/signed": lambda alice: {"request_id": used(alice).request_id},
    "api/billing/topups/{}": lambda alice: {"pk": ordered(alice).pk},
    "api/billing/topup/vietqr/{}": lambda alice: {"pk": transferring(alice).pk},
    "api/billing/payment-methods/{}": lambda alice: {"pk": at_stripe(alice)},
    "api/billing/payment-methods/{}/default": lambda alice: {"pk": at_stripe(alice)},
    **{
        f"api/teams/{{}}{path}": lambda alice: {"pk": team(alice).account_id}
        for path in (
            *("", "/members", "/invitations", "/leave", "/transfer", "/events", "/usage"),
            *("/sign-on", "/domains", "/scim-token", "/groups"),
        )
    },
    "api/teams/{}/members/{}": membered,
    "api/teams/{}/invitations/{}": invited,
    "api/teams/{}/domains/{}": claimed,
    "api/teams/{}/groups/{}": grouped,
    **{
        f"api/webhooks/{{}}{path}": lambda alice: heard(alice, "webhook")
        for path in ("", "/secret", "/test", "/deliveries", "/deliveries/{}/replay")
    },
    **{
        f"api/channels/{{}}{path}": lambda alice: heard(alice, "telegram")
        for path in ("", "/link", "/test", "/deliveries", "/deliveries/{}/replay")
    },
}


CRUD = ("get", "post", "put", "patch", "delete")


class Route(NamedTuple):
    path: str  # as it is written in the URL conf, from the root
    pattern: URLPattern

    @property
    def shape(self) -> str:
        """The path with {} for every parameter, as ALICES and the OpenAPI document have it."""
        return re.sub(r"<[^>]+>|\{[^}]+\}", "{}", self.path)

    @property
    def view(self) -> Any:
        callback: Any = self.pattern.callback
        return getattr(callback, "cls", None) or callback.view_class

    @property
    def verbs(self) -> list[str]:
        actions = getattr(self.pattern.callback, "actions", None)
        verbs = actions or [verb for verb in CRUD if hasattr(self.view, verb)]
        return [verb for verb in verbs if verb in CRUD and verb in self.view.http_method_names]

    def url(self, **ids: Any) -> str:
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(ids[found[1]]), self.path)


def _routes(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[Route]:
    for each in (resolver or get_resolver()).url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _routes(each, path)
        elif path.startswith("api/"):
            yield Route(path, each)


VERBS = [(route, verb) for route in _routes() for verb in route.verbs]
WITH_ID = [(route, verb) for route, verb in VERBS if "{}" in route.shape]


def _name(part: Route | str) -> str:
    return part.path if isinstance(part, Route) else part


@pytest.mark.parametrize(("route", "verb"), WITH_ID, ids=_name)
def test_bob_never_sees_what_is_alices(
    alice: Person, bob: Person, route: Route, verb: str
) -> None:
    url = route.url(**ALICES[route.shape](alice))
    answer = bob.client().generic(verb.upper(), url, "{}", content_type="application/json")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    # It is bob who is refused, not the address.
    answer = alice.client().generic(verb.upper(), url, "{}", content_type="application/json")
    assert answer.status_code != 404


@pytest.mark.any_database
@pytest.mark.parametrize(("route", "verb"), VERBS, ids=_name)
def test_nobody_gets_in_without_a_token(
    alice: Person, api: APIClient, route: Route, verb: str
) -> None:
    ids = ALICES[route.shape](alice) if "{}" in route.shape else {}
    answer = api.generic(verb.upper(), route.url(**ids), "{}", content_type="application/json")
    if route.shape in PUBLIC:
        assert answer.status_code in (200, 400)
    else:
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


LISTS = [
    route
    for route, verb in VERBS
    if verb == "get" and "{}" not in route.shape and issubclass(route.view, ListModelMixin)
]


@pytest.mark.parametrize("route", LISTS, ids=_name)
def test_an_odd_cursor_is_no_bug(alice: Person, route: Route) -> None:
    alice.user.is_staff = alice.user.is_superuser = True  # some lists are for staff
    alice.user.save()
    client = alice.client()
    positions = ("abc", "", "9" * 30, "-5", "%00", "00" * 16)
    odd = [b64encode(f"p={position}".encode()).decode() for position in positions]
    for cursor in ("x", "ż", b64encode(f"o={'9' * 30}&r=x".encode()).decode(), *odd):
        assert client.get(route.url(), {"cursor": cursor}).status_code in (200, 400)


PAGED = [
    route
    for route, verb in VERBS
    if verb == "get"
    and getattr(route.view, "pagination_class", None)
    and "{}" not in route.shape
    and issubclass(route.view, (ListModelMixin, GenericAPIView))
]


@pytest.mark.any_database
@pytest.mark.parametrize("route", PAGED, ids=_name)
def test_a_filter_that_does_not_exist_is_refused_by_name(alice: Person, route: Route) -> None:
    alice.user.is_staff = alice.user.is_superuser = True  # some lists are for staff
    alice.user.save()
    client = alice.client()
    assert client.get(route.url(), {"limit": 5}).status_code == 200
    answer = client.get(route.url(), {"no_such_filter": 1})
    assert (answer.status_code, answer.json()["error"].get("param")) == (400, "no_such_filter")
    (told,) = answer.json()["error"]["details"]["fields"]["no_such_filter"]
    assert told["code"] == "unknown_member"


SIGNED = "api/leaks/github"  # its bytes are looked at once their signature is: GitHub's own shape
BODIES = [(route, verb) for route, verb in VERBS if verb != "get" and route.shape != SIGNED]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document, with every $ref's name kept."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    found: dict[str, Any] = generator.get_schema(public=True)  # type: ignore[no-untyped-call]
    return found


def _asked(document: dict[str, Any], route: Route, verb: str) -> dict[str, Any] | None:
    """The JSON schema of an operation's body, if it has one."""
    paths = {
        re.sub(r"\{[^}]+\}", "{}", path).lstrip("/"): ops
        for path, ops in document["paths"].items()
    }
    body = paths[route.shape][verb].get("requestBody")
    if body is None:
        return None
    (content,) = body["content"].values()
    name = content["schema"]["$ref"].rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


@pytest.mark.any_database
@pytest.mark.parametrize(("route", "verb"), BODIES, ids=_name)
def test_a_member_that_does_not_exist_is_refused_by_name(
    alice: Person, document: dict[str, Any], route: Route, verb: str
) -> None:
    nested = (_asked(document, route, verb) or {"properties": {}})["properties"]
    ids = ALICES[route.shape](alice) if "{}" in route.shape else {}
    bodies: list[dict[str, Any]] = [{"no_such_member": 1}]
    bodies += [{name: {}} for name, each in nested.items() if "$ref" in each]
    for body in bodies:
        answer = alice.client().generic(
            verb.upper(), route.url(**ids), json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 400, answer.content
    told = (
        alice.client()
        .generic(
            verb.upper(), route.url(**ids), json.dumps(bodies[0]), content_type="application/json"
        )
        .json()["error"]
    )
    assert told["param"] == "no_such_member"
    assert told["message"].startswith("no_such_member: There is no such member")


@pytest.mark.any_database
def test_every_route_is_documented(tmp_path: Path) -> None:
    document = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(document))
    paths = yaml.safe_load(document.read_text())["paths"]
    documented = {
        (re.sub(r"\{[^}]+\}", "{}", path).lstrip("/"), verb)
        for path, verbs in paths.items()
        for verb in verbs
    }
    served = {(route.shape, verb) for route, verb in VERBS}
    assert served - documented == {("api/schema", "get"), ("api/docs", "get")}
    for path, verbs in paths.items():
        for verb, operation in verbs.items():
            assert operation["tags"] != ["api"], f"{verb} {path} has no tag of its own"
            assert operation.get("summary"), f"{verb} {path} has no summary"


def test_the_documents_pages_are_served(api: APIClient) -> None:
    assert api.get("/api/schema").status_code == 200
    page = api.get("/api/docs")
    assert page.status_code == 200
    assert not re.search(rb"<script>", page.content)  # our CSP allows no inline script


@pytest.mark.parametrize("cap", ["spend_cap", "total_spend_cap", "Daily_Spend_Cap", "monthly_cap"])
def test_a_cap_that_does_not_exist_makes_no_uncapped_key(alice: Person, cap: str) -> None:
    before = ApiKey.objects.count()
    answer = alice.client().post("/api/keys", {"name": "ci", cap: "5.00"}, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == cap
    assert "spend_cap" in answer.json()["error"]["message"]
    assert ApiKey.objects.count() == before


def test_what_is_only_read_may_be_sent_back_as_it_came(alice: Person) -> None:
    url = f"/api/keys/{alice.key.pk}"
    mine = alice.client().get(url).json()
    answer = alice.client().patch(url, mine | {"name": "desktop"}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "desktop")


@pytest.mark.parametrize("path", ["/api/usage", "/api/billing/transactions"])
def test_a_filter_that_does_not_exist_is_refused(alice: Person, path: str) -> None:
    client = alice.client()
    assert client.get(path, {"limit": "5"}).status_code == 200
    answer = client.get(path, {"kinds": "usage"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "kinds")
