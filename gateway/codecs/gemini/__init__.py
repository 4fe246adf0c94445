"""Google Gemini (upstream only)."""

from gateway.codecs.gemini.usage import decode_usage, encode_usage

__all__ = ["decode_usage", "encode_usage"]
