"""OpenAI's compaction: one sealed item in the place of a conversation.

`POST /v1/responses/compact` answers what the user said and that item; a `compaction_trigger` in a
response's input makes the item the whole output.
"""

import time

from sandbox.vendors.conversation import Json, Sent, objects
from sandbox.vendors.dialect import fresh
from sandbox.vendors.seal import seal

KIND = "compaction"


def at_its_door(sent: Sent) -> bool:
    """Whether a conversation is to be compacted, and nothing else."""
    return sent.path.endswith("/responses/compact")


def is_asked(sent: Sent) -> bool:
    """Whether a response's output is to be that item."""
    return any(
        item.get("type") == "compaction_trigger" for item in objects(sent.body.get("input"))
    )


def item(text: str) -> Json:
    return {"id": fresh("cmp_", 48), "type": "compaction", "encrypted_content": seal(KIND, text)}


def whole(sent: Sent, text: str, usage: Json) -> Json:
    """The answer of its own door."""
    said = [each for each in objects(sent.body.get("input")) if each.get("role") == "user"]
    kept = [
        {"id": fresh("msg_", 48), "status": "completed", "type": "message"} | each for each in said
    ]
    return {
        "id": fresh("resp_", 48),
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": [*kept, item(text)],
        "usage": usage,
    }
