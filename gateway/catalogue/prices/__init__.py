"""When a price comes into force, and who may say so.

Nothing here moves money: what was charged at a wrong price is put right in usage/corrections.
"""
