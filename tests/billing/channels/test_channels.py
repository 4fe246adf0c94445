"""What happens in an account is told to a program, to Slack, to Telegram and by mail: each event
once, with patience, to who may know."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership, User
from accounts.sign_in import deletion
from accounts.teams import forming
from billing import tasks
from billing.channels import deliveries, events, keeping
from billing.channels.models import Channel, Delivery
from billing.mails import notices, sending
from billing.mails.models import Notice
from tests.billing.channels.receiver import TOKEN, Receiver, receiving
from tests.confirmed import confirm
from tests.world import Person, person

pytestmark = pytest.mark.any_database
LOW = {"balance": "1.50", "threshold": "2.00"}
DAY = timedelta(days=1)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE_NETWORKS = True
    settings.TELEGRAM_BOT_TOKEN = TOKEN
    with receiving() as server:
        settings.TELEGRAM_API_URL = server.url
        yield server


def tell(who: Person | User, kind: str = "low_balance", key: str = "k", **facts: Any) -> None:
    user = who.user if isinstance(who, Person) else who
    notices.tell(user_id=user.pk, kind=kind, key=f"{key}:{user.pk}", facts=facts or LOW)


def deliver(after: timedelta = timedelta()) -> int:
    """What the worker does when beat calls; how many messages were taken."""
    deliveries.collect(timezone.now())
    now = timezone.now() + after
    return sum(deliveries.send(pk, now) for pk in deliveries.due(now))


def webhook(who: Person, receiver: Receiver, **more: Any) -> dict[str, Any]:
    body = {"url": f"{receiver.url}/hook", **more}
    made = who.client().post("/api/webhooks", body, format="json")
    assert made.status_code == 201, made.content
    found: dict[str, Any] = made.json()
    return found


def signed_by(secret: str, headers: dict[str, str], body: str) -> bool:
    """As a library of Standard Webhooks checks it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}"
    made = base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
    return f"v1,{made}" in headers["webhook-signature"].split(" ")


def page(user: User) -> Client:
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


# -- Webhooks ------------------------------------------------------------------------------------


