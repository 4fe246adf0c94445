"""Azure OpenAI, Amazon Bedrock and Google Vertex AI, through the public door, against simulators
that check what the real ones check: signatures, tokens, versions, deployments, places."""

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.catalogue import snapshot
from gateway.plane import watching
from gateway.vendors.models import Credential, Offering, Provider
from gateway.vendors.secrets import AccessKey, Application
from sandbox.vendors.faults import Fault
from sandbox.vendors.recorder import Record, hashed
from tests.gateway.plane.test_translation import ask, said
from tests.gateway.vendors.world import credential, keyed, provider, sold, tried
from tests.gateway_server import Gateway, fund, settled
from tests.money import world as money
from tests.vendors import Vendors
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database

TEXT = "[[usage: 1000 60 0 0]] [[say: Hanoi]]"
_RSA = rsa.generate_private_key(65537, 2048)
MAIL = "gateway@sandbox.iam.gserviceaccount.com"


def service_account(vendors: Vendors, **changes: str) -> str:
    """The file that Google makes, of an account the sandbox knows."""
    numbers = _RSA.public_key().public_numbers()
    vendors.sandbox.identities.accounts[MAIL] = (numbers.n, numbers.e)
    pem = _RSA.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    given = {"type": "service_account", "client_email": MAIL, "private_key": pem}
    given |= {"private_key_id": "1", "token_uri": f"{vendors.url}/token"}
    return orjson.dumps(given | changes).decode()


def application(vendors: Vendors, secret: str = "") -> str:
    return Application("our-tenant", "our-app", secret or vendors.key, vendors.url).text()


def access_key(vendors: Vendors, **changes: Any) -> str:
    given = {"access_key_id": "AKIASANDBOX", "secret_access_key": vendors.key} | changes
    return AccessKey(**given).text()


def offered(made: Provider, model: str, upstream_id: str) -> str:
    Offering.objects.create(provider=made, model_id=model, upstream_id=upstream_id)
    snapshot.forget()
    return model


# What is sold, who has it, under which name; and which credential shows itself how.
def azure(vendors: Vendors, model: str = "gpt-4o") -> str:
    made = provider("azure-deployments", f"{vendors.url}/openai")
    keyed(made, vendors.key)
    return offered(made, model, f"our-{model}")


def azure_key(vendors: Vendors) -> str:
    made = provider("azure", vendors.url)
    keyed(made, vendors.key)
    return offered(made, "gpt-4.1", "our-gpt-4.1")


def azure_v1(vendors: Vendors) -> str:
    made = provider("azure-entra", f"{vendors.url}/openai/v1/")
    keyed(made, application(vendors))
    return offered(made, "gpt-5.2", "our-gpt-5.2")


def bedrock(vendors: Vendors) -> str:
    made = provider("bedrock", vendors.url)
    keyed(made, access_key(vendors))
    return offered(made, "claude-opus-4.6", "us.anthropic.claude-opus-4-6-v1:0")


def bedrock_key(vendors: Vendors) -> str:
    keyed(provider("bedrock-key", vendors.url), vendors.key)
    return sold("nova-pro", "amazon", "converse", upstream_id="amazon.nova-pro-v1:0").id


def vertex(vendors: Vendors) -> str:
    keyed(provider("vertex", vendors.url, project="sandbox"), service_account(vendors))
    return "gemini-3-flash-preview"


def vertex_claude(vendors: Vendors) -> str:
    made = provider("vertex", vendors.url, project="sandbox", region="us-east-1")
    keyed(made, service_account(vendors))
    return offered(made, "claude-sonnet-4.6", "claude-sonnet-4-6")


