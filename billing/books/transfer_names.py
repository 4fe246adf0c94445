"""What customers read of the kinds of transfers, and of the sections of a statement."""

from django.utils.translation import gettext_lazy

KIND_NAMES = {
    "signup": gettext_lazy("Sign-up credit"),
    "sandbox": gettext_lazy("Sandbox funds"),
    "topup": gettext_lazy("Top-up"),
    "refund": gettext_lazy("Refund of a top-up"),
    "dispute": gettext_lazy("Disputed payment"),
    "bank_topup": gettext_lazy("Bank transfer"),
    "bank_refund": gettext_lazy("Refund of a bank transfer"),
    "promo": gettext_lazy("Promo code"),
    "referral": gettext_lazy("Referral reward"),
    "subscription": gettext_lazy("Plan or add-on"),
    "adjustment": gettext_lazy("Adjustment by staff"),
    "balance_refund": gettext_lazy("Refund to your balance"),
    "correction": gettext_lazy("Correction of usage"),
    "usage": gettext_lazy("Usage"),
}
SECTION_NAMES = {
    "payments": gettext_lazy("Payments"),
    "refunds": gettext_lazy("Refunds and disputes"),
    "credits": gettext_lazy("Credits and adjustments"),
    "purchases": gettext_lazy("Plans and add-ons"),
    "corrections": gettext_lazy("Corrections of usage"),
    "usage": gettext_lazy("Usage"),
}
