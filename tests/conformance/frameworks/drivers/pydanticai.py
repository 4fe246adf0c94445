"""pydantic-ai, by the model of each vendor's API."""

from pydantic import BaseModel
from pydantic_ai import Agent
from tasks import JSON, KEY, MODEL, PROVIDER, ROOT, TEXT, TOOLS, lookup, run


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def model():
    if PROVIDER == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=ROOT, api_key=KEY))
    if PROVIDER == "google":
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider

        return GoogleModel(MODEL, provider=GoogleProvider(base_url=ROOT, api_key=KEY))
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    kind = OpenAIResponsesModel if PROVIDER == "openai-responses" else OpenAIChatModel
    return kind(MODEL, provider=OpenAIProvider(base_url=f"{ROOT}/v1", api_key=KEY))


def text():
    done = Agent(model()).run_sync(TEXT)
    usage = done.usage() if callable(done.usage) else done.usage
    assert usage.input_tokens > 0 and usage.output_tokens > 0
    return done.output


def streamed():
    done = Agent(model()).run_stream_sync(TEXT)
    return "".join(done.stream_text(delta=True, debounce_by=None))


def tools():
    return Agent(model(), tools=[lookup]).run_sync(TOOLS).output


def structured():
    from pydantic_ai import NativeOutput

    # It knows of no Claude that has structured answers of its own, and forces a tool.
    kind = Person if PROVIDER == "anthropic" else NativeOutput(Person)
    return Agent(model(), output_type=kind).run_sync(JSON).output.model_dump()


run(text=text, streamed=streamed, tools=tools, structured=structured)
