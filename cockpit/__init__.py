"""Where staff run the business: the admin's home, its sidebar, its search, a page a customer, what
is watched, what is announced.

It stands above every domain and is above all a way through them: figures come from the rollups
and the books, deeds are the domains' own. Its tables are sums that could be computed anew, the
rules of the watch with what they found, and who is to hear an announcement. Start at `home.py`.
"""
