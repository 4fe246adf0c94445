"""What may be asked of a vendor beside text: the allow-list, as data, and how each entry is paid.

* `models`: the list, and what customers asked for that was not on it
* `snapshot`: the list in memory, read with the catalogue
* `sift`: a request without what is not on the list, and what on it costs money
* `holds`: what such a request can cost at most
* `left_out`: counting what was left out, when the request is settled
"""
