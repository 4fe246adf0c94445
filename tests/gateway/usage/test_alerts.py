"""Who is about to run out hears of it, from the usage that passes anyway."""

from billing.mails.models import Notice
from billing.plans.models import Plan
from tests.gateway_server import Gateway, fund
from tests.world import Person


def told(kind: str) -> list[dict[str, object]]:
    return list(Notice.objects.filter(kind=kind).order_by("pk").values_list("facts", flat=True))


def test_windows_are_told_at_80_and_at_100_percent_once(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(five_hours=5, rpm=100, daily=100, weekly=100, monthly=100)
    fund(alice, "10")
    counts = []
    for _ in range(6):
        gateway.chat(alice)
        gateway.books()
        counts.append((len(told("window_80")), len(told("window_100"))))
    assert counts == [(0, 0), (0, 0), (0, 0), (1, 0), (1, 1), (1, 1)]
    (facts,) = told("window_100")
    assert (facts["window"], facts["limit"]) == ("in 5 hours", 5)
    assert facts["resets_at"] == told("window_80")[0]["resets_at"]


def test_one_batch_tells_each_level_once(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(daily=5, rpm=100, five_hours=100, weekly=100, monthly=100)
    fund(alice, "10")
    for _ in range(5):
        gateway.chat(alice)
    gateway.books()
    assert [len(told("window_80")), len(told("window_100"))] == [1, 1]


def test_the_minute_is_nobodys_mail(gateway: Gateway, alice: Person) -> None:
    Plan.objects.update(rpm=2)
    fund(alice, "10")
    for _ in range(2):
        gateway.chat(alice)
    gateway.books()
    assert not Notice.objects.filter(kind__startswith="window").exists()


def test_a_low_balance_is_told_with_the_request_that_made_it_low(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "2.00001")
    gateway.chat(alice)
    gateway.chat(alice)
    gateway.books()
    (facts,) = told("low_balance")
    assert facts["threshold"] == "2.00"
