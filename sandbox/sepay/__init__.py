"""A simulator of the parts of SePay that Hontoni uses: it watches a bank account, calls back for
every transfer, lists them, and makes e-invoices.

    python -m sandbox sepay --port 12121 --account 0011001932418 --token t --secret s \
        --webhook-url http://127.0.0.1:8000/webhooks/sepay

`transfers.py` has the account, its list and its callbacks; `einvoices.py` the e-invoices, with
`invoice_lint.py` for what the real one refuses. `/__control/` is not SePay's: there, somebody
pays.
"""

from sandbox.sepay.app import create_app

__all__ = ["create_app"]
