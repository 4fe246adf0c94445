"""What the buckets of a price are called where staff read and type them."""

LABELS = {
    "input": "input",
    "cache_read": "read from the cache",
    "cache_write_5m": "written to the cache for 5 minutes",
    "cache_write_1h": "written to the cache for an hour",
    "output": "output",
    "reasoning": "reasoning",
    "per_call": "a call",
    "times": "a dollar of tokens",
}
# As heads of columns.
SHORT = LABELS | {
    "cache_read": "cached",
    "cache_write_5m": "to cache, 5 min",
    "cache_write_1h": "to cache, 1 h",
}
