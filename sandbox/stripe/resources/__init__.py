"""One module a noun: its routes, and how its objects are made."""
