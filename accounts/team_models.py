"""Who belongs to an account beside its owner, and how they come in. `teams/` is the room.

An account is a row of User. One that several people share is a team: a row that nobody signs in
with, and that people, rows of their own, are members of.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    DEVELOPER = "developer", _("Developer")
    BILLING = "billing", _("Billing")
    VIEWER = "viewer", _("Viewer")


class MembershipQuerySet(models.QuerySet["Membership"]):
    def active(self) -> Self:
        """Of those who are there now, and whom staff let sign in."""
        return self.filter(ended_at=None, person__is_active=True, account__is_active=True)


class Membership(models.Model):
    """That a person belongs, or belonged, to an account. Who comes back finds the same row: what
    was spent is not forgotten by leaving. Nano-dollars; empty: no restriction."""

    account = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="memberships"
    )
    person = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="teams")
    role = models.CharField(max_length=20, choices=Role.choices)
    daily_cap = models.BigIntegerField(null=True, blank=True)
    monthly_cap = models.BigIntegerField(null=True, blank=True)
    lifetime_cap = models.BigIntegerField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True)
    allowed_ips = models.JSONField(default=list, blank=True, help_text="CIDR ranges")
    # Stopped by who manages members, until they start it again (keys/stopping.py).
    stopped_at = models.DateTimeField(null=True, editable=False)
    stopped_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    # What the team's own directory calls them (sign_on/scim).
    external_id = models.CharField(max_length=200, blank=True, editable=False)
    provisioned = models.BooleanField(default=False, db_default=False, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "person"], name="member_once"),
            models.UniqueConstraint(
                fields=["account"],
                condition=models.Q(role="owner", ended_at=None),
                name="team_has_one_owner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.account_id}: {self.role}"

    @property
    def stopped(self) -> bool:
        """Whether all keys of theirs are, those to come included."""
        return self.stopped_at is not None

    @property
    def purse(self) -> str:
        """Whose spending the caps count: that of all keys of this member."""
        return f"m{self.pk}"


class Invitation(models.Model):
    """An address that was asked to join. Its link is good once, for whoever has that address."""

    account = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role.choices)
    digest = models.BinaryField(max_length=32, unique=True)
    invited_by = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="invitation_of_account")]

    def __str__(self) -> str:
        return f"{self.email} to {self.account_id}"

    def status(self, now: datetime) -> str:
        """`accepted`, `revoked`, `expired` or `open`."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "open"


class TeamEvent(models.Model):
    """Who did what in an account. Only ever added to."""

    account = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="team_events"
    )
    actor = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # As they were called then: who leaves, and who deletes their account, stays in the list.
    actor_email = models.CharField(max_length=254, blank=True)
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=254, blank=True)
    facts = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["account", "-id"], name="team_event_of_account")]

    def __str__(self) -> str:
        return f"{self.actor_email}: {self.action} {self.subject}"


class TeamDomain(models.Model):
    """A domain of mail that a team says is its own; what it opens once that is proven."""

    account = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)
    secret = models.CharField(max_length=64, help_text="What a TXT record or a mail shows.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    proven_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="team_domain_once"),
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(proven_at__isnull=False),
                name="domain_of_one_team",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SignOn(models.Model):
    """How a team's members sign in with its own provider (OpenID Connect), and how its directory
    keeps them (SCIM)."""

    account = models.OneToOneField(
        "accounts.User", on_delete=models.CASCADE, primary_key=True, related_name="sign_on"
    )
    slug = models.CharField(max_length=60, unique=True)
    issuer = models.CharField(max_length=300, blank=True)
    client_id = models.CharField(max_length=300, blank=True)
    sealed_secret = models.TextField(blank=True)
    # Whether addresses of the proven domains sign in there and in no other way.
    enforced = models.BooleanField(default=False)
    joins_as = models.CharField(max_length=20, choices=Role.choices, default=Role.DEVELOPER)
    scim_digest = models.BinaryField(max_length=32, null=True, unique=True)
    scim_made_at = models.DateTimeField(null=True)
    scim_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.slug


class SignOnIdentity(models.Model):
    """Whom a team's provider means by its `sub`: found again though their address changes."""

    sign_on = models.ForeignKey(SignOn, on_delete=models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=255)
    person = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sign_on", "subject"], name="identity_once")
        ]

    def __str__(self) -> str:
        return f"{self.sign_on_id}: {self.subject}"


class DirectoryGroup(models.Model):
    """A group of a team's directory, and the role that its members have by it (empty: none)."""

    account = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="directory_groups"
    )
    name = models.CharField(max_length=200)
    external_id = models.CharField(max_length=200, blank=True)
    role = models.CharField(max_length=20, choices=Role.choices, blank=True)
    members = models.ManyToManyField(Membership, related_name="groups")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="group_once")]

    def __str__(self) -> str:
        return self.name
