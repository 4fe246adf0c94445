"""Many prices at once: pasted from a spreadsheet, looked at, and applied, or not at all."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.books.models import AuditEntry
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.seed import seed
from hontoni.money import nanos
from tests.gateway.usage.test_quarantine import staff

MANY = "/admin/gateway/price/many/"


@pytest.fixture
def client(db: None) -> Client:
    seed()
    return staff("catalogue")


def paste(client: Client, text: str, **more: Any) -> Any:
    return client.post(MANY, {"text": text, **more})


def confirm(client: Client, text: str, **more: Any) -> Any:
    """What somebody does who has looked at it."""
    seen = paste(client, text, **more).context["form"]["seen"].value()
    return paste(client, text, seen=seen or "", **more)


def newest(model: str) -> Price:
    return Price.objects.filter(model_id=model).latest("effective_at")


def test_a_list_is_previewed_and_then_applied(client: Client) -> None:
    text = "model;output;reason\ngpt-4o;9;\ngpt-4.1;7.50;\n"
    page = paste(client, text).content.decode()
    assert "$10.00" in page and "$9.00" in page and "−10 %" in page and "−6.3 %" in page
    assert newest("gpt-4o").output == nanos("10"), "a preview changes nothing"
    assert confirm(client, text).status_code == 302
    assert (newest("gpt-4o").output, newest("gpt-4o").input) == (nanos("9"), nanos("2.5"))
    assert newest("gpt-4.1").output == nanos("7.5")
    assert newest("gpt-4o").effective_at < timezone.now() + timedelta(minutes=1)
    changed = [entry.after["changed"] for entry in AuditEntry.objects.order_by("pk")]
    assert changed[0]["output"] == "−10 %"


def test_the_export_is_a_list_that_changes_nothing(client: Client) -> None:
    answer = client.get("/admin/gateway/price/export/")
    text = answer.content.decode()
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(text))}
    assert (
        rows["gpt-4o"]["input"] == "2.50" and rows["claude-sonnet-4.6"]["long_output"] == "22.50"
    )
    page = paste(client, text).content.decode()
    assert page.count("Nothing changes.") == len(rows) == 31


def test_one_bad_line_keeps_all_from_being_applied(client: Client) -> None:
    text = "model,output\ngpt-4o,9\ngpt-5,1\ngpt-4.1,cheap\ngpt-4.1,7\n"
    page = paste(client, text)
    said = page.content.decode()
    assert "There is no such model." in said and "such as 0.0375" in said
    assert "The same model twice." in said
    assert confirm(client, text).status_code == 200
    assert newest("gpt-4o").output == nanos("10")


def test_more_than_half_is_ticked_and_what_was_not_shown_is_shown_again(client: Client) -> None:
    text = "model,output\ngpt-4o,4\n"
    assert confirm(client, text).status_code == 200
    assert newest("gpt-4o").output == nanos("10")
    seen = paste(client, text).context["form"]["seen"].value()
    other = paste(client, text.replace("4\n", "3\n"), seen=seen, large="on")
    assert other.status_code == 200 and "$3.00" in other.content.decode()
    assert confirm(client, text, large="on").status_code == 302
    assert newest("gpt-4o").output == nanos("4")


def test_a_date_is_of_all_or_of_a_line_and_a_rise_keeps_its_notice(client: Client) -> None:
    text = "model\toutput\teffective_at\ngpt-4o\t11\t\ngpt-4.1\t7\t2031-05-01 09:30\n"
    assert confirm(client, text).status_code == 302
    assert newest("gpt-4o").effective_at > timezone.now() + timedelta(days=13)
    assert newest("gpt-4.1").effective_at == datetime(2031, 5, 1, 9, 30, tzinfo=UTC)
    soon = f"{timezone.now() + timedelta(days=2):%Y-%m-%d %H:%M}"
    page = paste(client, "model,output\ngpt-5.1,16\n", begins=soon)
    assert "told 14 days before" in page.content.decode()
    assert confirm(client, "model,output\ngpt-5.1,16\n", begins=soon, reason="Theirs rose.")


@pytest.mark.parametrize("text", ["", "gpt-4o,9", "model,price\ngpt-4o,9"])
def test_what_is_no_list_is_told_what_one_is(client: Client, text: str) -> None:
    page = paste(client, text)
    assert page.status_code == 200 and not AuditEntry.objects.exists()


def test_who_may_only_look_changes_nothing(db: None) -> None:
    seed()
    assert staff("support").post(MANY, {"text": "model,output\ngpt-4o,9"}).status_code == 403


@pytest.mark.any_database
def test_what_a_list_does_not_say_is_as_it_is_when_it_binds(client: Client) -> None:
    """A rise waits for its notice, and another price has begun by then."""
    first = newest("gpt-4o")
    coming = {bucket: getattr(first, bucket) for bucket in BUCKETS} | {"output": nanos("9")}
    begins = timezone.now() + timedelta(days=3)
    Price.objects.create(model_id="gpt-4o", effective_at=begins, **coming)
    text = "model,input\ngpt-4o,2.60\n"
    assert confirm(client, text).status_code == 302
    made = newest("gpt-4o")
    assert made.effective_at > begins
    assert (made.input, made.output) == (nanos("2.6"), nanos("9"))
