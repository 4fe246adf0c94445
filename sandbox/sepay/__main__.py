"""`python -m sandbox.sepay`: serve one company on loopback."""

import argparse

import uvicorn

from sandbox.sepay.app import create_app


def main() -> None:
    """Serve until told to stop. Port 0 takes a free one; uvicorn prints which."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.sepay", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12121)
    parser.add_argument("--account", default="0011001932418", help="the account that is watched")
    parser.add_argument("--token", default="sepay-token", help="of the API")
    parser.add_argument("--secret", default="", help="what callbacks are signed with")
    parser.add_argument("--key", default="", help="or the API key that they carry")
    parser.add_argument("--webhook-url", default="", help="where callbacks go")
    parser.add_argument("--client-id", default="einvoice", help="of the e-invoices")
    parser.add_argument("--client-secret", default="einvoice-secret", help="of the e-invoices")
    given = parser.parse_args()
    app = create_app(
        account=given.account,
        token=given.token,
        secret=given.secret,
        key=given.key,
        webhook_url=given.webhook_url,
        client_id=given.client_id,
        client_secret=given.client_secret,
        calls_a_second=3,
    )
    uvicorn.run(app, host=given.host, port=given.port, http="httptools")


main()
