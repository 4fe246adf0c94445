"""What is sold, who has it, and who was told of a higher price. Amounts are nano-dollars."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import User
from billing.plans import periods
from hontoni.money import dollars


class Plan(models.Model):
    """What a subscriber may do. Staff edit it; exactly one plan is the default."""

    class Subject(models.TextChoices):
        KEY = "key", "each API key"
        ACCOUNT = "account", "the whole account"

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    price = models.BigIntegerField("price a month", help_text="Dollars a month.")
    rpm = models.PositiveIntegerField("requests in any minute")
    five_hours = models.PositiveIntegerField("requests in 5 hours")
    daily = models.PositiveIntegerField("requests a day")
    weekly = models.PositiveIntegerField("requests a week")
    monthly = models.PositiveIntegerField("requests in 30 days")
    concurrent = models.PositiveIntegerField("requests at the same time")
    thinking_budget = models.PositiveIntegerField(help_text="Tokens of thinking in one request.")
    key_cap = models.PositiveIntegerField("active API keys")
    overflow_surcharge = models.DecimalField(
        "overflow surcharge",
        max_digits=5,
        decimal_places=2,
        default=Decimal(25),
        db_default=Decimal(25),
        validators=[MinValueValidator(0)],
        help_text="Per cent on the price of requests past a window, for keys with overflow.",
    )
    # Until then who is on the plan pays what it was before (surcharges.py).
    surcharge_before = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, editable=False
    )
    surcharge_rises_at = models.DateTimeField(null=True, editable=False)
    subject = models.CharField(
        "limits apply to", max_length=10, choices=Subject.choices, default=Subject.KEY
    )
    reset_price = models.BigIntegerField(
        "price of a reset pass",
        default=0,
        db_default=0,
        help_text="Dollars, to have all windows empty at once, one time a period. 0: not sold.",
    )
    active = models.BooleanField(default=True, help_text="Inactive plans are no longer sold.")
    sort_order = models.IntegerField(default=0)
    is_default = models.BooleanField(
        default=False, help_text="What an account without a subscription is on."
    )

    LIMITS = ("rpm", "five_hours", "daily", "weekly", "monthly", "concurrent")

    class Meta:
        ordering = ["sort_order", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=0), name="plan_price_not_negative"),
            models.CheckConstraint(
                condition=Q(reset_price__gte=0), name="plan_reset_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(
                    rpm__gte=1,
                    five_hours__gte=1,
                    daily__gte=1,
                    weekly__gte=1,
                    monthly__gte=1,
                    concurrent__gte=1,
                    key_cap__gte=1,
                ),
                name="plan_limits_positive",
            ),
            models.CheckConstraint(
                condition=Q(subject__in=["key", "account"]), name="plan_subject_known"
            ),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="plan_one_default"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(active=True), name="plan_default_is_active"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def surcharge(self) -> int:
        """Of overflow, that holds now, in basis points."""
        return int(self.surcharge_now(timezone.now()) * 100)

    def surcharge_now(self, now: datetime) -> Decimal:
        """Per cent."""
        coming = self.surcharge_coming(now)
        return self.overflow_surcharge if coming is None else coming[0]

    def surcharge_coming(self, now: datetime) -> tuple[Decimal, Decimal, datetime] | None:
        """Of one that rises: what it is, what it will be (per cent), and when."""
        before, at = self.surcharge_before, self.surcharge_rises_at
        if before is None or at is None or at <= now or before >= self.overflow_surcharge:
            return None
        return before, self.overflow_surcharge, at

    @property
    def rise(self) -> tuple[int, datetime] | None:
        """To how many basis points it rises, and when."""
        coming = self.surcharge_coming(timezone.now())
        return None if coming is None else (int(coming[1] * 100), coming[2])

    def accounts(self) -> QuerySet[User]:
        """Who is on it: its subscribers, and on the default whoever has no subscription."""
        live = Subscription.objects.filter(status__in=Subscription.LIVE, user_id=OuterRef("pk"))
        mine = Q(Exists(live.filter(plan=self)))
        return User.objects.filter(mine | ~Exists(live) if self.is_default else mine)


class AddOn(models.Model):
    """Multiplies every rate limit of a plan, and never the thinking budget."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    price = models.BigIntegerField("price a month", help_text="Dollars a month.")
    multiplier = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    active = models.BooleanField(default=True, help_text="Inactive add-ons are no longer sold.")
    sort_order = models.IntegerField(default=0)

    class Meta:
        verbose_name = "add-on"
        ordering = ["sort_order", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=0), name="addon_price_not_negative"),
            models.CheckConstraint(condition=Q(multiplier__gte=1), name="addon_multiplies"),
        ]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """A plan, and at most one add-on, paid for a period. At most one is live a user."""

    class Status(models.TextChoices):
        INCOMPLETE = "incomplete", "waiting for the first payment"
        ACTIVE = "active"
        PAST_DUE = "past_due", "renewal failed, in grace"
        ENDED = "ended"

    class PaymentMethod(models.TextChoices):
        BALANCE = "balance", "prepaid balance"
        STRIPE = "stripe", "Stripe"

    LIVE = (Status.ACTIVE, Status.PAST_DUE)

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="subscriptions"
    )
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="subscriptions")
    add_on = models.ForeignKey(
        AddOn, models.PROTECT, null=True, blank=True, related_name="subscriptions"
    )
    # A month of each, as sold for this period: staff may have changed the price lists since.
    plan_price = models.BigIntegerField(default=0)
    add_on_price = models.BigIntegerField(default=0)
    # What is cheaper waits here for the end of the period that is paid, at the price agreed then.
    next_plan = models.ForeignKey(Plan, models.PROTECT, null=True, blank=True, related_name="+")
    next_add_on = models.ForeignKey(AddOn, models.PROTECT, null=True, blank=True, related_name="+")
    # 0: as in this period. By Stripe: what it is to bill.
    next_plan_price = models.BigIntegerField(default=0, db_default=0)
    next_add_on_price = models.BigIntegerField(default=0, db_default=0)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.ACTIVE)
    payment_method = models.CharField(
        max_length=20, choices=PaymentMethod.choices, default=PaymentMethod.BALANCE
    )
    # How the next period is to be paid, if not as this one.
    next_payment_method = models.CharField(
        max_length=20, choices=PaymentMethod.choices, blank=True
    )
    stripe_id = models.CharField(max_length=255, blank=True)
    # Rises whenever Stripe's word changes it: what was read before that is out of date.
    revision = models.PositiveIntegerField(default=0)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    # Its plan was given for this period, and not sold.
    trial = models.BooleanField(default=False, db_default=False)
    # When a renewal was first tried and not paid; the grace counts from here.
    past_due_since = models.DateTimeField(null=True, blank=True)
    # Its owner was frozen, so it is taken away from Stripe (billing/payments/pauses.py).
    paused_at = models.DateTimeField(null=True, blank=True)
    cancel_at_period_end = models.BooleanField(default=False)
    add_on_ends = models.BooleanField("add-on ends with the period", default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("manage_subscription", "Can cancel, resume or end a subscription")]
        indexes = [
            models.Index(
                fields=["period_end"],
                condition=Q(status__in=["active", "past_due"]),
                name="subscription_due",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(plan_price__gte=0, add_on_price__gte=0),
                name="subscription_prices_not_negative",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(status__in=["active", "past_due"]),
                name="subscription_one_live_a_user",
            ),
            models.UniqueConstraint(
                fields=["stripe_id"], condition=~Q(stripe_id=""), name="subscription_stripe_once"
            ),
            models.CheckConstraint(
                condition=Q(period_end__gt=F("period_start")), name="subscription_period_forward"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(user)s on %(plan)s") % {"user": self.user, "plan": self.plan}

    @property
    def on_trial(self) -> bool:
        """Whether its plan was given, and not sold; one from before that was noted, too."""
        given = self.cancel_at_period_end and not self.plan_price and self.plan.price > 0
        return self.trial or given

    @property
    def grace_until(self) -> datetime:
        """When an unpaid renewal ends it all. One from before the first try was noted: its end."""
        return (self.past_due_since or self.period_end) + periods.GRACE


class PriceNotice(models.Model):
    """A subscriber was told of a higher price: it binds no renewal before `binds_at`."""

    subscription = models.ForeignKey(
        "billing.Subscription", models.PROTECT, related_name="price_notices", db_index=False
    )
    plan = models.ForeignKey("billing.Plan", models.PROTECT, null=True, related_name="+")
    add_on = models.ForeignKey("billing.AddOn", models.PROTECT, null=True, related_name="+")
    price = models.BigIntegerField(help_text="Nano-dollars a month.")
    told_at = models.DateTimeField()
    binds_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["subscription", "price"], name="price_notice_of")]
        constraints = [
            models.CheckConstraint(
                condition=Q(plan=None, add_on__isnull=False) | Q(plan__isnull=False, add_on=None),
                name="price_notice_of_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(what)s at %(where)s") % {
            "what": self.plan or self.add_on,
            "where": f"${dollars(self.price)}",
        }


class ResetPass(models.Model):
    """All windows of an account were emptied at once, for money, one time in a period."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    subscription = models.ForeignKey("billing.Subscription", models.PROTECT, related_name="+")
    plan = models.ForeignKey("billing.Plan", models.PROTECT, related_name="+")
    period_start = models.DateTimeField()
    transfer = models.OneToOneField("billing.Transfer", models.PROTECT, related_name="+")
    price = models.BigIntegerField(help_text="Nano-dollars.")
    reset_at = models.DateTimeField(help_text="By Redis's clock, which the windows go by.")

    class Meta:
        verbose_name = "reset pass"
        verbose_name_plural = "reset passes"
        indexes = [models.Index(fields=["user", "-reset_at"], name="reset_pass_last")]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "period_start"], name="reset_pass_once_a_period"
            ),
            models.CheckConstraint(condition=Q(price__gt=0), name="reset_pass_costs"),
        ]

    def __str__(self) -> str:
        return gettext("%(plan)s reset on %(when)s") % {
            "plan": self.plan,
            "when": f"{self.reset_at:%Y-%m-%d %H:%M} UTC",
        }


class LimitRaise(models.Model):
    """What staff multiply an account's limits by, for a time (raises.py). One at a time."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    multiplier = models.PositiveIntegerField(validators=[MinValueValidator(2)])
    reason = models.CharField(max_length=200)
    made_by = models.CharField(max_length=254)
    made_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(ended_at=None), name="limit_raise_one_an_account"
            ),
            models.CheckConstraint(condition=Q(multiplier__gte=1), name="limit_raise_multiplies"),
        ]

    def __str__(self) -> str:
        return gettext("%(times)s times until %(until)s") % {
            "times": self.multiplier,
            "until": f"{self.until:%Y-%m-%d %H:%M} UTC",
        }
