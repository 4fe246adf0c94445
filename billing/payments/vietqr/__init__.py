"""Bank transfers from Vietnam: an order in dong, a QR code, and a balance in dollars.

`bank_orders.py` makes an order with a content that binds the transfer to it; `sepay.py` and
`payos.py` are the two who tell us of transfers, by callback or when they are polled; `settling.py`
books what fits its order exactly and puts everything else into quarantine, where `quarantine.py`
is what staff do. `proof.py` adds all of it up, to the dong. It may use what payments may.
"""
