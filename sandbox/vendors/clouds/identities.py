"""Whom the clouds know."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from sandbox.vendors.dialect import fresh
from sandbox.vendors.vendors import MODELS

DEPLOYMENTS = {f"our-{model}": model for model in MODELS["openai"]}


@dataclass(slots=True)
class Identities:
    """Of one sandbox: `keys` as its own, any if None.

    `accounts` are Google's service accounts, by mail: the modulus and exponent of their public
    key. `tokens` those that were issued, and until when (monotonic seconds); one is good for
    `token_seconds`. `deployments` are Azure's: a name, and the model behind it.
    """

    keys: Collection[str] | None = None
    region: str = "us-east-1"
    project: str = "sandbox"
    access_key_id: str = "AKIASANDBOX"
    token_seconds: float = 3600.0
    accounts: dict[str, tuple[int, int]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    issued: int = 0
    deployments: dict[str, str] = field(default_factory=lambda: dict(DEPLOYMENTS))

    def reset(self) -> None:
        """Forget every token, and be as patient as ever."""
        self.tokens.clear()
        self.issued, self.token_seconds = 0, 3600.0
        self.deployments = dict(DEPLOYMENTS)

    def issue(self) -> str:
        token = fresh("tok-", 40)
        self.tokens[token] = time.monotonic() + self.token_seconds
        self.issued += 1
        return token

    def knows_token(self, token: str) -> bool:
        return self.tokens.get(token, 0.0) > time.monotonic()

    def knows_key(self, key: str) -> bool:
        return bool(key) and (self.keys is None or key in self.keys)

    def secrets(self) -> Collection[str]:
        """The secrets of the one access key there is."""
        return ("sandbox",) if self.keys is None else self.keys
