"""Bring your own key: a customer's own credential at a vendor, for that account's requests alone.

`models.py` has the rows, `keeping.py` what their owners do with them, `access.py` what the hot
path makes of one, `fees.py` what is charged for it, `failing.py` how a key that fails is told to
its owner, `testing.py` whether it works. An own key is sent to the address that staff gave its
provider, and nowhere else; nothing here ever shows one.
"""
