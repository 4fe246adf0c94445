from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from accounts import restrictions
        from billing import statements
        from gateway import catalogue, rollups

        restrictions.sells(lambda: catalogue.load().models)
        statements.meters(rollups.by_model)
