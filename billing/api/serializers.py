"""The JSON of billing. Amounts are decimal strings of dollars; nothing is a float."""

from datetime import datetime
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.books.models import Entry, Transfer
from billing.invoices import countries
from billing.invoices.models import BillingDetails, Invoice
from billing.plans import quotes, surcharges
from billing.plans.models import AddOn, Plan, Subscription
from hontoni.drf import Query, Strict
from hontoni.money import dollars, per_cent

CURRENCY = "USD"


@extend_schema_field({"type": "string", "format": "decimal", "example": "10.50"})
class DollarsField(serializers.Field[int, Any, str, int]):
    """Nano-dollars, shown as "10.50"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)

    def to_representation(self, value: int) -> str:
        return dollars(value)


class BalanceSerializer(serializers.Serializer[Any]):
    """`available` = `balance` - `held`."""

    balance = DollarsField()
    held = DollarsField(help_text="Set aside for requests that are running.")
    available = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)


class ChargedSerializer(serializers.Serializer[Any]):
    """Which requests a charge is the sum of."""

    requests = serializers.IntegerField(help_text="How many.")
    first = serializers.CharField(help_text="The id of the one that was admitted first.")
    last = serializers.CharField()
    url = serializers.CharField(help_text="All of them, at `GET /api/usage`.")


class TransactionSerializer(serializers.ModelSerializer[Entry]):
    id = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(Transfer.Kind.choices, source="transfer.kind")
    amount = DollarsField(help_text="Negative: taken from the balance.")
    balance_after = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    reason = serializers.CharField(source="transfer.reason")
    created_at = serializers.DateTimeField(source="transfer.created_at")
    usage = serializers.SerializerMethodField(help_text="Of a usage charge; else null.")

    class Meta:
        model = Entry
        fields = [
            "id",
            "kind",
            "amount",
            "balance_after",
            "currency",
            "reason",
            "created_at",
            "usage",
        ]

    def get_id(self, entry: Entry) -> str:
        return f"txn_{entry.transfer_id}"

    @extend_schema_field(ChargedSerializer(allow_null=True))
    def get_usage(self, entry: Entry) -> dict[str, Any] | None:
        ref = entry.transfer.ref
        if entry.transfer.kind != Transfer.Kind.USAGE or "first" not in ref:
            return None
        url = f"{reverse('usage')}?transaction={self.get_id(entry)}"
        batch = {name: ref[name] for name in ("requests", "first", "last")}
        return {**batch, "url": url}


class TransactionFilter(Query):
    kind = serializers.MultipleChoiceField(
        choices=Transfer.Kind.choices,
        required=False,
        help_text="Only these kinds; may be repeated.",
    )


class TopUpSerializer(Strict):
    amount = serializers.DecimalField(
        max_digits=9, decimal_places=2, help_text='Dollars: "25", "25.50" or 25.5.'
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    email = serializers.EmailField(
        required=False, help_text="For staff: whose account. The amount may be negative then."
    )


class LimitsSerializer(serializers.Serializer[Any]):
    rpm = serializers.IntegerField(help_text="Requests in any 60 seconds.")
    five_hours = serializers.IntegerField()
    daily = serializers.IntegerField()
    weekly = serializers.IntegerField()
    monthly = serializers.IntegerField(help_text="Requests in 30 days.")
    concurrent = serializers.IntegerField(help_text="Requests at the same time.")


class PlanSerializer(serializers.ModelSerializer[Plan]):
    reset_price = DollarsField(
        help_text="Of a reset pass, sold one time a period; 0.00: not sold."
    )
    overflow_surcharge_percent = serializers.SerializerMethodField(
        help_text="on requests past a window, of keys with overflow"
    )
    overflow_surcharge_rises = serializers.SerializerMethodField(
        help_text="null, or what it will be (`percent`), and when (`from`)"
    )
    id = serializers.CharField(source="slug")
    price = DollarsField(help_text="A month.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    limits = LimitsSerializer(source="*")
    limits_apply_to = serializers.ChoiceField(Plan.Subject.choices, source="subject")

    class Meta:
        model = Plan
        fields = [
            "id",
            "name",
            "price",
            "currency",
            "limits",
            "limits_apply_to",
            "thinking_budget",
            "key_cap",
            "overflow_surcharge_percent",
            "overflow_surcharge_rises",
            "reset_price",
            "is_default",
        ]

    def get_overflow_surcharge_percent(self, plan: Plan) -> str:
        return per_cent(plan.surcharge)

    def get_overflow_surcharge_rises(self, plan: Plan) -> dict[str, str] | None:
        return surcharges.coming(plan)


class AddOnSerializer(serializers.ModelSerializer[AddOn]):
    id = serializers.CharField(source="slug")
    price = DollarsField(help_text="A month.")
    currency = serializers.CharField(default=CURRENCY, read_only=True)

    class Meta:
        model = AddOn
        fields = ["id", "name", "price", "currency", "multiplier"]


class OfferSerializer(serializers.Serializer[Any]):
    plans = PlanSerializer(many=True)
    add_ons = AddOnSerializer(many=True)


class AddOnsSerializer(serializers.Serializer[Any]):
    add_ons = AddOnSerializer(many=True)
    active = serializers.CharField(allow_null=True, help_text="The id of yours, if you have one.")
    ends_at = serializers.DateTimeField(
        allow_null=True, help_text="When yours ends, if it is not to be renewed."
    )


class RenewalSerializer(serializers.Serializer[Any]):
    plan = serializers.CharField()
    add_on = serializers.CharField(allow_null=True)
    amount = DollarsField()
    at = serializers.DateTimeField()


class PeriodSerializer(serializers.ModelSerializer[Subscription]):
    """What is paid, until when, and what comes after."""

    status = serializers.CharField(help_text="`active`, or `past_due` while in grace.")
    next_plan = serializers.CharField(source="next_plan.slug", default=None)
    next_add_on = serializers.CharField(source="next_add_on.slug", default=None)
    trial = serializers.BooleanField(
        source="on_trial", help_text="Whether the plan is on trial: not paid in this period."
    )
    next_payment_method = serializers.CharField(
        help_text="How the next period is paid, if not as this one; else empty."
    )
    grace_until = serializers.SerializerMethodField(
        help_text="When an unpaid renewal ends it all; null unless `past_due`."
    )
    renewal = serializers.SerializerMethodField(help_text="Null if it is not to be renewed.")

    class Meta:
        model = Subscription
        fields = [
            "status",
            "payment_method",
            "next_payment_method",
            "period_start",
            "period_end",
            "cancel_at_period_end",
            "add_on_ends",
            "next_plan",
            "next_add_on",
            "trial",
            "grace_until",
            "renewal",
        ]

    def get_grace_until(self, mine: Subscription) -> datetime | None:
        past_due = mine.status == Subscription.Status.PAST_DUE
        return mine.grace_until if past_due else None

    @extend_schema_field(RenewalSerializer(allow_null=True))
    def get_renewal(self, mine: Subscription) -> dict[str, Any] | None:
        coming = quotes.next_period(mine)
        if coming is None:
            return None
        plan, add_on = coming
        shown = {
            "plan": plan.slug,
            "add_on": add_on and add_on.slug,
            "amount": quotes.renewal(mine, plan, add_on),
            "at": mine.period_end,
        }
        return RenewalSerializer(shown).data


class SubscriptionSerializer(serializers.Serializer[Any]):
    """`limits` are the plan's, times the add-on. `period` is null on the default plan."""

    plan = PlanSerializer()
    add_on = AddOnSerializer(allow_null=True)
    limits = LimitsSerializer()
    period = PeriodSerializer(allow_null=True)


