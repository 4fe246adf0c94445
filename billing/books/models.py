"""The books: wallets, ledger accounts, transfers and entries; and the log of what staff did.

Amounts are nano-dollars. Only ledger.py writes the first four. Transfers, entries
and audit entries are written once.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext

from billing.books.written_once import WrittenOnce
from hontoni import money


class Wallet(models.Model):
    """One account's money, summed from its entries so that a gateway reads one row."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="wallet"
    )
    # Everything but usage: top-ups, promotions, adjustments, minus refunds and purchases.
    credits_total = models.BigIntegerField(default=0)
    credits_version = models.BigIntegerField(default=0)
    settled_total = models.BigIntegerField(default=0)

    class Meta:
        permissions = [("adjust_balance", "Can credit or debit a customer's balance")]
        constraints = [
            models.CheckConstraint(
                condition=Q(credits_total__range=(-money.MAX, money.MAX)),
                name="wallet_credits_in_range",
            ),
            models.CheckConstraint(
                condition=Q(settled_total__range=(0, money.MAX)), name="wallet_settled_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"wallet:{self.pk}"

    @property
    def balance(self) -> int:
        """Nano-dollars, as far as usage has been settled."""
        return self.credits_total - self.settled_total


class LedgerAccount(models.Model):
    """One column of the books: `wallet:12`, or one of ours such as `revenue:usage`."""

    code = models.CharField(max_length=64, unique=True)
    balance = models.BigIntegerField(default=0)
    version = models.BigIntegerField(default=0, help_text="How many entries it has.")
    may_go_negative = models.BooleanField(default=True)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(balance__gte=0) | Q(may_go_negative=True),
                name="ledger_account_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Transfer(WrittenOnce):
    """`amount` moves from `debit` to `credit`. The unique key makes posting it twice harmless."""

    class Kind(models.TextChoices):
        SIGNUP = "signup", "sign-up credit"
        SANDBOX = "sandbox", "sandbox funds"
        TOPUP = "topup", "top-up"
        REFUND = "refund", "refund of a top-up"
        DISPUTE = "dispute", "disputed payment"
        BANK_TOPUP = "bank_topup", "bank transfer"
        BANK_REFUND = "bank_refund", "refund of a bank transfer"
        PROMO = "promo", "promo code"
        REFERRAL = "referral", "referral reward"
        SUBSCRIPTION = "subscription", "plan or add-on"
        ADJUSTMENT = "adjustment", "adjustment by staff"
        BALANCE_REFUND = "balance_refund", "refund to the balance"
        CORRECTION = "correction", "correction of usage"
        USAGE = "usage", "usage"

    key = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    amount = models.BigIntegerField()
    debit = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="debits")
    credit = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="credits")
    ref = models.JSONField(default=dict, help_text="What it is about, by id.")
    actor = models.CharField(
        max_length=254, blank=True, help_text="Who asked, if it was a person."
    )
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit=F("credit")), name="transfer_between_two_accounts"
            ),
        ]
        # An account's payments, found among any number of batches of usage.
        indexes = [
            models.Index(fields=["credit"], condition=~Q(kind="usage"), name="transfer_paid_in"),
            models.Index(fields=["debit"], condition=~Q(kind="usage"), name="transfer_paid_out"),
        ]

    def __str__(self) -> str:
        return self.key


