"""What is agreed with a customer: the legal pages in their versions, and who agreed to which.

`texts.py` says which version holds, and fills in who sells; start there. `consents.py` keeps that
somebody agreed. `shipped/` has the first version of every page. It imports no other room.
"""
