"""The simulator as an ASGI application."""

from starlette.applications import Starlette

from sandbox.sepay import einvoices, transfers
from sandbox.sepay.einvoices import Office
from sandbox.sepay.transfers import Bank


def create_app(
    *,
    account: str = "0011001932418",
    token: str = "sepay-token",
    secret: str = "",
    key: str = "",
    webhook_url: str = "",
    client_id: str = "einvoice",
    client_secret: str = "einvoice-secret",
    calls_a_second: int = 0,
) -> Starlette:
    """One company's account.

    * `account`: the bank account that is watched; `token`: of the API.
    * `secret` or `key`: callbacks are signed, or carry the key; `webhook_url`: where they go.
    * `client_id`, `client_secret`: of the e-invoices.
    * `calls_a_second`: how often the list may be asked for (SePay: 3); 0: as often as one likes.
    """
    bank = Bank(account, token, secret, key, webhook_url, calls_a_second)
    office = Office(client_id, client_secret)
    app = Starlette(routes=[*transfers.routes(bank), *einvoices.routes(office)])
    app.state.bank, app.state.office = bank, office
    return app
