"""LangChain, by the integration of each vendor's API."""

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from tasks import JSON, KEY, MODEL, PROVIDER, ROOT, TEXT, TOOLS, lookup, run


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def model():
    if PROVIDER == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(model=MODEL, base_url=ROOT, api_key=KEY, max_tokens=4000)
    if PROVIDER == "google":
        from langchain_google_genai import ChatGoogleGenerativeAI

        return ChatGoogleGenerativeAI(model=MODEL, base_url=ROOT, google_api_key=KEY)
    from langchain_openai import ChatOpenAI

    responses = PROVIDER == "openai-responses"
    return ChatOpenAI(
        model=MODEL, base_url=f"{ROOT}/v1", api_key=KEY, use_responses_api=responses,
        stream_usage=True,
    )  # fmt: skip


def text():
    reply = model().invoke(TEXT)
    assert reply.usage_metadata["input_tokens"] > 0 and reply.usage_metadata["output_tokens"] > 0
    return reply.text if isinstance(reply.text, str) else reply.text()


def streamed():
    whole = None
    for chunk in model().stream(TEXT):
        whole = chunk if whole is None else whole + chunk
    assert whole.usage_metadata["output_tokens"] > 0
    return whole.text if isinstance(whole.text, str) else whole.text()


def tools():
    bound = model().bind_tools([tool(lookup)])
    said = [HumanMessage(TOOLS)]
    for _ in range(4):
        reply = bound.invoke(said)
        said.append(reply)
        if not reply.tool_calls:
            break
        for call in reply.tool_calls:
            said.append(ToolMessage(lookup(**call["args"]), tool_call_id=call["id"]))
    return reply.text if isinstance(reply.text, str) else reply.text()


def structured():
    return model().with_structured_output(Person).invoke(JSON).model_dump()


run(text=text, streamed=streamed, tools=tools, structured=structured)
