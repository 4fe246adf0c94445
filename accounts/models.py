"""People and their keys. Money, plans and tokens are other apps' business."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.team_models import (
    DirectoryGroup,
    Invitation,
    Membership,
    Role,
    SignOn,
    SignOnIdentity,
    TeamDomain,
    TeamEvent,
)

__all__ = [
    "ApiKey",
    "Consent",
    "DirectoryGroup",
    "Invitation",
    "KeyPlace",
    "LegalText",
    "Membership",
    "PersonalToken",
    "RefreshToken",
    "Role",
    "SignOn",
    "SignOnIdentity",
    "TeamDomain",
    "TeamEvent",
    "User",
]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """By e-mail address, in whatever case it is typed."""
        return super().get_by_natural_key(username and username.strip().lower())

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


def spoken() -> str:
    """The language of whoever is being answered right now."""
    return get_language() or settings.LANGUAGE_CODE


class User(AbstractBaseUser, PermissionsMixin):
    """A customer's account, or a member of staff. E-mail addresses are stored in lower case."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    # Of mails, which nobody's browser asks for: of signing up, then as last chosen on a page.
    language = models.CharField(max_length=10, default=spoken, editable=False)
    # In which the admin tells times to a member of staff. Empty: UTC.
    time_zone = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="Switch off instead of deleting: keys stop at once."
    )
    is_staff = models.BooleanField("staff", default=False, help_text="May open the admin.")
    # Rises with everything that changes what this account or its keys may do on /v1. Gateways
    # hold a snapshot; admission compares this number, so an old snapshot never admits anything.
    terms_version = models.BigIntegerField(default=1, editable=False)
    # How many keys may be active at once. What a plan says about it is written here by billing.
    key_cap = models.PositiveIntegerField(default=5, editable=False)
    # Rises when every session of the account ends, those of /api too.
    session_epoch = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # Whether vendors may keep what they are sent, where a request asks them to.
    vendors_may_store = models.BooleanField(default=False, db_default=False, editable=False)
    # Whether answers of /v1/responses are kept for a while, for clients that point at them.
    keeps_responses = models.BooleanField(default=True, db_default=True, editable=False)
    # Its address is confirmed by staff alone, and the owner's proof still due (sign_in/proof.py).
    address_vouched = models.BooleanField(default=False, db_default=False, editable=False)
    # While this is set every key refuses (accounts/people/freezing.py).
    frozen_at = models.DateTimeField(null=True, editable=False)
    frozen_reason = models.CharField(max_length=200, blank=True, editable=False)
    # Whether it is a team's: an account that nobody signs in with, only its members
    # (team_models.py). Mails to it go to its owner, or there.
    is_team = models.BooleanField(default=False, db_default=False, editable=False)
    billing_email = models.EmailField(blank=True, default="", db_default="")
    # Of a person: the account whose pages were opened last (empty: their own).
    acts_for = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    CHANGED_BY_UPDATE = (
        *("terms_version", "key_cap", "session_epoch"),
        *("address_vouched", "vendors_may_store", "keeps_responses"),
        *("frozen_at", "frozen_reason", "acts_for"),
    )

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]
        indexes = [models.Index(fields=["created_at"], name="user_by_age")]

    def __str__(self) -> str:
        return f"{self.name} (team {self.pk})" if self.is_team else self.email

    def end_sessions(self) -> None:
        """Every one, in browsers and on /api, whatever a store still knows of it."""
        User.objects.filter(pk=self.pk).update(session_epoch=models.F("session_epoch") + 1)
        self.refresh_from_db(fields=["session_epoch"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # A session is good for the password and the epoch it began under. An epoch of 0 is not
        # in it: so long it is Django's own.
        epoch = self.session_epoch or ""
        return salted_hmac(
            "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash",
            f"{self.password}{epoch}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.strip().lower()
        # These change by UPDATE. A row read a moment ago must not turn them back: Redis keeps the
        # highest version it saw and would refuse this account until the database caught up.
        if not self._state.adding and not args and kwargs.get("update_fields") is None:
            kept = {*self.CHANGED_BY_UPDATE, *self.get_deferred_fields()}
            fields = self._meta.concrete_fields
            kwargs["update_fields"] = [
                field.name for field in fields if not field.primary_key and field.name not in kept
            ]
        super().save(*args, **kwargs)


def scopes_by_default() -> list[str]:
    """Of a new key."""
    return ["inference", "usage:read"]


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def active(self, now: datetime) -> Self:
        """Neither revoked nor expired."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
        return self.filter(unexpired, revoked_at=None)

    def related(self, key: "ApiKey") -> Self:
        """The key and everything it was rotated from or to."""
        first = key.lineage or key.pk
        return self.filter(models.Q(pk=first) | models.Q(lineage=first))


class ApiKey(models.Model):
    """What a program signs its requests with. `keys/api_keys.py` makes, ends and finds them."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="keys")
    # Whose it is in a team: it spends by their caps, and ends with them. Empty: the account's.
    member = models.ForeignKey(
        Membership, on_delete=models.RESTRICT, null=True, blank=True, related_name="keys"
    )
    name = models.CharField(max_length=100)
    digest = models.BinaryField(max_length=32, unique=True)
    prefix = models.CharField(max_length=12)
    last4 = models.CharField(max_length=4)
    # Limits are counted by slot: see `subject`.
    slot = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    made_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # What its owner allows it (keys/restrictions.py). Nano-dollars; empty: no restriction.
    daily_cap = models.BigIntegerField(null=True, blank=True)
    monthly_cap = models.BigIntegerField(null=True, blank=True)
    lifetime_cap = models.BigIntegerField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True)
    allowed_ips = models.JSONField(default=list, blank=True, help_text="CIDR ranges")
    # Its guard against programs that run away (keys/restrictions.py): nano-dollars in ten minutes,
    # or so many times what it spent before; how often one prompt; nano-dollars a session.
    brake_spend = models.BigIntegerField(null=True, blank=True)
    brake_times = models.PositiveSmallIntegerField(null=True, blank=True)
    brake_loop = models.PositiveSmallIntegerField(null=True, blank=True)
    session_budget = models.BigIntegerField(null=True, blank=True)
    # What it may spend past its plan's windows in a UTC month, nano-dollars; empty: nothing.
    overflow_cap = models.BigIntegerField(null=True, blank=True)
    # Stopped by its owner, until they start it again (keys/stopping.py).
    stopped_at = models.DateTimeField(null=True, blank=True)
    stopped_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # What it may do (keys/scopes.py). Keys from before scopes did one thing.
    scopes = models.JSONField(
        default=scopes_by_default, db_default=models.Value(["inference"], models.JSONField())
    )
    # The first key of a chain of rotations, if this is a later one: they share one purse.
    lineage = models.BigIntegerField(null=True, blank=True, db_index=True, editable=False)
    replaced_by = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replaces"
    )
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        indexes = [
            models.Index(fields=["user", "-id"], name="apikey_of_user"),
            models.Index(fields=["created_at"], name="apikey_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"

    @property
    def subject(self) -> str:
        """Whose windows this key uses up, for limits that count by key.

        An account has as many slots as it may have active keys. A new key takes over a free
        slot, and a rotated one its predecessor's, with what is left of their windows: otherwise
        revoking a key and making another would reset every limit.
        """
        return f"k{self.user_id}-{self.slot}"

    @property
    def purse(self) -> str:
        """Whose spending the caps count: this key's, and of all it was rotated from or to."""
        return f"p{self.lineage or self.pk}"

    @property
    def unusual_scopes(self) -> list[str]:
        """Its scopes, if they are others than a new key has."""
        scopes: list[str] = self.scopes
        return [] if set(scopes) == set(scopes_by_default()) else scopes

    def status(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active"


class KeyPlace(models.Model):
    """That a key was used from a network on a day (UTC). `keys/places.py` keeps them."""

    day = models.DateField()
    network = models.CharField(max_length=50, help_text="An IPv4 address, or an IPv6 /64.")
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="places")
    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["day", "network", "key"], name="key_place_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.key_id} from {self.network}"


class PersonalToken(models.Model):
    """What a program acts with for a person on /api. `keys/personal_tokens.py` makes, ends and
    finds them."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="personal_tokens")
    # Who acts by it for the account `user`; empty: the same.
    person = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    name = models.CharField(max_length=100)
    digest = models.BinaryField(max_length=32, unique=True)
    prefix = models.CharField(max_length=12)
    last4 = models.CharField(max_length=4)
    scopes = models.JSONField(help_text="What it may do.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    made_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_ip = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        verbose_name = "personal access token"
        indexes = [models.Index(fields=["created_at"], name="personal_token_by_age")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"

    def status(self, now: datetime) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "active"


class RefreshToken(models.Model):
    """One link of a session's chain. `family` is the session; `sign_in/tokens.py` keeps them."""

    digest = models.BinaryField(max_length=32, unique=True)
    family = models.UUIDField(default=uuid.uuid4, db_index=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_tokens")
    # Of the password it was issued under: another password, and the whole session is over.
    credentials = models.CharField(max_length=16)
    # For which account it acts where a request names none; empty: the user's own.
    account = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.family}"


class LegalText(models.Model):
    """One version of a legal page. `legal/texts.py` says which one holds; a version that holds is
    never changed: who agreed to it can read it for ever."""

    class Page(models.TextChoices):
        TERMS = "terms", _("Terms of service")
        PRIVACY = "privacy", _("Privacy policy")
        REFUNDS = "refunds", _("Refund policy")
        CONTACT = "contact", _("Contact")

    page = models.CharField(max_length=20, choices=Page.choices)
    version = models.PositiveIntegerField(editable=False)
    english = models.TextField(help_text="Markdown. {seller}, {email} and {site} are filled in.")
    vietnamese = models.TextField(blank=True, help_text="Empty: the English text is shown.")
    effective_at = models.DateTimeField(
        default=timezone.now, help_text="From this moment on it holds, and stays as it is."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["page", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["page", "version"], name="legal_text_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.page} {self.version}"


class Consent(models.Model):
    """That somebody agreed to a version of a legal page, when, and by which door."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="consents")
    page = models.CharField(max_length=20, choices=LegalText.Page.choices)
    version = models.PositiveIntegerField()
    through = models.CharField(max_length=30, help_text="page, api, or who vouched")
    agreed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "page", "version"], name="consent_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.page} {self.version}"
