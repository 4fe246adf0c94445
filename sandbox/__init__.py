"""The sandbox: the vendors, Stripe, SePay and payOS, played as strictly as they are.

It stands alone and imports nothing of the product, so it can be used to test anything that
speaks to these APIs. See its README.md.
"""
