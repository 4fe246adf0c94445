"""Who answers: providers, the models they offer, and the credentials we have with them.

Staff keep these. The data plane reads them with the catalogue (gateway/vendors/routes.py).
"""

from typing import ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from gateway.vendors.manners import HELD, LIMITS, QUIRKS, Hosting, Manners, Quirk
from hontoni.announced import Announced


class Vendor(models.TextChoices):
    """Who makes models. "Other" is whoever else does: a host of many makers' models, or we."""

    ANTHROPIC = "anthropic", "Anthropic"
    OPENAI = "openai", "OpenAI"
    GOOGLE = "google", "Google"
    DEEPSEEK = "deepseek", "DeepSeek"
    QWEN = "qwen", "Qwen"
    MOONSHOT = "moonshot", "Moonshot AI"
    ZAI = "zai", "Z.ai"
    MISTRAL = "mistral", "Mistral"
    XAI = "xai", "xAI"
    AMAZON = "amazon", "Amazon"
    OTHER = "other", "Other"


class Dialect(models.TextChoices):
    OPENAI_CHAT = "openai_chat", "OpenAI Chat Completions"
    OPENAI_RESPONSES = "openai_responses", "OpenAI Responses"
    ANTHROPIC_MESSAGES = "anthropic_messages", "Anthropic Messages"
    GEMINI = "gemini", "Google Gemini"
    OPENAI_EMBEDDINGS = "openai_embeddings", "OpenAI embeddings"
    OPENAI_MODERATIONS = "openai_moderations", "OpenAI moderations"
    OPENAI_IMAGES = "openai_images", "OpenAI images"
    OPENAI_TRANSCRIPTIONS = "openai_transcriptions", "OpenAI transcriptions"
    OPENAI_SPEECH = "openai_speech", "OpenAI speech"
    GEMINI_EMBEDDINGS = "gemini_embeddings", "Google Gemini embeddings"
    CONVERSE = "converse", "Amazon Bedrock Converse"


# What can be spoken to each vendor's API, and to each cloud's; the first is meant where nothing
# else is said. Whoever is not named here speaks Chat.
DIALECTS: dict[str, tuple[str, ...]] = {
    Vendor.ANTHROPIC: (Dialect.ANTHROPIC_MESSAGES,),
    Vendor.OPENAI: (
        Dialect.OPENAI_CHAT,
        Dialect.OPENAI_RESPONSES,
        Dialect.OPENAI_EMBEDDINGS,
        Dialect.OPENAI_MODERATIONS,
        Dialect.OPENAI_IMAGES,
        Dialect.OPENAI_TRANSCRIPTIONS,
        Dialect.OPENAI_SPEECH,
    ),
    Vendor.GOOGLE: (Dialect.GEMINI, Dialect.GEMINI_EMBEDDINGS),
}
_CLOUDS: dict[str, tuple[str, ...]] = {
    Hosting.AZURE: (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES),
    Hosting.AZURE_V1: (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES),
    Hosting.BEDROCK: (Dialect.CONVERSE, Dialect.ANTHROPIC_MESSAGES),
    Hosting.VERTEX: (Dialect.GEMINI, Dialect.ANTHROPIC_MESSAGES),
}


class Auth(models.TextChoices):
    """How a credential is shown. The last three are made anew: per request, or every hour."""

    USUAL = "", "as the dialect's vendor wants it"
    BEARER = "bearer", "Authorization: Bearer"
    X_API_KEY = "x-api-key", "x-api-key (Anthropic)"
    API_KEY = "api-key", "api-key (Azure)"
    GOOGLE_KEY = "x-goog-api-key", "x-goog-api-key (Google)"
    NONE = "none", "no key"
    ENTRA = "entra", "Microsoft Entra application"
    SIGV4 = "sigv4", "AWS access key (SigV4)"
    SERVICE_ACCOUNT = "service_account", "Google service account"


PROOFS = (Auth.ENTRA, Auth.SIGV4, Auth.SERVICE_ACCOUNT)


_CHAT = (Dialect.OPENAI_CHAT,)


def http_url(text: str) -> None:
    """Refuse what is no address of an HTTP server; one inside a network of ours is fine."""
    try:
        url = urlsplit(text.strip())
        host = url.netloc.rpartition("@")[2].encode("idna")
        sound = url.scheme in ("http", "https") and bool(url.hostname and host) and url.port != 0
    except ValueError:  # of a port that is none, brackets of no IPv6, a name of no host
        sound = False
    if not sound:
        raise ValidationError(gettext("An address such as https://api.example.com/v1."))


