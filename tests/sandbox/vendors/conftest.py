"""The vendors' own clients, talking to the sandbox."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import anthropic
import httpx
import openai
import pytest

# pytest reads this file before it imports the plugin, which would then miss its rewriting.
if TYPE_CHECKING:
    from tests.vendors import Vendors


@pytest.fixture
def gpt(vendors: "Vendors") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=vendors.key, base_url=f"{vendors.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(vendors: "Vendors") -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=vendors.key,
        base_url=vendors.url,
        max_retries=0,
        default_headers={"anthropic-version": "2023-06-01"},
    ) as client:
        yield client


@pytest.fixture
def http(vendors: "Vendors") -> Iterator[httpx.Client]:
    """A plain client that carries every vendor's key and Anthropic's version."""
    headers = {
        "authorization": f"Bearer {vendors.key}",
        "x-goog-api-key": vendors.key,
        "anthropic-version": "2023-06-01",
    }
    with httpx.Client(base_url=vendors.url, headers=headers, timeout=30) as client:
        yield client
