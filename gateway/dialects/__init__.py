"""The wire: four protocols, the hub they meet in, and what reads a reply on its way.

`ir` holds the hub's values, `codecs` a package a protocol; both are pure. `translator.py` turns
one protocol's stream into another's, `stream_readers.py` only reads what passes through. It
imports no other room. Start at `codecs/__init__.py`.
"""
