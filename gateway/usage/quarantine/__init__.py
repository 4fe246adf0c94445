"""Bills that cannot be true: noted by settlement (`strange`), looked at and closed by staff.

The customer was billed the hold whatever comes of it.
"""
