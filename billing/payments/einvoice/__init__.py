"""Vietnam's e-invoices, by SePay's API: what our own invoices are at the tax office.

An invoice of a payment is handed over as it was issued, in dong; a credit note becomes an
adjustment of the invoice it is about, and what comes back after all another one; who corrects the
buyer has it replaced. `handing_over.py` decides what is wanted and does one step after another,
`sepay_einvoice.py` asks SePay. Numbers and files are kept in `models.py`. It may use what payments
may.
"""
