"""What the real vendors refuse: one small function a rule, one module a dialect.

Each raises `VendorError` with the vendor's words, as far as they are known. `check(sent)` of a
module applies its rules in order; the first refusal is the answer, as it is with the vendors.
"""
