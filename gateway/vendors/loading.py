"""Loading what asks the web's addresses (`fetching.py`) once somebody does: with aiohttp it takes
7 MB, which most installations need never or seldom, and a while, which is not the event loop's."""

import asyncio
import importlib
import sys

_NAME = "gateway.vendors.fetching"


async def fetching() -> None:
    """From now on importing it costs nothing."""
    if _NAME not in sys.modules:
        await asyncio.to_thread(importlib.import_module, _NAME)
