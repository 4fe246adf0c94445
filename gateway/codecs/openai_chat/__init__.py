"""OpenAI Chat Completions."""

from gateway.codecs.openai_chat.usage import decode_usage, encode_usage

__all__ = ["decode_usage", "encode_usage"]