class PlanChoiceSerializer(Strict):
    plan = serializers.SlugField(help_text="The id of a plan.")


class PaymentMethodSerializer(Strict):
    payment_method = serializers.ChoiceField(Subscription.PaymentMethod.choices)


class PayingSerializer(Strict):
    payment_method = serializers.ChoiceField(
        Subscription.PaymentMethod.choices, default=Subscription.PaymentMethod.BALANCE
    )
    card = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=255,
        help_text="With `stripe`: a saved card. Empty: a page of Stripe's.",
    )


class SubscribeSerializer(PlanChoiceSerializer, PayingSerializer):
    pass


class AddOnChoiceSerializer(Strict):
    add_on = serializers.SlugField(help_text="The id of an add-on.")


class AddSerializer(AddOnChoiceSerializer, PayingSerializer):
    pass


class LineSerializer(serializers.Serializer[Any]):
    text = serializers.CharField()
    amount = DollarsField(help_text="Negative: credited.")


class QuoteSerializer(serializers.Serializer[Any]):
    """What a change would cost, and when it would hold."""

    action = serializers.ChoiceField(
        ["subscribe", "upgrade", "downgrade", "add", "swap", "swap_later", "keep"],
        help_text="`downgrade` and `swap_later` begin when the period ends, at `starts_at`.",
    )
    plan = serializers.CharField(source="plan.slug")
    add_on = serializers.CharField(source="add_on.slug", default=None)
    due_now = DollarsField()
    lines = LineSerializer(many=True)
    starts_at = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    renewal = DollarsField(
        allow_null=True, help_text="What the next period costs; null if it ends with this one."
    )
    currency = serializers.CharField(default=CURRENCY, read_only=True)


