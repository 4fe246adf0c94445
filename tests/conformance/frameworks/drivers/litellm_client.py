"""LiteLLM as a client, which translates to each vendor's API itself."""

import json

import litellm
from tasks import JSON, KEY, MODEL, PROVIDER, ROOT, TEXT, TOOLS, lookup, run

litellm.suppress_debug_info = True
PREFIX = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}[PROVIDER]
BASE = {"openai": f"{ROOT}/v1", "anthropic": ROOT, "google": f"{ROOT}/v1beta"}[PROVIDER]
AT = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
FUNCTION = {"name": "lookup", "description": "Looks up what is there.", "parameters": AT}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def ask(messages, **more):
    return litellm.completion(
        model=f"{PREFIX}/{MODEL}", api_base=BASE, api_key=KEY, messages=messages, **more
    )


def said(text):
    return [{"role": "user", "content": text}]


def text():
    reply = ask(said(TEXT))
    assert reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0
    return reply.choices[0].message.content


def streamed():
    chunks = list(ask(said(TEXT), stream=True))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def tools():
    messages = said(TOOLS)
    for _ in range(4):
        reply = ask(messages, tools=[{"type": "function", "function": FUNCTION}])
        message = reply.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        for call in message.tool_calls:
            found = lookup(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
    return message.content


def structured():
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
    return json.loads(ask(said(JSON), response_format=form).choices[0].message.content)


run(text=text, streamed=streamed, tools=tools, structured=structured)
