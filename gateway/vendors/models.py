"""Who answers: providers, the models they offer, and the credentials we have with them.

Staff keep these. The data plane reads them with the catalogue (gateway/vendors/routes.py).
"""

from typing import ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from hontoni.announced import Announced


class Vendor(models.TextChoices):
    ANTHROPIC = "anthropic", "Anthropic"
    OPENAI = "openai", "OpenAI"
    GOOGLE = "google", "Google"


class Dialect(models.TextChoices):
    OPENAI_CHAT = "openai_chat", "OpenAI Chat Completions"
    OPENAI_RESPONSES = "openai_responses", "OpenAI Responses"
    ANTHROPIC_MESSAGES = "anthropic_messages", "Anthropic Messages"
    GEMINI = "gemini", "Google Gemini"


# What can be spoken to each vendor's API; the first is meant where nothing else is said.
DIALECTS: dict[str, tuple[str, ...]] = {
    Vendor.ANTHROPIC: (Dialect.ANTHROPIC_MESSAGES,),
    Vendor.OPENAI: (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES),
    Vendor.GOOGLE: (Dialect.GEMINI,),
}


def http_url(text: str) -> None:
    """Refuse what is no address of an HTTP server; one inside a network of ours is fine."""
    try:
        url = urlsplit(text.strip())
        host = url.netloc.rpartition("@")[2].encode("idna")
        sound = url.scheme in ("http", "https") and bool(url.hostname and host) and url.port != 0
    except ValueError:  # of a port that is none, brackets of no IPv6, a name of no host
        sound = False
    if not sound:
        raise ValidationError("An address such as https://api.example.com/v1.")


def home(vendor: str, base_url: str) -> str:
    """Who gets to see a secret that is sent there: whose API, which scheme, host and port."""
    try:
        url = urlsplit(base_url.strip())
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:  # no address: nobody is there, and nobody else either
        return f"{vendor} at {base_url.strip()}"
    return f"{vendor} at {url.scheme}://{(url.hostname or '').lower()}:{port}"


class Provider(Announced):
    """A vendor's account, or a reseller that speaks a vendor's API."""

    name = models.SlugField(max_length=40, unique=True)
    vendor = models.CharField(max_length=20, choices=Vendor, help_text="whose API it speaks")
    base_url = models.CharField(
        max_length=200, validators=[http_url], help_text="with or without /v1"
    )
    everything = models.BooleanField(
        default=True,
        help_text="It serves every model of that vendor, by the names the catalogue has for "
        "them. Off: only the offerings below.",
    )
    own_keys = models.BooleanField(
        "customers' own keys",
        default=False,
        db_default=False,
        help_text="Customers may bring a key of their own for it: they pay the fee for own keys "
        "in place of the price, and the provider themselves.",
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def home(self) -> str:
        """Where its credentials are sent."""
        return home(self.vendor, self.base_url)


class Offering(Announced):
    """A model that a provider has under another name or in another dialect, or that is another
    vendor's."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="offerings")
    model = models.ForeignKey("gateway.Model", on_delete=models.CASCADE, related_name="offerings")
    upstream_id = models.CharField(max_length=100, help_text="what the provider calls it")
    dialect = models.CharField(
        max_length=30, choices=Dialect, blank=True, help_text="empty: the provider's usual one"
    )

    class Meta:
        ordering = ("provider", "model")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("provider", "model"), name="offered_once"),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} as {self.upstream_id}"

    def clean(self) -> None:
        spoken = DIALECTS.get(self.provider.vendor, ())
        if self.dialect and self.dialect not in spoken:
            raise ValidationError({"dialect": f"This provider speaks {' or '.join(spoken)}."})


class Credential(Announced):
    """A key of ours at a provider. It can be written and never read: `sealed` is ciphertext.

    All credentials of one `priority` share the work by `weight`; the next priority is asked when
    none of them answers.
    """

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="credentials")
    label = models.SlugField(max_length=40)
    sealed = models.TextField(editable=False)
    # The home it was entered for. It is sent nowhere else: whoever may change a provider's address
    # must not be able to have the secret sent to one of theirs. Empty: of before, see `bind`.
    entered_for = models.CharField(max_length=300, blank=True, db_default="", editable=False)
    priority = models.PositiveSmallIntegerField(default=0, help_text="0 is asked first")
    weight = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1)],
        help_text="its share of the sessions among those of the same priority",
    )
    active = models.BooleanField(default=True)
    refused_at = models.DateTimeField(null=True, blank=True, editable=False)
    refusal = models.CharField(max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("priority", "provider", "label")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("provider", "label"), name="credential_label_once"),
            models.CheckConstraint(
                condition=models.Q(weight__gte=1), name="credential_weight_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.label}"

    @property
    def is_at_home(self) -> bool:
        """Whether its provider is still the one it was entered for."""
        return self.entered_for in ("", self.provider.home)


def bind() -> None:
    """Bind credentials of before to where they are sent now."""
    for credential in Credential.objects.select_related("provider").filter(entered_for=""):
        here = credential.provider.home
        Credential.objects.filter(pk=credential.pk, entered_for="").update(entered_for=here)
