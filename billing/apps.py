from django.apps import AppConfig
from django.contrib import admin


class BillingConfig(AppConfig):
    name, default = "billing", True

    def ready(self) -> None:
        from accounts.leaks import ended
        from accounts.people import freezing
        from accounts.sign_in import deletion, proof
        from accounts.sign_on import entering
        from billing.books import audit  # noqa: F401  listens to the admin's log
        from billing.channels import keeping
        from billing.payments import clean_starts, pauses
        from billing.rewards import gifts, referrals
        from billing.staff import leaked_keys, notes

        pauses.follow()
        clean_starts.follow()
        freezing.follow(frozen=lambda user_id: None, thawing=gifts.thawing)
        ended.follow(leaked_keys.tell)
        deletion.follow(notes.forget)
        deletion.follow(keeping.close)
        proof.follow(referrals.forget_unconfirmed)
        entering.follow(gifts.provisioned)
        from billing.rewards import confirmations  # noqa: F401  listens to confirmed addresses

        # It logs many at once without a signal; one by one, each is audited.
        admin.site.disable_action("delete_selected")


class Books(AppConfig):
    """Of the settlement process: the same tables, and nobody who listens. Whom it freezes the
    worker finds within a minute (billing/payments/pauses.py)."""

    name = "billing"
