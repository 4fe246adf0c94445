from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"

    def ready(self) -> None:
        from accounts.keys import restrictions
        from billing.invoices import statements
        from gateway.catalogue import snapshot
        from gateway.stores import epochs as stores
        from gateway.usage import rollups
        from ratelimits import epochs

        restrictions.sells(lambda: snapshot.load().models)
        statements.meters(rollups.by_model)
        epochs.authority(stores.confirm)
