from django.apps import AppConfig
from django.contrib import admin


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts import freezing, proof
        from accounts.leaks import ended
        from billing import audit, gifts, leaked, referrals  # noqa: F401  audit listens
        from billing.payments import pauses

        pauses.follow()
        freezing.follow(frozen=lambda user_id: None, thawing=gifts.thawing)
        ended.follow(leaked.tell)
        proof.follow(referrals.forget_unconfirmed)
        from billing.rewards import confirmations  # noqa: F401  listens to confirmed addresses

        # It logs many at once without a signal; one by one, each is audited.
        admin.site.disable_action("delete_selected")
