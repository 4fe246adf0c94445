"""What the buckets of a price are called where staff read and type them, in their language."""

from django.utils.translation import gettext

LABELS = {
    "input": "input",
    "cache_read": "read from the cache",
    "cache_write_5m": "written to the cache for 5 minutes",
    "cache_write_1h": "written to the cache for an hour",
    "output": "output",
    "reasoning": "reasoning",
}
OF_FEATURES = {"per_call": "a call", "times": "a dollar of tokens"}
# As heads of columns.
SHORT = LABELS | {
    "cache_read": "cached",
    "cache_write_5m": "to cache, 5 min",
    "cache_write_1h": "to cache, 1 h",
}


def label(bucket: str) -> str:
    """Of a bucket, `long_` of one, or a part of what a feature costs."""
    short = bucket.removeprefix("long_")
    named = LABELS.get(short) or OF_FEATURES[short]
    return gettext(named) if short == bucket else gettext("%s, long") % gettext(named)


def field_label(bucket: str) -> str:
    """Of a bucket, or `long_` of one, over its field, in the reader's language."""
    short = bucket.removeprefix("long_")
    named = gettext(LABELS[short].capitalize())
    if short == bucket:
        return named
    return gettext("%(bucket)s, in long contexts") % {"bucket": named}
