"""What is sold: plans and add-ons, what they cost, and what an account may do now.

`models.py` has the rows, `terms.py` what a gateway's snapshot is made of, `quotes.py` what a
change would cost and when it would hold. Nothing here charges anybody. It may use `invoices`,
`mails` and the books.
"""
