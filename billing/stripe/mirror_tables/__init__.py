"""dj-stripe's migrations in one step, for tests and for the first start of an embedded database.

Its own take a minute. Production runs those; a test compares what comes of both.
"""
