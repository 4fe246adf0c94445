"""The data plane: one request's way from key to receipt.

Start at `pipeline.py`, which lists the steps; each is a file here. It may use every room but the
dashboard, and Django's ORM only through snapshots (`callers.py`, the catalogue): a warm request
touches memory and Valkey alone.
"""