class InvoiceSerializer(serializers.ModelSerializer[Invoice]):
    """`total` is paid already; on a credit note it is negative, and given back already."""

    id = serializers.SerializerMethodField()
    total = DollarsField()
    lines = LineSerializer(many=True)

    class Meta:
        model = Invoice
        fields = ["id", "number", "kind", "issued_at", "total", "currency", "lines", "credits"]

    def get_id(self, invoice: Invoice) -> str:
        return f"inv_{invoice.pk}"


class BillingDetailsSerializer(Strict, serializers.ModelSerializer[BillingDetails]):
    """Without a name: the account's own."""

    class Meta:
        model = BillingDetails
        fields = ["name", "address", "tax_id", "country"]

    def validate_country(self, country: str) -> str:
        if country and not countries.exists(country):
            raise serializers.ValidationError("There is no such country.", code="no_such_country")
        return country


class ListedInvoiceSerializer(serializers.Serializer[Any]):
    """One of ours, or one of Stripe's in the same shape."""

    id = serializers.CharField()
    number = serializers.CharField(allow_null=True)
    kind = serializers.CharField(help_text="`invoice`, `credit_note`, or `stripe`.")
    status = serializers.CharField(help_text="`paid`; or `open`, to be paid to Stripe.")
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    paid_by = serializers.CharField(help_text="How; empty where Stripe knows.")
    net = DollarsField(help_text="The total before tax.")
    tax = DollarsField()
    total = DollarsField(help_text="With tax. Negative: given back.")
    note = serializers.CharField(help_text="What the law wants said, such as of reverse charge.")
    currency = serializers.CharField()
    lines = LineSerializer(many=True)
    credits = serializers.ListField(child=serializers.CharField())


class InvoicesSerializer(serializers.Serializer[Any]):
    results = ListedInvoiceSerializer(many=True)
    complete = serializers.BooleanField()


class InvoicePdfSerializer(serializers.Serializer[Any]):
    url = serializers.URLField()
    expires_at = serializers.DateTimeField(allow_null=True)
    sha256 = serializers.CharField(
        allow_null=True, help_text="Of the file, as it was issued; null for Stripe's."
    )


class ChangeSerializer(serializers.Serializer[Any]):
    """What a change came to. `paid` is negative if more was credited."""

    subscription = SubscriptionSerializer()
    paid = DollarsField()
    currency = serializers.CharField(default=CURRENCY, read_only=True)
    invoice = InvoiceSerializer(
        allow_null=True, help_text="Null if nothing was due, or Stripe issued it."
    )
    payment_url = serializers.URLField(
        allow_null=True, help_text="Where the customer is to pay first; null if it is paid."
    )
