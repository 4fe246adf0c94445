"""Dollars: what is sold, who pays for it and how, and the books that prove it.

Rooms, from the top: `api`, `pages` and `staff` (doors), `payments` (money from cards and banks),
`subscriptions` (plans that are bought, changed and renewed), `stripe` (who and what we are there)
and `rewards` (what is given away), `plans` (what is sold), `invoices`, `channels` (where events
are heard beside mail), `mails`, `books` (the ledger). Each imports only what stands below it;
import-linter checks that. Money starts in `books/ledger.py`.
"""
