"""What an operator does with the whole product, from outside the traffic: prepare a release, look
whether all is well, keep and restore copies. It may ask every app; none of them knows it.
"""
