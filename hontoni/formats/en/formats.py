"""Dates in English as the whole world reads them, and as `short` writes them: day, month, 24 h."""

TIME_FORMAT = "H:i"
DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i"
