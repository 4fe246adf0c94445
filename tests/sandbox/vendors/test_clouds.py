"""The clouds' own clients, talking to the sandbox: what it takes and says is what they say and
take; and who is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import botocore.session
import httpx
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.vendors import Vendors

CLAUDE, NOVA = "us.anthropic.claude-opus-4-6-v1:0", "amazon.nova-pro-v1:0"
HI: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "[[say: Hello there]]"}]}]


@contextmanager
def bedrock(vendors: Vendors, secret: str = "", region: str = "us-east-1") -> Iterator[Any]:
    client = botocore.session.get_session().create_client(
        "bedrock-runtime",
        endpoint_url=vendors.url,
        region_name=region,
        aws_access_key_id="AKIASANDBOX",
        aws_secret_access_key=secret or vendors.key,
        config=Config(retries={"max_attempts": 1}),
    )
    yield client
    client.close()


def test_awss_own_client_converses(vendors: Vendors) -> None:
    with bedrock(vendors) as client:
        whole = client.converse(modelId=NOVA, messages=HI, inferenceConfig={"maxTokens": 50})
        events = list(client.converse_stream(modelId=NOVA, messages=HI)["stream"])
    assert whole["output"]["message"]["content"] == [{"text": "Hello there"}]
    said = [e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e]
    assert "".join(said) == "Hello there"
    assert events[-1]["metadata"]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("who", "model", "code"),
    [
        ({"secret": "wrong"}, NOVA, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, NOVA, "InvalidSignatureException"),
        ({}, "amazon.none", "ValidationException"),
        ({}, CLAUDE.removeprefix("us."), "ValidationException"),
    ],
)
def test_awss_own_client_is_refused_what_bedrock_refuses(
    vendors: Vendors, who: dict[str, str], model: str, code: str
) -> None:
    with bedrock(vendors, **who) as client, pytest.raises(ClientError) as refused:
        client.converse(modelId=model, messages=HI)
    assert refused.value.response["Error"]["Code"] == code


def test_awss_own_client_is_throttled(vendors: Vendors) -> None:
    throttled = [{"role": "user", "content": [{"text": "[[error: 429]]"}]}]
    with bedrock(vendors) as client, pytest.raises(ClientError, match="ThrottlingException"):
        client.converse(modelId=NOVA, messages=throttled)


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "assistant", "content": [{"text": "hi"}]}]},
        {"messages": [*HI, *HI]},
        {"messages": [{"role": "user", "content": [{"text": " "}]}]},
        {"messages": HI, "temperature": 1},
        {"messages": HI, "inferenceConfig": {"maxTokens": 10**6}},
        {"messages": HI, "toolConfig": {"tools": []}},
        {"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "t"}}]}]},
    ],
)
def test_converse_refuses_what_is_wrong(vendors: Vendors, wrong: dict[str, Any]) -> None:
    headers = {"authorization": f"Bearer {vendors.key}"}
    answer = httpx.post(f"{vendors.url}/model/{NOVA}/converse", json=wrong, headers=headers)
    assert answer.status_code == 400 and answer.json()["message"]
    assert answer.headers["x-amzn-errortype"].startswith("ValidationException")
    assert vendors.sandbox.meter.bills == []


def test_azures_own_client(vendors: Vendors) -> None:
    def azure(key: str = vendors.key, version: str = "2024-10-21") -> openai.AzureOpenAI:
        return openai.AzureOpenAI(
            api_key=key, api_version=version, azure_endpoint=vendors.url, max_retries=0
        )

    def ask(client: openai.AzureOpenAI, model: str = "our-gpt-4o") -> str:
        with client:
            told = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "[[say: Hello]]"}]
            )
            return str(told.choices[0].message.content)

    assert ask(azure()) == "Hello"
    with pytest.raises(openai.AuthenticationError):
        ask(azure(key="wrong"))
    with pytest.raises(openai.NotFoundError, match="deployment"):
        ask(azure(), "gpt-4o")  # the model's name is no deployment's
    with pytest.raises(openai.NotFoundError, match="Resource not found"):
        ask(azure(version="2020-01-01"))


def test_vertexs_own_client_of_claude(vendors: Vendors) -> None:
    def vertex(project: str = "sandbox", token: str = "") -> anthropic.AnthropicVertex:
        return anthropic.AnthropicVertex(
            region="us-east-1",
            project_id=project,
            access_token=token or vendors.sandbox.identities.issue(),
            base_url=f"{vendors.url}/v1",
            max_retries=0,
        )

    def ask(client: anthropic.AnthropicVertex, model: str = "claude-sonnet-4-6") -> str:
        hello: Any = [{"role": "user", "content": "[[say: Hello]]"}]
        with (
            client,
            client.messages.stream(model=model, max_tokens=50, messages=hello) as stream,
        ):
            return stream.get_final_text()

    assert ask(vertex()) == "Hello"
    with pytest.raises(anthropic.AuthenticationError):
        ask(vertex(token="gone"))
    with pytest.raises(anthropic.PermissionDeniedError):
        ask(vertex(project="another"))
    with pytest.raises(anthropic.NotFoundError):
        ask(vertex(), "claude-none")


@pytest.mark.parametrize(
    ("host", "body"),
    [
        ("deepseek", {"max_completion_tokens": 5}),
        ("deepseek", {"messages": [{"role": "developer", "content": "hi"}]}),
        ("mistral", {"stream_options": {"include_usage": True}, "stream": True}),
        ("groq", {"logprobs": True}),
        ("glm", {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
        ("kimi", {"model": "gpt-4o"}),
    ],
)
def test_a_host_refuses_what_it_does_not_know(
    vendors: Vendors, host: str, body: dict[str, Any]
) -> None:
    from sandbox.vendors.clouds.hosts import HOSTS

    known = HOSTS[host]
    url = f"{vendors.url}/hosts/{host}{known.path or '/v1'}/chat/completions"
    plain = {"model": known.models[0], "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {vendors.key}"}
    assert httpx.post(url, json=plain, headers=headers).status_code == 200
    assert httpx.post(url, json=plain | body, headers=headers).status_code in (400, 404)
    assert httpx.post(url, json=plain).status_code == 401
