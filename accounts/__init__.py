"""People: their accounts, their API keys, and how they get in.

Rooms, from the top: `api` and `pages` (doors), `sign_on` (a team's own provider and directory),
`teams` (who belongs to an account, and may do what), `leaks` (keys that were found in public),
`sign_in` (sessions, second factors, whose an account is, and its end), `keys` (API keys and what
they are restricted to), `people` (what an account may do and whose it is). Each imports only what
stands below it; import-linter checks that.
"""