CLOUDS: dict[str, tuple[Callable[[Vendors], str], str, tuple[str, str]]] = {
    # its preset (and what of it); the dialect that is its own, the paths, whole and streamed
    "azure-deployments": (
        azure,
        "openai_chat",
        ("/openai/deployments/our-gpt-4o/chat/completions",) * 2,
    ),
    "azure": (azure_key, "openai_chat", ("/openai/v1/chat/completions",) * 2),
    "azure-entra": (azure_v1, "openai_responses", ("/openai/v1/responses",) * 2),
    "bedrock": (
        bedrock,
        "anthropic_messages",
        (
            "/model/us.anthropic.claude-opus-4-6-v1:0/invoke",
            "/model/us.anthropic.claude-opus-4-6-v1:0/invoke-with-response-stream",
        ),
    ),
    "bedrock-key": (
        bedrock_key,
        "",
        ("/model/amazon.nova-pro-v1:0/converse-stream",) * 2,
    ),
    "vertex": (
        vertex,
        "",
        (
            "/v1/projects/sandbox/locations/global/publishers/google/models/"
            "gemini-3-flash-preview:streamGenerateContent",
        )
        * 2,
    ),
    "vertex Claude": (
        vertex_claude,
        "anthropic_messages",
        (
            "/v1/projects/sandbox/locations/us-east-1/publishers/anthropic/models/"
            "claude-sonnet-4-6:rawPredict",
            "/v1/projects/sandbox/locations/us-east-1/publishers/anthropic/models/"
            "claude-sonnet-4-6:streamRawPredict",
        ),
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_answers_in_its_own_dialect_and_in_others_at_one_price(
    gateway: Gateway, alice: Person, vendors: Vendors, cloud: str
) -> None:
    fund(alice, "10")
    made, own, paths = CLOUDS[cloud]
    model = made(vendors)
    costs = set()
    foreign = "openai_chat" if own == "anthropic_messages" else "anthropic_messages"
    for dialect in filter(None, (own, foreign)):
        for stream in (False, True):
            answer = ask(gateway, alice, dialect, model, TEXT, stream=stream)
            assert answer.status_code == 200, answer.text
            assert "Hanoi" in (answer.text if stream else said(dialect, answer.json()))
            assert "bedrock" not in answer.text.lower()
            if dialect == own:
                assert vendors.last.path == paths[stream]
            last = gateway.books()[-1]
            assert (last.input, last.output, last.estimated) == (1000, 60, False)
            costs.add(last.cost)
    assert len(costs) == 1 and costs.pop() > 0
    assert vendors.last.path == paths[1]
    label = Credential.objects.get()
    assert tried(gateway.books()[-1].details) == [(str(label), 200, "")]


WITH_TOOLS = ["azure-deployments", "azure", "bedrock", "bedrock-key", "vertex Claude"]


@pytest.mark.parametrize("cloud", WITH_TOOLS)
def test_tools_and_pictures_go_there_and_back(
    gateway: Gateway, alice: Person, vendors: Vendors, cloud: str
) -> None:
    fund(alice, "10")
    model = CLOUDS[cloud][0](vendors)
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 40).decode()
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    text = '[[tool: {"name": "look", "args": {"at": 1}}]] [[say: Done]]'
    content = [{"type": "text", "text": text}, {"type": "image", "source": source}]
    messages: list[Any] = [{"role": "user", "content": content}]
    fields = {"tools": [{"name": "look", "input_schema": {"type": "object"}}], "stream": False}
    first = ask(gateway, alice, "anthropic_messages", model, "", messages=messages, **fields)
    assert first.status_code == 200, first.text
    call = next(block for block in first.json()["content"] if block["type"] == "tool_use")
    assert call["input"] == {"at": 1} and first.json()["stop_reason"] == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "42"}
    messages += [
        {"role": "assistant", "content": first.json()["content"]},
        {"role": "user", "content": [result]},
    ]
    again = ask(gateway, alice, "anthropic_messages", model, "", messages=messages, **fields)
    assert again.status_code == 200, again.text
    assert said("anthropic_messages", again.json()) == "Done"


# What each refuses of us: the wrong credential, place or name. Staff hear of it, the next
# credential answers, and a customer is never told it were theirs.
WRONG: dict[str, Callable[[Vendors], tuple[str, int | None, str]]] = {}


def wrong(name: str) -> Callable[[Any], Any]:
    def note(made: Any) -> Any:
        WRONG[name] = made
        return made

    return note


@wrong("azure-deployments: key")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = azure(vendors)
    _reseal("wrong")
    return model, 401, "401"


@wrong("azure-deployments: deployment")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = azure(vendors)
    Offering.objects.update(upstream_id="gone")
    return model, 404, "DeploymentNotFound"


