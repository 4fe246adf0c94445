"""What was charged at a wrong price, put right: requests priced anew, the difference booked.

`costs` prices one request, `booking` previews and books a range of them, `correction_proof` adds
it all up again. Usage events stay as they were written; a correction is rows of its own beside
them.
"""
