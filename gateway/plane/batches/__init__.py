"""Files and batches on /v1: doors as OpenAI and Anthropic have them, and what runs batches.

`file_doors.py`, `batch_doors.py` and `message_doors.py` answer; `creation.py` reads a batch, sets
its money aside and keeps it; `runner.py` runs it in any gateway process, `work.py` one batch,
`line.py` one request of it, by the very way any request goes.
"""
