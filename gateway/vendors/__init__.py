"""The vendors' side: providers, their credentials and offerings, and the HTTP client.

`models.py` says what staff keep, `presets.py` who is known, `manners.py` how each wants to be
asked and `access.py` by which key; `routes.py` who can be asked for a model, `breaker.py` who is
left alone for now, `http_client.py` how bytes travel and `reply.py` how they are taken. It may
use `dialects`, to read failures.
"""