@wrong("azure-deployments: version")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = azure(vendors)
    Provider.objects.update(api_version="2020-01-01")
    return model, 404, "404"


@wrong("azure: key")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = azure_key(vendors)
    _reseal("wrong")
    return model, 401, "401"


@wrong("bedrock-key: key")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock_key(vendors)
    _reseal("wrong")
    return model, 403, "AccessDeniedException"


@wrong("azure-entra: secret")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = azure_v1(vendors)
    _reseal(application(vendors, "wrong"))
    return model, None, "authentication_error"


@wrong("bedrock: secret")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock(vendors)
    _reseal(access_key(vendors, secret_access_key="wrong"))
    return model, 403, "InvalidSignatureException"


@wrong("bedrock: region")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock(vendors)
    Provider.objects.update(region="eu-west-1")
    return model, 403, "InvalidSignatureException"


@wrong("bedrock: expired")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock(vendors)
    _reseal(access_key(vendors, session_token="expired"))
    return model, 403, "ExpiredTokenException"


@wrong("bedrock: no profile")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock(vendors)
    Offering.objects.update(upstream_id="anthropic.claude-opus-4-6-v1:0")
    return model, 400, "ValidationException"


@wrong("bedrock: model")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = bedrock(vendors)
    Offering.objects.update(upstream_id="us.anthropic.claude-none")
    return model, 400, "ValidationException"


@wrong("vertex: key")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = vertex_claude(vendors)
    vendors.sandbox.identities.accounts.clear()
    return model, None, "authentication_error"


@wrong("vertex: project")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = vertex_claude(vendors)
    Provider.objects.update(project="another")
    return model, 403, "403"


@wrong("vertex: region")
def _(vendors: Vendors) -> tuple[str, int | None, str]:
    model = vertex_claude(vendors)
    Provider.objects.update(region="moon-1")
    return model, 404, "404"


def _reseal(secret: str) -> None:
    from gateway.vendors import vault

    Credential.objects.update(sealed=vault.seal(secret))


@pytest.mark.parametrize("what", WRONG)
def test_what_a_cloud_refuses_of_us_is_ours_and_the_next_credential_answers(
    gateway: Gateway, alice: Person, vendors: Vendors, first: Vendors, what: str
) -> None:
    fund(alice, "10")
    model, status, code = WRONG[what](vendors)
    snapshot.forget()
    alone = gateway.chat(alice, model=model)
    assert alone.status_code in (404, 500, 503), alone.text
    assert alone.json()["error"]["type"] != "invalid_request_error" or alone.status_code == 404
    assert gateway.books()[-1].cost == 0
    vendor = "anthropic" if "claude" in model else "openai"
    spare = credential(first, "spare", vendor, priority=1).provider
    if model == "nova-pro":
        Offering.objects.create(provider=spare, model_id=model, upstream_id="gpt-4o")
        snapshot.forget()
    answer = gateway.chat(alice, "[[say: hi]]", model=model)
    assert answer.status_code == 200, answer.text
    attempts = tried(gateway.books()[-1].details)
    assert attempts[-1] == ("spare/main", 200, "")
    if len(attempts) > 1:  # else its breaker is open since it was asked alone
        assert attempts[0][1:] == (status, code)
    else:
        assert Credential.objects.exclude(provider__name="spare").get().refusal == code


def test_throttling_is_a_503_that_says_when(
    gateway: Gateway, alice: Person, vendors: Vendors
) -> None:
    fund(alice, "10")
    for cloud in ("azure-deployments", "bedrock", "vertex Claude"):
        model = CLOUDS[cloud][0](vendors)
        answer = gateway.chat(alice, "[[error: 429 Slow down]]", model=model)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["code"] == "upstream_overloaded"
        broken = gateway.chat(
            alice, "[[midstream]] [[say: one two three]]", model=model, stream=True
        )
        assert '"error"' in broken.text
        Provider.objects.all().delete()
        snapshot.forget()


