"""Documents: invoices, credit notes and monthly statements, to the cent.

`issuing.py` says what is always true of our invoices; start there. `taxes.py` says what tax is in
them, `statements.py` adds a month up, `pdf_layout.py` prints both. Which payment has which
document is decided above (payments). It may use the books.
"""