def test_an_event_is_sent_once_signed(alice: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    for _ in range(2):
        tell(alice)
    assert [deliver(), deliver()] == [1, 0]
    ((path, headers, body),) = receiver.taken
    assert path == "/hook" and headers["content-type"] == "application/json"
    assert signed_by(made["secret"], headers, body)
    told = json.loads(body)
    assert told["type"] == "balance.low"
    assert told["data"] == {"account": alice.user.pk, "kind": "low_balance", **LOW}
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    assert made["secret"] not in str(Channel.objects.values().get())


def test_what_is_rolled_back_is_told_to_nobody(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(alice)
        raise RuntimeError
    assert deliver() == 0 and receiver.taken == []


def test_what_happened_before_is_not_told(alice: Person, receiver: Receiver) -> None:
    tell(alice)
    webhook(alice, receiver)
    tell(alice, key="later")
    assert deliver() == 1 and len(receiver.taken) == 1


def test_what_happens_while_it_is_off_is_not_told_later(alice: Person, receiver: Receiver) -> None:
    path = f"/api/webhooks/{webhook(alice, receiver)['id']}"
    alice.client().patch(path, {"active": False}, format="json")
    tell(alice)
    assert deliver() == 0
    alice.client().patch(path, {"active": True}, format="json")
    assert deliver() == 0
    tell(alice, key="later")
    assert deliver() == 1


def test_each_hears_of_its_own_account_what_it_chose(
    alice: Person, bob: Person, receiver: Receiver
) -> None:
    webhook(alice, receiver, events=["key.made", "price.rising"])
    webhook(bob, receiver, name="all")
    for who in (alice, bob):
        tell(who)
        tell(who, "new_key", "key", key_name="ci", shown="sk")
    assert deliver() == 3
    seen = sorted((each["data"]["account"], each["type"]) for each in receiver.bodies())
    mine = sorted([(bob.user.pk, "balance.low"), (bob.user.pk, "key.made")])
    assert seen == [(alice.user.pk, "key.made"), *mine]


def test_channels_of_one_account_are_told_each_for_itself(
    alice: Person, receiver: Receiver
) -> None:
    names = {}
    for name, chosen in (("all", []), ("keys", ["key.made"]), ("off", [])):
        made = webhook(alice, receiver, name=name, events=chosen)
        names[made["id"]] = name
        if name == "off":
            path = f"/api/webhooks/{made['id']}"
            alice.client().patch(path, {"active": False}, format="json")
    tell(alice)
    tell(alice, "new_key", "key", key_name="ci", shown="sk")
    assert [deliver(), deliver()] == [3, 0]
    rows = Delivery.objects.select_related("notice")
    told = sorted((names[row.channel_id], row.notice.kind) for row in rows if row.notice)
    assert told == [("all", "low_balance"), ("all", "new_key"), ("keys", "new_key")]


def test_a_team_s_webhook_outlives_who_made_it(
    team: User, alice: Person, bob: Person, receiver: Receiver
) -> None:
    Membership.objects.filter(account=team, person=bob.user).update(role="admin")
    url = {"url": f"{receiver.url}/hook"}
    assert in_team(bob, team).post("/api/webhooks", url, format="json").status_code == 201
    Membership.objects.filter(account=team, person=bob.user).update(ended_at=timezone.now())
    deletion.delete(bob.user)
    tell(team)
    assert deliver() == 1


def test_a_new_secret_signs_beside_the_old_for_a_day(alice: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    path = f"/api/webhooks/{made['id']}"
    new = alice.client().post(f"{path}/secret").json()["secret"]
    tell(alice)
    deliver()
    tell(alice, key="next")
    deliver(DAY + timedelta(minutes=1))
    (_, first, body), (_, second, later) = receiver.taken
    assert signed_by(made["secret"], first, body) and signed_by(new, first, body)
    assert signed_by(new, second, later) and not signed_by(made["secret"], second, later)


def test_it_is_tried_for_three_days_then_given_up_and_replayed(
    alice: Person, receiver: Receiver
) -> None:
    made = webhook(alice, receiver)
    receiver.status = 500
    tell(alice)
    deliveries.collect(timezone.now())
    row = Delivery.objects.get()
    at = began = row.due_at
    while Delivery.objects.filter(status="waiting").exists():
        at = Delivery.objects.get().due_at
        assert not deliveries.send(row.pk, at - timedelta(seconds=1)), "too early"
        assert not deliveries.send(row.pk, at)
    assert timedelta(days=2.9) < at - began < timedelta(days=3.1)
    assert len(receiver.taken) == len(deliveries.WAITS) + 1
    assert len({headers["webhook-id"] for _, headers, _ in receiver.taken}) == 1
    log = f"/api/webhooks/{made['id']}/deliveries"
    (shown,) = alice.client().get(log).json()["data"]
    assert shown["status"] == "failed" and shown["tries"][-1]["status"] == 500
    receiver.status = 200
    assert alice.client().post(f"{log}/{shown['id']}/replay").json()["status"] == "waiting"
    assert deliver() == 1
    assert receiver.taken[-1][1]["webhook-id"] == receiver.taken[0][1]["webhook-id"]
    assert receiver.taken[-1][2] == receiver.taken[0][2]


def test_after_days_of_failure_it_is_switched_off_with_a_mail(
    alice: Person, receiver: Receiver
) -> None:
    made = webhook(alice, receiver)
    receiver.status = 503
    now = timezone.now()
    for day in range(5):
        tell(alice, key=str(day))
        deliveries.collect(timezone.now())
        for pk in deliveries.due(now + day * DAY):
            deliveries.send(pk, now + day * DAY)
    channel = Channel.objects.get(pk=made["id"])
    assert not channel.active and channel.disabled_at is not None
    asked = len(receiver.taken)
    deliver(9 * DAY)
    assert len(receiver.taken) == asked, "it is off"
    sending.collect()
    off = Notice.objects.get(kind="channel_off")
    assert sending.send(off.pk, timezone.now() + timedelta(minutes=1))
    assert f"/notifications/{channel.pk}" in str(mail.outbox[-1].body)
    receiver.status = 200
    back = alice.client().patch(f"/api/webhooks/{channel.pk}", {"active": True}, format="json")
    assert back.json()["disabled_at"] is None
    assert deliver(9 * DAY) == 5, "what waited is sent"


def test_who_takes_one_again_is_not_failing(alice: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    receiver.status = 500
    tell(alice)
    deliver()
    assert Channel.objects.get(pk=made["id"]).failing_since
    receiver.status = 202
    assert deliver(timedelta(minutes=1)) == 1
    assert Channel.objects.get(pk=made["id"]).failing_since is None


def test_who_is_gone_is_switched_off_at_once(alice: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    receiver.status = 410
    tell(alice)
    deliver()
    assert not Channel.objects.get(pk=made["id"]).active
    assert Delivery.objects.get().status == "failed"


def test_a_redirect_is_followed_nowhere(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    receiver.status, receiver.location = 307, f"{receiver.url}/elsewhere"
    tell(alice)
    assert deliver() == 0
    assert [path for path, _, _ in receiver.taken] == ["/hook"]


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/"),
        *("https://169.254.169.254/latest", "https://10.0.0.8/", "https://[::ffff:10.0.0.8]/"),
        *("https://user:pass@example.com/", "ftp://example.com/", "https://", "nothing"),
        *("https://0.0.0.0/", "https://a.localhost/", "https://[64:ff9b::a00:8]/"),
    ],
)
def test_only_the_public_internet_is_told(alice: Person, url: str) -> None:
    for path, body in (("webhooks", {}), ("channels", {"kind": "slack"})):
        made = alice.client().post(f"/api/{path}", {**body, "url": url}, format="json")
        assert made.status_code == 400, made.content
        assert made.json()["error"]["code"] == "webhook_address"
    assert not Channel.objects.exists()


def test_a_name_of_our_own_network_is_not_connected_to(
    alice: Person, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_PRIVATE_NETWORKS = False
    url = f"https://hooks.example.com:{receiver.server_port}/"
    made = alice.client().post("/api/webhooks", {"url": url}, format="json").json()
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", receiver.server_port))],
    )
    tell(alice)
    assert deliver() == 0 and receiver.taken == []
    (row,) = Delivery.objects.all()
    assert row.channel_id == made["id"] and "public internet" in row.tries[-1]["problem"]


def test_a_test_is_sent_at_once_and_shown(alice: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    path = f"/api/webhooks/{made['id']}/test"
    assert alice.client().post(path).json()["status"] == "taken"
    assert receiver.bodies()[0]["type"] == "webhook.test"
    receiver.status = 404
    failed = alice.client().post(path).json()
    assert failed["status"] == "failed" and failed["tries"][0]["status"] == 404
    assert deliver(timedelta(hours=1)) == 0, "a test is not tried again"


def test_two_workers_send_one_message(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    tell(alice)
    assert deliveries.collect(timezone.now()) == 1 and deliveries.collect(timezone.now()) == 0
    now = timezone.now()
    (pk,) = deliveries.due(now)
    Delivery.objects.filter(pk=pk).update(due_at=now + deliveries.LEASE)  # the other one has it
    assert not deliveries.send(pk, now) and receiver.taken == []


def test_a_slow_channel_holds_up_no_other(alice: Person, bob: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    webhook(bob, receiver)
    for number in range(15):
        tell(alice, key=str(number))
    tell(bob)
    deliveries.collect(timezone.now())
    rows = Delivery.objects.filter(pk__in=deliveries.due(timezone.now()))
    assert rows.filter(channel__account=alice.user).count() == 10
    assert rows.filter(channel__account=bob.user).count() == 1


def test_another_s_webhook_is_not_there(alice: Person, bob: Person, receiver: Receiver) -> None:
    made = webhook(alice, receiver)
    path = f"/api/webhooks/{made['id']}"
    for answer in (
        bob.client().get(path),
        bob.client().patch(path, {"active": False}, format="json"),
        bob.client().delete(path),
        bob.client().post(f"{path}/secret"),
        bob.client().post(f"{path}/test"),
        bob.client().get(f"{path}/deliveries"),
        bob.client().post(f"{path}/deliveries/1/replay"),
    ):
        assert answer.status_code == 404
    assert page(bob.user).get(f"/notifications/{made['id']}").status_code == 404
    assert bob.client().get("/api/webhooks").json()["data"] == []


def test_there_are_so_many_at_most(alice: Person, receiver: Receiver) -> None:
    for _ in range(keeping.MOST):
        webhook(alice, receiver)
    more = alice.client().post("/api/webhooks", {"url": f"{receiver.url}/"}, format="json")
    assert more.status_code == 409 and more.json()["error"]["code"] == "too_many_channels"


def test_a_token_needs_the_scope(alice: Person, api: Any, receiver: Receiver) -> None:
    codes = {}
    for scope in ("usage:read", "billing:write", "webhooks:manage"):
        body = {"name": scope, "scopes": [scope]}
        token = alice.client().post("/api/tokens", body, format="json").json()["token"]
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        made = api.post("/api/webhooks", {"url": f"{receiver.url}/"}, format="json")
        codes[scope] = (made.status_code, api.get("/api/channels").status_code)
    assert codes == {
        "usage:read": (403, 403),
        "billing:write": (403, 403),
        "webhooks:manage": (201, 403),
    }


def test_every_kind_of_event_is_a_mail_too() -> None:
    from billing.mails.letters import LETTERS

    # What is no event: news of ours, a gift, and that a channel is off.
    others = {"announcement", "news", "promo", "channel_off"}
    assert set(LETTERS) - set(events.KINDS) == others
    assert set(events.KINDS) <= set(LETTERS)


# -- One's own -----------------------------------------------------------------------------------


def own(who: Person, kind: str, **more: Any) -> int:
    made = who.client().post("/api/channels", {"kind": kind, **more}, format="json")
    assert made.status_code == 201, made.content
    return int(made.json()["id"])


def test_slack_hears_in_its_reader_s_language(alice: Person, receiver: Receiver) -> None:
    User.objects.filter(pk=alice.user.pk).update(language="vi")
    pk = own(alice, "slack", url=f"{receiver.url}/services/T0/B0/x")
    tell(alice, "new_key", key_name="<ci> & co", shown="sk")
    assert deliver() == 1
    ((path, headers, body),) = receiver.taken
    text = json.loads(body)["text"]
    assert path == "/services/T0/B0/x" and "webhook-signature" not in headers
    assert "&lt;ci&gt; &amp; co" in text and "Chào" not in text and "{" not in text
    shown = alice.client().get(f"/api/channels/{pk}").json()
    assert "services" not in str(shown) and "services" not in str(Channel.objects.values().get())


def test_a_chat_is_linked_by_its_code_once(
    alice: Person, bob: Person, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(tasks.link_chats, "delay", lambda: looks.append("looked"))
    pk, other = own(alice, "telegram"), own(bob, "telegram")
    tell(alice)
    tasks.send_due_deliveries()
    assert deliver() == 0 and not looks, "it is not linked, and no code waits"
    link = alice.client().post(f"/api/channels/{pk}/link").json()
    assert link["url"] == f"https://t.me/hontoni_bot?start={link['code']}"
    tasks.send_due_deliveries()
    assert looks, "it waits for whoever sends the code"
    receiver.wrote("hello")
    receiver.wrote("/start guessed")
    receiver.wrote(f"/start {link['code']}")
    assert tasks.link_chats() == 1 and tasks.link_chats() == 0
    receiver.wrote(f"/start {link['code']}", chat=99)
    assert tasks.link_chats() == 0, "a code is good once"
    tell(alice, key="later")
    assert deliver() == 1
    assert "1.50" in receiver.bodies()[0]["text"]
    assert Channel.objects.get(pk=other).chat == ""


def test_a_code_ends_and_nobody_is_asked_without_one(alice: Person, receiver: Receiver) -> None:
    pk = own(alice, "telegram")
    code = alice.client().post(f"/api/channels/{pk}/link").json()["code"]
    receiver.wrote(f"/start {code}")
    late = timezone.now() + keeping.CODE_LASTS + timedelta(seconds=1)
    assert keeping.link_started(late) == 0 and receiver.updates
    on = alice.client().patch(f"/api/channels/{pk}", {"active": True}, format="json")
    assert on.status_code == 409 and on.json()["error"]["code"] == "chat_unlinked"


def test_who_blocks_the_bot_is_left_alone(alice: Person, receiver: Receiver) -> None:
    pk = own(alice, "telegram")
    Channel.objects.filter(pk=pk).update(chat="77", active=True)
    receiver.blocked = True
    tell(alice)
    assert deliver() == 0
    assert not Channel.objects.get(pk=pk).active


def test_without_a_bot_telegram_is_not_offered(alice: Person, settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = ""
    made = alice.client().post("/api/channels", {"kind": "telegram"}, format="json")
    assert made.status_code == 404
    assert "new-telegram" not in page(alice.user).get("/notifications").content.decode()


@pytest.fixture
def team(alice: Person, bob: Person, carol: Person) -> User:
    """alice's, with bob (billing) and carol (developer)."""
    confirm(alice.user)
    account = forming.make(alice.user, "Acme").account
    for who, role in ((bob, "billing"), (carol, "developer")):
        Membership.objects.create(account=account, person=who.user, role=role)
    return account


def in_team(who: Person, team: User) -> Any:
    client = who.client()
    client.credentials(
        **{**client._credentials, "HTTP_X_ACCOUNT": str(team.pk)}  # type: ignore[attr-defined]
    )
    return client


def test_members_hear_what_their_roles_let_them(
    team: User, alice: Person, bob: Person, carol: Person, receiver: Receiver
) -> None:
    for who in (alice, bob, carol):
        body = {"kind": "slack", "url": f"{receiver.url}/{who.user.name}"}
        assert in_team(who, team).post("/api/channels", body, format="json").status_code == 201
    tell(team)
    tell(team, "cap_80", "cap", of="key", whose="ci", period="day", cap="5", spent="4")
    tell(team, "new_key", "key", key_name="ci", shown="sk")
    deliver()
    heard = sorted(
        (path, json.loads(body)["text"].split("*")[1]) for path, _, body in receiver.taken
    )
    assert heard == [
        ("/Alice", "Acme: 80 % of a spend cap is spent"),
        ("/Alice", "Acme: A new API key was made"),
        ("/Alice", "Acme: Your balance is low"),
        ("/Bob", "Acme: 80 % of a spend cap is spent"),
        ("/Bob", "Acme: Your balance is low"),
        ("/Carol", "Acme: 80 % of a spend cap is spent"),
    ]


REFUND: dict[str, Any] = {
    **{"amount": "10.00", "of": "topup", "payment": "t-1", "to": "card"},
    **{"whole": False, "balance": "15.00"},
}


def test_a_refund_is_heard_everywhere_by_who_may_read_money(
    team: User, alice: Person, bob: Person, carol: Person, receiver: Receiver
) -> None:
    User.objects.filter(pk=bob.user.pk).update(language="vi")
    chosen = {"events": ["payment.refunded"]}
    url = {"url": f"{receiver.url}/hook"}
    in_team(alice, team).post("/api/webhooks", {**url, **chosen}, format="json")
    for who in (bob, carol):
        slack = {"kind": "slack", "url": f"{receiver.url}/{who.user.name}", **chosen}
        assert in_team(who, team).post("/api/channels", slack, format="json").status_code == 201
        in_team(who, team).post("/api/channels", {"kind": "mail", **chosen}, format="json")
    made = in_team(alice, team).post("/api/channels", {"kind": "telegram"}, format="json").json()
    Channel.objects.filter(pk=made["id"]).update(chat="77", active=True)
    tell(team, "refund", **REFUND)
    tell(team, "refund_failed", "failed", **REFUND)
    now = timezone.now() + timedelta(minutes=1)
    sending.collect()
    for pk in sending.due(now):
        sending.send(pk, now)
    deliver(timedelta(minutes=1))
    bodies = {path: json.loads(body) for path, _, body in receiver.taken if path[0] == "/"}
    assert set(bodies) == {"/hook", "/Bob"}
    facts = {"account": team.pk, "kind": "refund", **REFUND}
    assert (bodies["/hook"]["type"], bodies["/hook"]["data"]) == ("payment.refunded", facts)
    assert "$10,00 về thẻ đã thanh toán" in bodies["/Bob"]["text"]
    chats = [json.loads(body)["text"] for path, _, body in receiver.taken if path[0] != "/"]
    assert ["$10.00 to the card" in chats[0], "did not go through" in chats[1]] == [True, True]
    to = sorted(each for sent in mail.outbox for each in sent.to)
    assert to == ["alice@example.com"] * 2 + ["bob@example.com"] * 2


def test_who_leaves_hears_no_more(
    team: User, bob: Person, carol: Person, receiver: Receiver
) -> None:
    body = {"kind": "slack", "url": f"{receiver.url}/bob"}
    in_team(bob, team).post("/api/channels", body, format="json")
    tell(team)
    deliveries.collect(timezone.now())
    Membership.objects.filter(person=bob.user).update(ended_at=timezone.now())
    assert deliver() == 0 and receiver.taken == []
    assert Delivery.objects.get().status == "needless"


def test_members_mails_come_once_each(
    team: User, alice: Person, bob: Person, carol: Person
) -> None:
    for who in (bob, carol):
        in_team(who, team).post("/api/channels", {"kind": "mail"}, format="json")
    tell(team)
    tell(team, "cap_100", "cap", of="key", whose="ci", period="life", cap="5", spent="5")
    now = timezone.now() + timedelta(minutes=1)
    sending.collect()
    for pk in sending.due(now):
        sending.send(pk, now)
    deliver(timedelta(minutes=1))
    to = [each for sent in mail.outbox for each in sent.to]
    # The team's own mails go to the owner and to who minds its money.
    assert sorted(to) == sorted(
        ["alice@example.com", "bob@example.com"] * 2 + ["carol@example.com"]
    )
    last = next(sent for sent in mail.outbox if sent.to == ["carol@example.com"])
    assert "/notifications" in str(last.body) and "Acme" in last.subject


def test_only_admins_make_webhooks(team: User, bob: Person, receiver: Receiver) -> None:
    made = in_team(bob, team).post("/api/webhooks", {"url": f"{receiver.url}/"}, format="json")
    assert made.status_code == 403 and made.json()["error"]["code"] == "role_missing"
    client = page(bob.user)
    client.post(f"/teams/{team.pk}/switch")
    User.objects.filter(pk=bob.user.pk).update(acts_for=team.pk)
    shown = client.get("/notifications").content.decode()
    assert "new-slack" in shown and "new-webhook" not in shown
    client.post("/notifications", {"kind": "webhook", "name": "x", "url": f"{receiver.url}/"})
    assert not Channel.objects.filter(kind="webhook").exists()


# -- Pages ---------------------------------------------------------------------------------------


def test_a_webhook_on_the_pages(alice: Person, receiver: Receiver) -> None:
    client = page(alice.user)
    body = {"kind": "webhook", "name": "Deploy", "url": f"{receiver.url}/hook"}
    made = client.post("/notifications", {**body, "events": ["balance.low"]})
    assert "whsec_" in made.content.decode() and made["Cache-Control"].startswith("max-age=0")
    channel = Channel.objects.get()
    assert channel.events == ["balance.low"]
    where = f"/notifications/{channel.pk}"
    tell(alice)
    deliver()
    shown = client.get(where).content.decode()
    assert "balance.low" in shown and "whsec_" not in shown
    row = Delivery.objects.get()
    client.post(f"{where}/deliveries/{row.pk}/replay")
    assert deliver() == 1 and len(receiver.taken) == 2
    client.post(f"{where}/test")
    client.post(where, {"name": "Renamed", "url": channel.url, "events": ["key.made"]})
    channel.refresh_from_db()
    assert (channel.name, channel.events, channel.active) == ("Renamed", ["key.made"], False)
    assert "whsec_" in client.post(f"{where}/secret").content.decode()
    client.post(f"{where}/remove")
    assert not Channel.objects.exists() and not Delivery.objects.exists()


def test_a_wrong_address_is_said_on_the_page(alice: Person) -> None:
    body = {"kind": "webhook", "name": "Deploy", "url": "https://10.0.0.1/"}
    shown = page(alice.user).post("/notifications", body).content.decode()
    assert "public internet" in shown and not Channel.objects.exists()


def test_an_account_that_is_deleted_has_none(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    own(alice, "mail")
    tell(alice)
    deliveries.collect(timezone.now())
    deletion.delete(alice.user)
    assert not Channel.objects.exists()


def test_old_messages_are_forgotten(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    tell(alice)
    deliver()
    assert tasks.forget_deliveries() == 0
    Delivery.objects.update(created_at=timezone.now() - 31 * DAY)
    assert tasks.forget_deliveries() == 1
    assert deliveries.collect(timezone.now() + 31 * DAY) == 0, "what is forgotten is no news"


def test_secrets_are_sealed_anew(alice: Person, receiver: Receiver, settings: Settings) -> None:
    webhook(alice, receiver)
    settings.CREDENTIAL_KEYS = ["new-key-of-32-characters-or-more!", *settings.CREDENTIAL_KEYS]
    call_command("reseal")
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    tell(alice)
    assert deliver() == 1


def test_an_event_s_time_is_that_of_the_deed(alice: Person, receiver: Receiver) -> None:
    webhook(alice, receiver)
    tell(alice)
    deliver()
    at = datetime.fromisoformat(receiver.bodies()[0]["timestamp"])
    assert at == Notice.objects.get().created_at.astimezone(UTC)


def test_another_account_cannot_be_imitated_by_its_person(alice: Person) -> None:
    """A person of the same address elsewhere hears nothing of it: it is by the account's id."""
    stranger = person("mallory")
    own(stranger, "mail")
    tell(alice)
    deliver()
    assert not Delivery.objects.exists()