def home(vendor: str, base_url: str) -> str:
    """Who gets to see a secret that is sent there: whose API, which scheme, host and port."""
    try:
        url = urlsplit(base_url.strip())
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:  # no address: nobody is there, and nobody else either
        return f"{vendor} at {base_url.strip()}"
    return f"{vendor} at {url.scheme}://{(url.hostname or '').lower()}:{port}"


class Provider(Announced):
    """A vendor's account, a cloud's, or a host that speaks a vendor's API."""

    name = models.SlugField(max_length=40, unique=True)
    vendor = models.CharField(
        max_length=20,
        choices=Vendor,
        help_text="whose models it has; its API is that vendor's where nothing else is said below",
    )
    base_url = models.CharField(
        max_length=200,
        validators=[http_url],
        help_text="with its own path, if it has one; with or without /v1",
    )
    dialect = models.CharField(
        max_length=30,
        choices=Dialect,
        blank=True,
        db_default="",
        help_text="what it speaks; empty: what that vendor speaks, else Chat Completions",
    )
    auth = models.CharField(
        "key",
        max_length=20,
        choices=Auth,
        default=Auth.USUAL,
        blank=True,
        db_default="",
        help_text="how its credentials are shown",
    )
    hosting = models.CharField(
        "cloud",
        max_length=20,
        choices=Hosting,
        default=Hosting.PLAIN,
        blank=True,
        db_default="",
        help_text="where its paths, and what stands in the body, are a cloud's own",
    )
    region = models.CharField(
        max_length=40,
        blank=True,
        db_default="",
        help_text="Bedrock: us-east-1; Vertex: us-east5, or global",
    )
    project = models.SlugField(
        max_length=60, blank=True, db_default="", help_text="Vertex: the id of its project"
    )
    api_version = models.CharField(
        max_length=40,
        blank=True,
        db_default="",
        help_text="Azure: 2025-04-01-preview; needed for deployments",
    )
    quirks = models.JSONField(
        default=dict, blank=True, db_default=models.Value({}, models.JSONField()), editable=False
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
        """Where its credentials are sent; and how, where they are no keys that go there: what
        signs must never be sent itself."""
        here = home(self.vendor, self.base_url)
        return f"{here} by {self.auth}" if self.auth in PROOFS else here

    @property
    def spoken(self) -> tuple[str, ...]:
        """The dialects it takes, the usual one first."""
        if self.hosting:
            usual = _CLOUDS[self.hosting]
        else:
            usual = (self.dialect,) if self.dialect else DIALECTS.get(self.vendor, _CHAT)
        return tuple(sorted(usual, key=lambda dialect: dialect != self.dialect))

    def manners(self, dialect: str) -> Manners:
        """How it wants to be asked in that dialect."""
        return Manners.of(
            hosting=self.hosting,
            base_url=self.base_url,
            dialect=dialect,
            region=self.region,
            project=self.project,
            api_version=self.api_version,
            quirks=self.quirks,
        )

    def clean(self) -> None:
        """A cloud needs to know where, and a scheme of its own needs its cloud."""
        if self.hosting and self.dialect and self.dialect not in self.spoken:
            words = gettext("This cloud speaks %(names)s.")
            names = {"names": ", ".join(_CLOUDS[self.hosting])}
            raise ValidationError({"dialect": words % names})
        needed: dict[str, tuple[str, ...]] = {
            Hosting.AZURE: ("api_version",),
            Hosting.BEDROCK: ("region",),
            Hosting.VERTEX: ("region", "project"),
        }
        lacking = [name for name in needed.get(self.hosting, ()) if not getattr(self, name)]
        if lacking:
            raise ValidationError(dict.fromkeys(lacking, gettext("This cloud needs it.")))
        if self.auth == Auth.SIGV4 and not self.region:
            raise ValidationError({"region": gettext("A signature is good for one region.")})
        if unknown := set(self.quirks) - set(QUIRKS):
            names = {"names": ", ".join(sorted(unknown))}
            raise ValidationError(gettext("No such quirks: %(names)s.") % names)
        gone = set(self.quirks.get(Quirk.WITHOUT) or ()) & HELD
        if gone := gone | (set(self.quirks.get(Quirk.RENAMES) or ()) & (HELD - LIMITS)):
            words = gettext("What is asked and paid for cannot be left out: %(names)s.")
            raise ValidationError(words % {"names": ", ".join(sorted(gone))})


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
        spoken = self.provider.spoken
        if self.dialect and self.dialect not in spoken:
            words = gettext("This provider speaks %(names)s.")
            raise ValidationError({"dialect": words % {"names": ", ".join(spoken)}})


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
