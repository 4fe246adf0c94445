from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from accounts import restrictions
        from gateway import catalogue

        restrictions.sells(lambda: catalogue.load().models)
