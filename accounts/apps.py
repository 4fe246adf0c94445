from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name, default = "accounts", True

    def ready(self) -> None:
        from accounts.legal import consents  # noqa: F401  listens to allauth
        from accounts.pages import sign_on_views
        from accounts.sign_in import (
            deletion,
            endings,  # noqa: F401  likewise
            mail_adapter,
            proof,
            session_store,
        )
        from accounts.teams import memberships

        session_store.keep_keys_enciphered()
        mail_adapter.keep_gate(sign_on_views.elsewhere)
        deletion.follow(lambda user_id, now: memberships.end_all(user_id))
        proof.follow(memberships.leave_all)


class Books(AppConfig):
    """Of the settlement process: the same tables, and nobody who signs in."""

    name = "accounts"
