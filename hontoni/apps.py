from django.apps import AppConfig


class HontoniConfig(AppConfig):
    name = "hontoni"

    def ready(self) -> None:
        from hontoni import celery, checks  # noqa: F401  who sends tasks, and the system checks
