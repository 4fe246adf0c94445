"""What is given away: the credit for signing up, promo codes and referrals.

`gifts.py` makes sure that one person has a gift once; start there. `promos.py` and
`referrals.py` say what they give and when it is taken back, `fraud.py` what looks strange. It may
use `plans` and the rooms below.
"""