def test_a_token_is_fetched_once_and_renewed_before_its_end(
    gateway: Gateway, alice: Person, vendors: Vendors
) -> None:
    fund(alice, "10")
    identities = vendors.sandbox.identities
    identities.token_seconds = 12.0
    model = vertex_claude(vendors)
    for _ in range(3):
        assert gateway.chat(alice, TEXT, model=model).status_code == 200
    assert identities.issued == 1
    ((first, ends),) = identities.tokens.items()
    until(lambda: identities.issued >= 2, seconds=30)  # nobody asks meanwhile
    second = next(token for token in identities.tokens if token != first)
    assert identities.tokens[second] - 12.0 < ends, "by its issuer's clock, before the first's end"
    identities.tokens.pop(first)
    assert gateway.chat(alice, TEXT, model=model).status_code == 200  # it is the new one's turn


def test_a_token_that_was_revoked_is_fetched_anew(
    gateway: Gateway, alice: Person, vendors: Vendors
) -> None:
    fund(alice, "10")
    model = azure_v1(vendors)
    assert gateway.chat(alice, TEXT, model=model).status_code == 200
    vendors.sandbox.identities.tokens.clear()
    assert gateway.chat(alice, TEXT, model=model).status_code in (500, 503)
    until(lambda: Credential.objects.get().refusal == "401")
    from gateway.vendors import routes

    for access in routes.in_use():
        for breaker in access._breakers.values():
            breaker.succeeded()
    assert gateway.chat(alice, TEXT, model=model).status_code == 200


def test_what_a_client_switches_on_stands_in_bedrocks_body(
    gateway: Gateway, alice: Person, vendors: Vendors
) -> None:
    """And what Bedrock does not know is left out: it would refuse the whole request."""
    fund(alice, "10")
    model = bedrock(vendors)
    headers = {
        "anthropic-beta": "interleaved-thinking-2025-05-14, fine-grained-tool-streaming-2025-05-14"
    }
    with gateway.http(alice) as http:
        body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        answer = http.post("/v1/messages", json=body, headers=headers)
        counted = http.post("/v1/messages/count_tokens", json=body)
    assert answer.status_code == 200, answer.text
    sent: Record = vendors.last
    assert sent.body["anthropic_version"] == "bedrock-2023-05-31"
    assert "model" not in sent.body and "anthropic-version" not in sent.headers
    assert set(sent.body.get("anthropic_beta", [])) <= {
        "interleaved-thinking-2025-05-14",
        "fine-grained-tool-streaming-2025-05-14",
    }
    assert counted.status_code == 200 and counted.headers["x-hontoni-token-count"] == "estimate"
    assert sent.headers["authorization"] != hashed(f"Bearer {vendors.key}")


def test_who_leaves_pays_what_was_made(
    gateway: Gateway, alice: Person, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture `gateway` holds each receipt to the vendor's meter."""
    fund(alice, "10")
    monkeypatch.setattr(watching, "WATCH_AFTER_SECONDS", 0.001)
    text = "[[slow: 0.02]] [[say: one two three four five six seven eight nine ten eleven]]"
    for cloud, dialect in (("bedrock", "messages"), ("bedrock-key", "chat"), ("azure", "chat")):
        model = CLOUDS[cloud][0](vendors)
        money.leave(gateway, alice, dialect, money.asked(dialect, model, text), after=b"three")
        until(lambda: vendors.sandbox.meter.bills[-1].ended)
        settled(vendors)
        last = gateway.books()[-1]
        assert (last.status, last.model) == (499, model) and last.cost > 0
        Provider.objects.all().delete()
        snapshot.forget()


@pytest.mark.parametrize("cloud", ["bedrock", "bedrock-key"])
def test_a_stream_that_breaks_inside_a_frame_is_a_failure(
    gateway: Gateway, alice: Person, vendors: Vendors, cloud: str
) -> None:
    fund(alice, "10")
    model = CLOUDS[cloud][0](vendors)
    for fault in (Fault(end_after=1500), Fault(cut_after=1500), Fault(edit=_flipped)):
        vendors.faults.append(fault)
        answer = gateway.chat(alice, f"[[say: {'word ' * 60}]]", model=model, stream=True)
        assert '"error"' in answer.text and "[DONE]" not in answer.text
    assert gateway.chat(alice, TEXT, model=model).status_code == 200


def _flipped(data: bytes) -> bytes:
    """With a bit that is wrong, where a frame says something."""
    return data if b"Start" in data else data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]
