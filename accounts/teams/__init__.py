"""Teams: accounts that several people share. Who belongs to one and may do what, how they come in
and go, and for which account somebody acts on a page or on /api.

`acting.py` says for whom a request is, `roles.py` what each role may do; start there. An account
without members is its own owner's, and none of this touches it. It may use `sign_in`, `keys` and
`people`.
"""
