from django.apps import AppConfig


class HontoniConfig(AppConfig):
    name = "hontoni"

    def ready(self) -> None:
        from hontoni import checks  # noqa: F401  registers the system checks
