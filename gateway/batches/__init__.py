"""Files that customers upload, and batches: many requests sent at once, answered within a day.

`models.py` has the rows, `files.py` keeps files, `records.py` writes how a batch goes and reads
it, `wording.py` is how each dialect tells of it, `closing.py` is how all of it ends: by its time,
with its account. Sealed at rest; its owner's alone. What runs a batch is `gateway/plane/batches`.
"""
