"""The account as tools of an agent: the Model Context Protocol at /mcp.

A tool is one of our own doors (/api, /v1) under another name, opened with the caller's own token:
scopes, roles, limits and words are those of the door, and nothing is decided here. `door.py` lets
callers in and loads the protocol with the first of them; `tools.py` says which tools there are;
`server.py` speaks the protocol; `inner.py` asks our own doors. It may not import the data plane.
"""
