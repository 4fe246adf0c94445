"""Google Gemini generateContent, as an upstream only."""

from gateway.dialects.codecs.gemini.body import decode_thinking, encode_request
from gateway.dialects.codecs.gemini.decoder import Decoder, decode_reply
from gateway.dialects.codecs.gemini.usage import decode_usage, encode_usage

__all__ = [
    "Decoder",
    "decode_reply",
    "decode_thinking",
    "decode_usage",
    "encode_request",
    "encode_usage",
]
