"""The account's own pages: a form in, one step of a room below, a page out. It knows no `api`.

Signing up and in, e-mail, passwords, second factors and sessions are allauth's pages, under
/account/. `visitors.py` says who looks at a page, for the pages of every app.
"""
