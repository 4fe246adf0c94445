"""Frameworks by each of their providers, on a Claude, a GPT and a Gemini model: text, a stream, a
loop of tools and a structured answer."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.agents.installation import NotInstallable
from tests.conformance.agents.product import Product, running
from tests.conformance.frameworks.installation import HERE, command, version
from tests.conformance.sdks import NODE

MODELS = ("claude-sonnet-4.5", "gpt-5.2", "gemini-3.1-pro-preview")
EVERY = ("openai", "openai-responses", "anthropic", "google")
SECONDS = 300


class Framework(NamedTuple):
    """Its name, what is installed for it, its driver, and the providers it has."""

    name: str
    install: str
    driver: str
    providers: tuple[str, ...]


FRAMEWORKS = (
    Framework("Vercel AI SDK", "ai-sdk", "ai-sdk.mjs", EVERY),
    Framework("LangChain", "langchain", "langchain.py", EVERY),
    Framework("pydantic-ai", "pydantic-ai", "pydanticai.py", EVERY),
    Framework("LiteLLM", "litellm", "litellm_client.py", ("openai", "anthropic", "google")),
    Framework("Google Gen AI, JavaScript", "google-genai-js", "google-genai.mjs", ("google",)),
)
BY_NAME = {
    f"{each.name} {version(each.install)}, {provider}": (each, provider)
    for each in FRAMEWORKS
    for provider in each.providers
}
EXPECTED = {
    "text": "A short and friendly answer.",
    "streamed": "A short and friendly answer.",
    "structured": {"name": "Ann", "age": 7},
}

pytestmark = pytest.mark.timeout(1200)  # installing one takes a while


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("framework", BY_NAME)
def test_a_framework_does_its_tasks(
    product: Product, framework: str, model: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    known, provider = BY_NAME[framework]
    try:
        runs = command(known.install, pytestconfig.getoption("--agents"))
    except NotInstallable as reason:
        pytest.skip(str(reason))
    key = product.key(f"{framework} {model}")
    env = {"ROOT": product.url, "KEY": key.raw, "MODEL": model}
    found = _driven(known, provider, runs, env, tmp_path, pytestconfig)
    told = found["tools"].get("said", "")  # some wrap what a tool gave in an object
    assert told.startswith("Found") and "42-there" in told, found["tools"]
    assert {name: found[name].get("said", found[name]) for name in EXPECTED} == EXPECTED
    asked = product.asked(key, least=6)
    assert {event["status"] for event in asked} == {200}
    assert product.refused(key) == []
    assert "balance" in product.reconcile()


def _driven(
    known: Framework,
    provider: str,
    runs: list[str],
    env: dict[str, str],
    folder: Path,
    config: pytest.Config,
) -> dict[str, Any]:
    """What the driver printed last."""
    path = HERE / "drivers" / known.driver
    if known.driver.endswith(".mjs"):
        path = Path(config.getoption("--agents")).resolve() / known.install / known.driver
    env |= {
        "PATH": f"{NODE.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "NO_PROXY": "127.0.0.1,localhost",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [*runs, str(path), provider],
        env=env, cwd=folder, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
