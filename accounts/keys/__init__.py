"""API keys: made, found, rotated and revoked, and what their owners restrict them to.

`api_keys.py` is the only module that sees a raw key; start there. It may use `people`.
"""
