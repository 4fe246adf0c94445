"""What is given away: promo codes and who redeemed them, referrals and what they earned.

Amounts are nano-dollars. The money itself is in the books: only promos.py and
referrals.py write these rows, in the transaction that posts it.
"""

from datetime import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext

from billing.books.written_once import WrittenOnce


class PromoCode(models.Model):
    """Money, a bonus on the next top-up, or a plan on trial. Staff make and end them."""

    class Kind(models.TextChoices):
        CREDIT = "credit", "fixed credit"
        PERCENT = "percent", "percent of the next top-up"
        TRIAL = "trial", "trial of a plan"

    code = models.CharField(
        max_length=40, unique=True, help_text="Letters, digits and dashes; case does not matter."
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    amount = models.BigIntegerField(
        default=0, help_text="Dollars: the credit, or the most a percent bonus may be (0: no cap)."
    )
    percent = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])
    plan = models.ForeignKey(
        "billing.Plan", models.PROTECT, null=True, blank=True, related_name="+"
    )
    trial_days = models.PositiveSmallIntegerField(default=0)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    max_uses = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    max_uses_per_account = models.PositiveIntegerField(
        default=1, validators=[MinValueValidator(1)]
    )
    first_time_only = models.BooleanField(
        default=False, help_text="Only for accounts that have never topped up."
    )
    minimum_top_up = models.BigIntegerField(
        default=0, help_text="Dollars. Above 0, it is given with the next top-up of so much."
    )
    active = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True, help_text="For staff only.")
    uses = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="credit", amount__gt=0, percent=0, plan=None, trial_days=0)
                | Q(
                    kind="percent",
                    amount__gte=0,
                    percent__range=(1, 100),
                    plan=None,
                    trial_days=0,
                )
                | Q(
                    kind="trial",
                    amount=0,
                    percent=0,
                    plan__isnull=False,
                    trial_days__gte=1,
                    minimum_top_up=0,
                ),
                name="promo_is_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(max_uses=None) | Q(uses__lte=F("max_uses")), name="promo_uses_capped"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="promo_validity_forward",
            ),
            models.CheckConstraint(
                condition=Q(minimum_top_up__gte=0), name="promo_minimum_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(max_uses_per_account__gte=1), name="promo_account_cap_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def save(self, *args: object, **kwargs: object) -> None:
        self.code = normal(self.code)
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def waits_for_top_up(self) -> bool:
        """Whether it is given with the next top-up, not at once."""
        return self.kind == self.Kind.PERCENT or self.minimum_top_up > 0

    def valid_at(self, now: datetime) -> bool:
        """Whether it may be redeemed, as far as time is concerned."""
        return self.valid_from <= now and (self.valid_until is None or now < self.valid_until)


def normal(code: str) -> str:
    """A code as it is stored: people type it in any case, with spaces around."""
    return code.strip().upper()


class Redemption(models.Model):
    """One use of a promo code. `granted` is what it gave, less what was taken back since."""

    code = models.ForeignKey(PromoCode, models.PROTECT, related_name="redemptions")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="redemptions", db_index=False
    )
    number = models.PositiveIntegerField(help_text="The account's first use of the code, or ...")
    created_at = models.DateTimeField(auto_now_add=True)
    granted_at = models.DateTimeField(null=True)
    granted = models.BigIntegerField(default=0)
    # Of a bonus: the top-up it came with, what it was at first, and how much of that is left
    # after refunds.
    top_up = models.OneToOneField(
        "billing.Transfer", models.PROTECT, null=True, related_name="bonus", db_constraint=False
    )
    bonus = models.BigIntegerField(default=0)
    top_up_left = models.BigIntegerField(default=0)
    refused = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text="The mark by which the same person had it under another account.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "code", "number"], name="redemption_numbered"),
            models.CheckConstraint(
                condition=Q(granted__gte=0, bonus__gte=0), name="redemption_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code_id} by {self.user_id}"


class ReferralProgram(models.Model):
    """What a referral earns. There is one row; a referral keeps the terms it was made under."""

    class Basis(models.TextChoices):
        TOP_UPS = "top_ups", "what the invited account topped up"
        SPEND = "spend", "what it spent of that"

    percent = models.PositiveSmallIntegerField(default=10, validators=[MaxValueValidator(100)])
    basis = models.CharField(max_length=10, choices=Basis.choices, default=Basis.TOP_UPS)
    hold_days = models.PositiveSmallIntegerField(
        default=30, help_text="A reward is paid when it has stood for so long."
    )
    most = models.BigIntegerField(
        default=100_000_000_000, help_text="Dollars one referral may earn in all."
    )
    active = models.BooleanField(default=True, help_text="Off: no new referrals.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="referral_program_is_one"),
            models.CheckConstraint(condition=Q(percent__lte=100), name="referral_percent"),
            models.CheckConstraint(condition=Q(most__gte=0), name="referral_most_not_negative"),
        ]

    def __str__(self) -> str:
        return gettext("%(percent)s %% of %(basis)s") % {
            "percent": self.percent,
            "basis": self.get_basis_display(),
        }


class ReferralCode(models.Model):
    """The code an account invites with."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="referral_code"
    )
    code = models.CharField(max_length=16, unique=True)

    def __str__(self) -> str:
        return self.code


class Referral(models.Model):
    """Who invited whom, under which terms, and what it has earned."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        REVIEW = "review", "waiting for staff"
        REJECTED = "rejected"

    referrer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="referrals"
    )
    invitee = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="referred_by"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    signals = models.JSONField(default=list, help_text="Why staff should look at it.")
    address = models.CharField(max_length=64, blank=True, help_text="A digest of the IP address.")
    # Whether the invitee's address was confirmed, and nobody is invited twice by it. It earns
    # nothing until then; those from before this was asked are as good as confirmed.
    confirmed = models.BooleanField(default=False, db_default=True)
    percent = models.PositiveSmallIntegerField()
    basis = models.CharField(max_length=10, choices=ReferralProgram.Basis.choices)
    hold_days = models.PositiveSmallIntegerField()
    most = models.BigIntegerField()
    # What the invitee's books make it now, and what of it is posted.
    accrued = models.BigIntegerField(default=0)
    paid = models.BigIntegerField(default=0)
    payments = models.PositiveIntegerField(default=0, help_text="Numbers the postings.")
    # The invitee's wallet when `accrued` was computed: unchanged, there is nothing to compute.
    seen_credits_version = models.BigIntegerField(default=-1)
    seen_settled_total = models.BigIntegerField(default=-1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["address", "created_at"], name="referral_by_address"),
            models.Index(fields=["status"], name="referral_by_status"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(referrer=F("invitee")), name="referral_of_another"
            ),
            models.CheckConstraint(
                condition=Q(paid__gte=0, accrued__gte=0), name="referral_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(invitee)s by %(referrer)s") % {
            "invitee": self.invitee,
            "referrer": self.referrer,
        }


class Accrual(WrittenOnce):
    """What a referral had earned from `at` on, until the next one."""

    referral = models.ForeignKey(Referral, models.PROTECT, related_name="accruals")
    total = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["referral", "at"], name="accrual_by_time")]

    def __str__(self) -> str:
        return f"{self.referral_id}: {self.total} from {self.at}"


class Mark(models.Model):
    """By what an account is known, as a fingerprint: the same mark, the same person."""

    class Kind(models.TextChoices):
        MAILBOX = "mailbox"
        CARD = "card"
        BROWSER = "browser"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="marks")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    digest = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="mark_once_a_user")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind} {self.digest[:6]}…"


class Claim(models.Model):
    """A gift that was taken under a mark. Nobody takes it under the same mark again."""

    gift = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="claims")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gift", "digest"], name="claim_once_a_mark")
        ]

    def __str__(self) -> str:
        return f"{self.gift} by {self.user_id}"


class Card(models.Model):
    """A card an account has paid with, by Stripe's fingerprint: the same card, the same one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="cards")
    fingerprint = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "fingerprint"], name="card_once_a_user")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.fingerprint[:6]}…"
