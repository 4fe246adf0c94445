"""What staff want to hear of: rules that they set, and what was found by them.

`rules.py` names the kinds and what their numbers mean; start there. `looking.py` asks cheap
questions, one a rule; `findings.py` keeps what is new; `telling.py` mails it and sends it to
webhooks, once; `rings.py` freezes accounts that belong together. Money is moved nowhere here.
"""
