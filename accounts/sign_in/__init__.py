"""How people get in and out, and how an account ends.

`tokens.py` keeps the sessions of /api, `factors.py` asks for the second factor, `throttles.py`
bounds guessing, `mail_adapter.py` sends allauth's mails, which does the rest on the web.
`proof.py` settles whose an account is. It may use `keys` and `people`.
"""
