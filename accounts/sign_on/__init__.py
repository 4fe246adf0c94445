"""How a team's members sign in with the team's own provider, and how its directory keeps them.

`provider.py` speaks OpenID Connect, `domains.py` proves whose a domain is, `entering.py` decides
who somebody from there is; `directory.py` is what SCIM (api/scim_api.py) does. Nothing here trusts
a provider about an address outside of the domains its team has proven. It may use `teams`.
"""
