from django.apps import AppConfig
from django.conf import settings


class HontoniConfig(AppConfig):
    name = "hontoni"

    def ready(self) -> None:
        from hontoni import celery, checks, errors  # noqa: F401  who sends tasks; system checks

        errors.documented_at(f"{settings.PUBLIC_URL}/errors")
