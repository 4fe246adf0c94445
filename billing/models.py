"""Every model of the app, for Django. Their rooms define them; code imports them from there."""

from billing.books.models import (
    AuditEntry,
    BroughtForward,
    Checkpoint,
    ClosedMonth,
    CreditRequest,
    Entry,
    LedgerAccount,
    LedgerRoot,
    SigningKey,
    Transfer,
    Wallet,
)
from billing.channels.models import Channel, Delivery
from billing.invoices.models import BillingDetails, Invoice, InvoiceSeries, TaxRate
from billing.mails.models import Announcement, Mail, Notice, Preferences, Told
from billing.plans.models import AddOn, LimitRaise, Plan, PriceNotice, ResetPass, Subscription
from billing.rewards.models import (
    Accrual,
    Card,
    Claim,
    Mark,
    PromoCode,
    Redemption,
    Referral,
    ReferralCode,
    ReferralProgram,
)
from billing.staff.models import Customer, CustomerNote

__all__ = [
    "Accrual",
    "AddOn",
    "Announcement",
    "AuditEntry",
    "BillingDetails",
    "BroughtForward",
    "Card",
    "Channel",
    "Checkpoint",
    "Claim",
    "ClosedMonth",
    "CreditRequest",
    "Customer",
    "CustomerNote",
    "Delivery",
    "Entry",
    "Invoice",
    "InvoiceSeries",
    "LedgerAccount",
    "LedgerRoot",
    "LimitRaise",
    "Mail",
    "Mark",
    "Notice",
    "Plan",
    "Preferences",
    "PriceNotice",
    "PromoCode",
    "Redemption",
    "Referral",
    "ReferralCode",
    "ReferralProgram",
    "ResetPass",
    "SigningKey",
    "Subscription",
    "TaxRate",
    "Told",
    "Transfer",
    "Wallet",
]
