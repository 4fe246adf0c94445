from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name, default = "gateway", True

    def ready(self) -> None:
        from accounts.keys import restrictions
        from accounts.people import privacy
        from accounts.sign_in import deletion, proof
        from billing.invoices import statements
        from gateway.batches import closing
        from gateway.catalogue import snapshot
        from gateway.dashboard import clean_starts
        from gateway.dashboard.models import SavedView
        from gateway.state import records
        from gateway.stores import epochs as stores
        from gateway.usage import rollups
        from gateway.vendors.own_keys import keeping
        from ratelimits import epochs

        restrictions.sells(lambda: snapshot.load().labels())
        statements.meters(rollups.by_model)
        epochs.authority(stores.confirm)
        privacy.follow(records.forget_all)
        deletion.follow(lambda account, now: records.forget_all(account))
        deletion.follow(lambda account, now: SavedView.forget(account))
        deletion.follow(keeping.forget_all)
        deletion.follow(closing.forget_all)
        proof.follow(clean_starts.cleaned)


class Books(AppConfig):
    """Of the settlement process: the same tables, and nobody to tell of the catalogue."""

    name = "gateway"

    def ready(self) -> None:
        from gateway.stores import epochs as stores
        from ratelimits import epochs

        epochs.authority(stores.confirm)
