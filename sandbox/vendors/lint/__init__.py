"""What the real vendors refuse: one small function a rule, one module a dialect.

Each rule raises `VendorError` with the vendor's words, as far as they are known; its docstring
is the rule and where it is known from (sections are those of protocols.md). `check(sent)` of a
module applies its rules in order; the first refusal is the answer, as it is with the vendors.
"""
