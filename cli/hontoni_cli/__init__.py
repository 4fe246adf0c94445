"""The `hontoni` command: `main.py` says what can be asked of it, `clients/` which tools can be set
up and in which of their own files, `documents/` changes such files and leaves the rest of them as
it is, `setup.py` shows, asks, backs up and undoes. It imports nothing of the product but
hontoni.verify, and speaks to a gateway as anybody does (`gateway.py`)."""
