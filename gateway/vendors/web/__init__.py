"""The web, for models whose vendor does not look at it for them: searched and read by us.

`models.py` has the search providers that staff keep, `searching.py` asks them, `reading.py`
fetches a page and makes text of it, `testing.py` tells staff whether a provider works. Nothing is
asked until staff have added a provider; a customer's words reach only that one, and an address
only the public internet. What a call costs is a row of the allow-list
(`gateway/catalogue/features`).
"""
