"""Every kind of usage that OpenAI tells, in its own unit, beside what we booked of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.reconciliation.vendors import report_fetching
from gateway.reconciliation.vendors.comparison import differences
from gateway.reconciliation.vendors.earnings import margins
from gateway.reconciliation.vendors.formats.openai import USAGE
from gateway.reconciliation.vendors.formats.report import BadReport
from gateway.reconciliation.vendors.models import ReportSource, VendorBill, VendorImport
from gateway.usage.models import UsageEvent
from gateway.vendors import vault
from tests.gateway.plane.endpoints.test_endpoints import recording
from tests.gateway.reconciliation.vendors import reports, test_traffic
from tests.gateway.reconciliation.vendors.test_reports import ON, read
from tests.gateway.reconciliation.vendors.test_traffic import compared, source, today
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

_one_day = test_traffic._one_day
ADMIN = {"authorization": "Bearer sk-admin-x"}


def _json(path: str, **body: Any) -> Callable[[httpx.Client], httpx.Response]:
    return lambda http: http.post(path, json=body)


def _heard(model: str, seconds: float) -> Callable[[httpx.Client], httpx.Response]:
    file = {"file": ("a.wav", recording(seconds))}
    path, data = "/v1/audio/transcriptions", {"model": model, "response_format": "json"}
    return lambda http: http.post(path, data=data, files=file)


_DRAWN = "/v1/images/generations"
# Model, what is asked, how it is told, and how much of its unit.
KINDS: dict[str, tuple[str, Callable[[httpx.Client], httpx.Response], str, dict[str, int]]] = {
    "embeddings": (
        "text-embedding-3-small",
        _json("/v1/embeddings", model="text-embedding-3-small", input=["Xin chào", "thế giới"]),
        "embeddings",
        {"calls": 0},
    ),
    "a picture": (
        "dall-e-3",
        _json(_DRAWN, model="dall-e-3", prompt="a cat", size="1792x1024", quality="hd"),
        "images",
        {"calls": 1, "output": 0},
    ),
    "a picture by tokens": (
        "gpt-image-1",
        _json(_DRAWN, model="gpt-image-1", prompt="a cat", quality="low", n=2),
        "completions",
        {"calls": 0, "output": 2 * 408},
    ),
    "speech": (
        "tts-1",
        _json("/v1/audio/speech", model="tts-1", input="Xin chào", voice="alloy"),
        "audio_speeches",
        {"calls": 8, "input": 0},
    ),
    "seconds heard": ("whisper-1", _heard("whisper-1", 3), "audio_transcriptions", {"calls": 3}),
    "sound by tokens": (
        "gpt-4o-transcribe", _heard("gpt-4o-transcribe", 3), "completions", {"calls": 0},
    ),
}  # fmt: skip


def usage(at: Vendors, kind: str, *groups: str) -> list[dict[str, Any]]:
    """The results of today, as the vendor answers them."""
    begins = str(report_fetching._seconds(today()))
    params = {"start_time": begins, "bucket_width": "1d", "group_by": list(groups)}
    url = f"{at.url}/v1/organization/usage/{kind}"
    reply = httpx.get(url, params=params, headers=ADMIN)
    assert reply.status_code == 200, reply.text
    return [result for day in reply.json()["data"] for result in day["results"]]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_the_whole_bill(gateway: Gateway, alice: Person, name: str) -> None:
    """Twice, so that an amount a piece is one, and no sum."""
    model, send, _, units = KINDS[name]
    fund(alice, "10")
    with gateway.http(alice) as http:
        for _ in range(2):
            assert send(http).status_code == 200
    (found,) = compared(gateway, "openai")
    assert found.place == (today(), "openai", "openai/environment", model)
    assert found.vendor_tokens == found.booked_tokens and found.requests == 2
    assert {unit: found.vendor_tokens[unit] for unit in units} == {
        unit: 2 * most for unit, most in units.items()
    }
    assert found.billed > 0 and found.rates == "bill" and found.usage_told
    assert found.parts == {"charged": found.billed} and found.rest == 0
    assert found.revenue == sum(UsageEvent.objects.values_list("cost", flat=True)) > 0
    assert VendorBill.objects.exclude(requests=None).get().requests == 2


def elsewhere(at: Vendors, send: Callable[[httpx.Client], httpx.Response]) -> None:
    """Somebody else has the key."""
    headers = {"authorization": f"Bearer {at.key}"}
    with httpx.Client(base_url=at.url, headers=headers, timeout=30) as http:
        assert send(http).status_code == 200


def read_at(at: Vendors, *, costs: bool) -> None:
    made = ReportSource.objects.create(
        vendor="openai", sealed=vault.seal("sk-admin-two"), base_url=at.url
    )
    report_fetching.fetch(made, today(), today(), by="tests")
    if not costs:
        VendorBill.objects.filter(usage_import=None).delete()
        VendorBill.objects.update(dollars=None, costs={}, cost_import=None)


@pytest.mark.parametrize("costs", [True, False], ids=["costs", "usage alone"])
@pytest.mark.parametrize("name", KINDS)
def test_one_more_than_we_booked_is_the_rest(
    gateway: Gateway, alice: Person, second: Vendors, name: str, costs: bool
) -> None:
    _, send, kind, _ = KINDS[name]
    fund(alice, "10")
    credential(second, "two")
    with gateway.http(alice) as http:
        assert send(http).status_code == 200
    elsewhere(second, send)
    gateway.books()
    assert usage(second, kind)[0]["num_model_requests"] == 2
    read_at(second, costs=costs)
    (found,) = differences(today(), today())
    assert found.rest > 0 and abs(found.rest - found.parts["charged"]) <= 1


@pytest.mark.parametrize("name", ["a picture", "speech", "seconds heard"])
def test_pieces_nobody_booked_are_all_rest_before_there_are_costs(
    gateway: Gateway, second: Vendors, name: str
) -> None:
    model, send, _, _ = KINDS[name]
    elsewhere(second, send)
    read_at(second, costs=False)
    (found,) = differences(today(), today())
    assert found.place.model == model and found.rest == found.billed > 0
    assert found.rates == "our_price"


def test_moderations_are_free_and_told(gateway: Gateway, alice: Person) -> None:
    fund(alice, "1")
    with gateway.http(alice) as http:
        body = {"model": "omni-moderation-latest", "input": "Hello"}
        assert http.post("/v1/moderations", json=body).status_code == 200
    (found,) = compared(gateway, "openai")
    assert (found.billed, found.rest, found.requests) == (0, 0, 1)
    assert [row["num_model_requests"] for row in usage(gateway.vendors, "moderations")] == [1]


def test_all_kinds_of_a_day_stand_side_by_side(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        for _, send, _, _ in KINDS.values():
            assert send(http).status_code == 200
        message = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        assert http.post("/v1/chat/completions", json=message).status_code == 200
    found = compared(gateway, "openai")
    models = {model for model, *_ in KINDS.values()} | {"gpt-4o"}
    assert {each.place.model for each in found} == models
    assert [each.rest for each in found] == [0] * len(models)
    assert VendorImport.objects.count() == 2  # one of all usage, one of costs
    dear = {each.name: each for each in margins("model", today(), today())}
    assert all(dear[each.place.model].cost == each.billed for each in found)
    for name, (_, _, kind, _) in KINDS.items():
        assert usage(gateway.vendors, kind), name
    assert compared(gateway, "openai") == found
    assert [each.changed for each in VendorImport.objects.order_by("pk")][2:] == [0, 0]


def test_hosted_tools_are_counted_apart_and_go_to_who_called_them(
    gateway: Gateway, alice: Person
) -> None:
    """Searches are told by model, sessions of the interpreter by project only; a picture and a
    transcription have no part in their costs."""
    fund(alice, "10")
    tools: dict[str, list[dict[str, Any]]] = {
        "[[use: web_search 2]] [[say: found]]": [{"type": "web_search"}],
        "[[use: code_interpreter 1]] [[say: done]]": [
            {"type": "code_interpreter", "container": {"type": "auto"}}
        ],
    }
    with gateway.http(alice) as http:
        for (text, declared), model in zip(tools.items(), ("gpt-5.1", "gpt-5.2"), strict=True):
            body = {"model": model, "input": text, "tools": declared, "max_output_tokens": 400}
            reply = http.post("/v1/responses", json=body)
            assert reply.status_code == 200, reply.text
        for name in ("a picture", "seconds heard"):
            assert KINDS[name][1](http).status_code == 200
    found = {each.place.model: each for each in compared(gateway, "openai")}
    assert found.keys() == {"gpt-5.1", "gpt-5.2", "dall-e-3", "whisper-1"}
    for each in found.values():
        assert each.rest == 0 and each.vendor_tokens == each.booked_tokens
    assert (found["gpt-5.1"].vendor_tokens["calls"], found["gpt-5.2"].vendor_tokens["calls"]) == (
        2, 1,
    )  # fmt: skip
    (searches,) = usage(gateway.vendors, "web_search_calls", "model")
    assert (searches["num_requests"], searches["model"]) == (2, "gpt-5.1")
    (sessions,) = usage(gateway.vendors, "code_interpreter_sessions", "project_id")
    assert sessions["num_sessions"] == 1 and sessions.keys() == {
        "object", "num_sessions", "project_id",
    }  # fmt: skip


# -- As it is documented -------------------------------------------------------------------------

BY = ["project_id", "user_id", "api_key_id", "model"]
# The vendor's own reference, by kind: what groups it, and what a result has beside.
DOCUMENTED = {
    "embeddings": (BY, ["input_tokens", "num_model_requests"]),
    "moderations": (BY, ["input_tokens", "num_model_requests"]),
    "images": ([*BY, "size", "source"], ["images", "num_model_requests"]),
    "audio_speeches": (BY, ["characters", "num_model_requests"]),
    "audio_transcriptions": (BY, ["seconds", "num_model_requests"]),
    "code_interpreter_sessions": (["project_id"], ["num_sessions"]),
    "file_search_calls": ([*BY[:3], "vector_store_id"], ["num_requests"]),
    "web_search_calls": (
        [*BY, "context_level", "api_source"], ["num_requests", "num_model_requests"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_the_sandbox_groups_by_what_is_documented_and_nothing_else(
    vendors: Vendors, kind: str
) -> None:
    groups, _ = DOCUMENTED[kind]
    url = f"{vendors.url}/v1/organization/usage/{kind}"
    begins = str(report_fetching._seconds(today()))
    known = {*BY, "batch", "service_tier", "size", "source", "vector_store_id", "context_level"}
    for group in known | {"line_item", "colour"}:
        params = {"start_time": begins, "group_by": group}
        status = httpx.get(url, params=params, headers=ADMIN).status_code
        assert status == (200 if group in groups else 400), group


def test_the_sandbox_tells_pictures_by_size_and_source(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        for size in ("1024x1024", "1792x1024", "1792x1024"):
            body = {"model": "dall-e-3", "prompt": "a cat", "size": size}
            assert http.post(_DRAWN, json=body).status_code == 200
    (whole,) = usage(gateway.vendors, "images")
    assert set(whole) == {"object", *DOCUMENTED["images"][1], *DOCUMENTED["images"][0]}
    assert whole["images"] == whole["num_model_requests"] == 3
    assert [whole[group] for group in DOCUMENTED["images"][0]] == [None] * 6
    apart = usage(gateway.vendors, "images", "size", "source")
    assert [(each["size"], each["images"]) for each in apart] == [
        ("1024x1024", 1), ("1792x1024", 2),
    ]  # fmt: skip
    assert {each["source"] for each in apart} == {"image.generation"}
    (found,) = compared(gateway, "openai")
    assert found.rest == 0 and found.vendor_tokens["calls"] == 3


def test_a_kind_that_answers_with_another_imports_nothing(
    db: None, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a proxy mixes up is no bill."""
    real = report_fetching._pages

    def mixed(client: Any, address: str, params: Any, headers: Any) -> list[Any]:
        if address.endswith("/embeddings"):
            return [reports.OPENAI_USAGE]
        return real(client, address, params, headers)

    monkeypatch.setattr(report_fetching, "_pages", mixed)
    made = ReportSource.objects.create(
        vendor="openai", sealed=vault.seal("sk-admin-x"), base_url=vendors.url
    )
    with pytest.raises(BadReport, match=r"embeddings\.result and answered"):
        report_fetching.fetch(made, today(), today(), by="tests")
    assert VendorImport.objects.count() == VendorBill.objects.count() == 0


