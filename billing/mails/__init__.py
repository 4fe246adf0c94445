"""What customers hear of by mail.

`notices.py` records, in the transaction of the deed itself, what somebody should hear; start
there. `announcements.py` is what staff tell many. `letters.py` makes a mail of each kind of
notice, `sending.py` sends it once, with patience. It may use the books.
"""
