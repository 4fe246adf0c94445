"""What Django's own Vietnamese formats leave out."""

NUMBER_GROUPING = 3