def test_pages_of_every_kind_are_followed(
    gateway: Gateway, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    with gateway.http(alice) as http:
        assert KINDS["a picture"][1](http).status_code == 200
    gateway.books()
    real, counted = report_fetching._pages, []

    def small(client: Any, address: str, params: Any, headers: Any) -> list[Any]:
        params = [(n, "2" if n == "limit" else v) for n, v in params]
        pages = real(client, address, params, headers)
        counted.append(len(pages))
        return pages

    monkeypatch.setattr(report_fetching, "_pages", small)
    made = source(gateway, "openai")
    report_fetching.fetch(made, today() - timedelta(days=4), today(), by="tests")
    assert counted == [3] * (len(USAGE) + 1)
    assert differences(today(), today())[0].rest == 0


# -- Files ---------------------------------------------------------------------------------------

COUNTERS = {
    "embeddings": ("text-embedding-3-small", "input"),
    "images": ("dall-e-3", "calls"),
    "audio_speeches": ("tts-1", "calls"),
    "audio_transcriptions": ("whisper-1", "calls"),
}


def report_of(kind: str, model: str, counted: int) -> dict[str, Any]:
    (counter,) = DOCUMENTED[kind][1][:1]
    page: dict[str, Any] = {**reports.OPENAI_USAGE}
    (day,) = page["data"]
    result = dict.fromkeys(DOCUMENTED[kind][0]) | {
        "object": f"organization.usage.{kind}.result",
        counter: counted,
        "num_model_requests": 2,
        "project_id": "proj_abc",
        "api_key_id": "key_one",
        "model": model,
    }
    return page | {"data": [day | {"results": [result]}]}


def csv_of(report: dict[str, Any]) -> str:
    (day,) = report["data"]
    (result,) = day["results"]
    row = {"start_time": day["start_time"], "end_time": day["end_time"], **result}
    del row["object"]
    cells = ["" if value is None else str(value) for value in row.values()]
    return ",".join(row) + "\n" + ",".join(cells) + "\n"


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("kind", COUNTERS)
def test_a_file_of_one_kind_tells_its_unit(db: None, kind: str, form: str) -> None:
    model, unit = COUNTERS[kind]
    report = report_of(kind, model, 700)
    found = read(csv_of(report) if form == "csv" else report)
    assert (found.vendor, found.rows, found.form) == ("openai", 1, form)
    bill = VendorBill.objects.get()
    assert (bill.vendor_model, bill.key, bill.requests) == (model, "key_one", 2)
    units = ("input", "cache_read", "output", "calls")
    assert {name: getattr(bill, name) for name in units} == dict.fromkeys(units, 0) | {unit: 700}


def test_a_file_of_one_kind_says_nothing_of_the_others(gateway: Gateway, alice: Person) -> None:
    """A file of pictures is no proof that nobody talked."""
    fund(alice, "10")
    assert test_traffic.say(gateway, alice, "Hello", "gpt-4o") == 200
    gateway.books()
    report = report_of("images", "dall-e-3", 1)
    (day,) = report["data"]
    begins = report_fetching._seconds(today())
    day |= {"start_time": begins, "end_time": begins + 86_400}
    read(report)
    (found,) = differences(today(), today())
    assert found.place.model == "dall-e-3" and found.usage_told


def test_files_of_two_kinds_of_one_model_do_not_undo_each_other(db: None) -> None:
    tokens = {**reports.OPENAI_USAGE}
    (day,) = tokens["data"]
    named = [day["results"][0] | {"model": "gpt-image-1"}]
    for report in (tokens | {"data": [day | {"results": named}]},
                   report_of("images", "gpt-image-1", 3)):  # fmt: skip
        read(report)
    bill = VendorBill.objects.get()
    assert (bill.input, bill.cache_read, bill.output, bill.calls) == (200, 800, 500, 3)


@pytest.mark.parametrize("item", ["dall-e-3", "dall-e-3, images", "dall-e-3, standard 1024"])
def test_however_the_costs_call_a_picture_it_is_the_pictures(db: None, item: str) -> None:
    read(report_of("images", "dall-e-3", 4))
    read({**reports.OPENAI_COSTS} | {
        "data": [reports.OPENAI_COSTS["data"][0] | {"results": [reports._line(item, 0.16)]}]
    })  # fmt: skip
    (found,) = differences(ON, ON)
    assert (found.billed, found.rest, found.rates) == (160_000_000, 160_000_000, "bill")


def test_a_result_without_what_it_counts_is_refused(db: None) -> None:
    report = report_of("images", "dall-e-3", 4)
    del report["data"][0]["results"][0]["images"]
    with pytest.raises(BadReport, match="images"):
        read(report)
