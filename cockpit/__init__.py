"""Where staff run the business: the admin's home, its sidebar, its search, a page a customer.

It stands above every domain and is above all a way through them: figures come from the rollups
and the books, deeds are the domains' own. It has no tables. Start at `home.py`.
"""
