"""What Django's own Vietnamese formats leave out, and dates as they are written by hand."""

NUMBER_GROUPING = 3
TIME_FORMAT = "H:i"
DATE_FORMAT = "d/m/Y"
DATETIME_FORMAT = "d/m/Y, H:i"
