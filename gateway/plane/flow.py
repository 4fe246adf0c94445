"""The usual piece of a stream, passed on as it is read: without waking its task, which takes
a turn of the event loop and costs as much as all the rest of it.

Only what says nothing but text, to a client that reads as fast, while its hold lasts. Whatever
else comes is for the task (relay.py), and stays where it is until then.
"""

from collections.abc import Callable

from gateway.plane.adapters import Stream
from gateway.plane.call import Call


def at_once(call: Call, tap: Stream) -> Callable[[bytes], bool]:
    """What takes such a piece, and tells whether it was one."""
    http = call.http

    def take(data: bytes) -> bool:
        streams = call.stream
        if streams and (tap.text_bytes + len(data) >= call.extend_at or not http.is_free):
            return False
        out = tap.speak(data)
        if out:
            http.write_now(out)
        return out is not None

    return take
