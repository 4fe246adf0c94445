"""Anthropic Messages."""

from gateway.codecs.anthropic_messages.usage import decode_usage, encode_usage

__all__ = ["decode_usage", "encode_usage"]
