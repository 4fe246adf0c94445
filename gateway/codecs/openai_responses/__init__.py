"""OpenAI Responses."""

from gateway.codecs.openai_responses.usage import decode_usage, encode_usage

__all__ = ["decode_usage", "encode_usage"]
