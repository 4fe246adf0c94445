"""People: their accounts, their API keys, and how they get in.

Rooms, from the top: `api` and `pages` (doors), `sign_in` (sessions, second factors, the end of an
account), `keys` (API keys and what they are restricted to), `people` (what an account may do and
whose it is). Each imports only what stands below it; import-linter checks that.
"""
