"""What is no conversation: embeddings, moderations, pictures, transcriptions and speech.

A request is understood here, bounded, and sent on to a vendor that has such an endpoint; its keys,
limits, holds, routes, receipts and errors are those of every other request (`pipeline.py`). Start
at `serving.py`. What is billed beside tokens (seconds, characters, pictures) are counters of the
allow-list, each with its price.
"""
