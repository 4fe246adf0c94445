from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name, default = "accounts", True

    def ready(self) -> None:
        from accounts.legal import consents  # noqa: F401  listens to allauth
        from accounts.sign_in import endings, session_store  # noqa: F401  likewise

        session_store.keep_keys_enciphered()


class Books(AppConfig):
    """Of the settlement process: the same tables, and nobody who signs in."""

    name = "accounts"
