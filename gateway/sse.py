"""Server-sent events, split on bytes.

`str.splitlines()` also cuts at U+2028, which is legal inside a JSON string, and a multibyte
character may be cut anywhere: so nothing here is text until an event is whole.
"""