class Entry(WrittenOnce):
    """One side of a transfer: negative on the account debited, positive on the one credited."""

    transfer = models.ForeignKey(
        Transfer, models.PROTECT, related_name="entries", db_constraint=False
    )
    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="entries")
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    account_version = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "account_version"], name="entry_version_once"
            ),
            models.UniqueConstraint(fields=["transfer", "account"], name="entry_side_once"),
            models.CheckConstraint(condition=~Q(amount=0), name="entry_amount_not_zero"),
            models.CheckConstraint(
                condition=Q(account_version__gte=1), name="entry_version_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}#{self.account_version}"


class Checkpoint(WrittenOnce):
    """A month whose usage was exported and taken out of the database, signed (checkpoints.py).

    Usage with ids below `transfers_until` and `usage_until` is in the archive; what is not usage,
    and requests that something else refers to, are still here.
    """

    number = models.PositiveIntegerField(primary_key=True, help_text="1, 2, 3 ...")
    month = models.DateField(unique=True)
    transfers_until = models.BigIntegerField()
    usage_until = models.UUIDField()
    statement = models.TextField(help_text="JSON, to the byte what was signed.")
    public_key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"checkpoint {self.number} of {self.month:%Y-%m}"


class BroughtForward(WrittenOnce):
    """Entries of one account that follow each other and were taken out, as one: numbers
    `first_version` to `last_version`, of one month (UTC)."""

    checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="brought_forward")
    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="brought_forward")
    first_version = models.BigIntegerField()
    last_version = models.BigIntegerField()
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["account", "first_version"], name="brought_forward_once"
            ),
            models.CheckConstraint(
                condition=Q(last_version__gte=F("first_version")), name="brought_forward_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}#{self.first_version}-{self.last_version}"


class CreditRequest(models.Model):
    """A credit that needs a second person (credit_requests.py)."""

    class State(models.TextChoices):
        OPEN = "open", "waits for somebody else"
        APPROVED = "approved"
        DECLINED = "declined"

    key = models.CharField(max_length=255, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    amount = models.BigIntegerField(help_text="Nano-dollars; negative: to be taken.")
    reason = models.CharField(max_length=200, help_text="The customer sees it.")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    decider = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        permissions = [
            ("credit_within_limit", "Can credit up to SUPPORT_CREDIT_LIMIT, and request more"),
            ("decide_creditrequest", "Can approve or decline what somebody else requested"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="credit_request_of_something"),
            models.CheckConstraint(
                condition=Q(decider=None) | ~Q(decider=F("requester")),
                name="credit_request_two_persons",
            ),
        ]

    def __str__(self) -> str:
        return f"${money.dollars(self.amount)} for {self.user}"


class ClosedMonth(WrittenOnce):
    """A month of the books that is closed (closing.py): nothing is booked into it any more."""

    month = models.DateField(unique=True)
    ends_at = models.DateTimeField(help_text="The first moment after it.")
    statement = models.TextField(help_text="JSON, to the byte what was signed.")
    public_key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    closed_by = models.CharField(max_length=254)
    closed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-month"]
        permissions = [
            ("close_month", "Can close a month of the books"),
            ("export_books", "Can export the books for accountants"),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class AuditEntry(WrittenOnce):
    """What a member of staff did, to whom, and what it changed."""

    actor = models.CharField(max_length=254, help_text="An e-mail address, or `shell:<user>`.")
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=254, help_text="`user:12`, `plan:basic` ...")
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    request_id = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["subject", "at"], name="audit_by_subject")]

    def __str__(self) -> str:
        return f"{self.actor} {gettext(self.action)} {self.subject}"


class SigningKey(models.Model):
    """A key that signs receipts. `signing.py` makes and uses them."""

    key_id = models.CharField(max_length=16, unique=True)
    public = models.BinaryField(max_length=32)
    sealed = models.TextField()
    current = models.BooleanField(default=True)
    made_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["current"], condition=Q(current=True), name="signing_key_one_current"
            )
        ]

    def __str__(self) -> str:
        return self.key_id


class LedgerRoot(WrittenOnce):
    """The Merkle root of the transfers from `first` to `last`, chained to all roots before it.

    `salt` makes the leaves' nonces and is told to nobody; `leaves` are their hashes, 32 bytes
    each, so that a path to one is found without the others' rows.
    """

    first = models.BigIntegerField(unique=True, help_text="the lowest id of a transfer in it")
    last = models.BigIntegerField(unique=True, help_text="the highest")
    transfers = models.PositiveIntegerField()
    root = models.CharField(max_length=64)
    chain = models.CharField(max_length=64)
    salt = models.BinaryField(max_length=32)
    leaves = models.BinaryField()
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.first}–{self.last} {self.root[:8]}"
