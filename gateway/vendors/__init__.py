"""The vendors' side: providers, their credentials and offerings, and the HTTP client.

`models.py` says what staff keep, `routes.py` who can be asked for a model, `breaker.py` who is
left alone for now, `http_client.py` how bytes travel. It may use `dialects`, to read failures.
"""
