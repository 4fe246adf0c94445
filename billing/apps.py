from django.apps import AppConfig
from django.contrib import admin


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.people import freezing
        from billing.books import audit  # noqa: F401  listens to the admin's log
        from billing.payments import pauses
        from billing.rewards import gifts

        pauses.follow()
        freezing.follow(frozen=lambda user_id: None, thawing=gifts.thawing)
        from billing.rewards import confirmations  # noqa: F401  listens to confirmed addresses

        # It logs many at once without a signal; one by one, each is audited.
        admin.site.disable_action("delete_selected")
