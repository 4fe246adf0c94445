"""Google Gemini generateContent, both directions.

Nothing passes through: a Gemini client's request to a Gemini model goes through the hub as any
other, for what Google bills beside tokens is told by the members that the hub knows.
"""

from gateway.dialects.codecs.gemini.body import encode_request
from gateway.dialects.codecs.gemini.decoder import Decoder, decode_reply
from gateway.dialects.codecs.gemini.encoder import Encoder, encode_error, encode_reply
from gateway.dialects.codecs.gemini.request import decode_request, decode_thinking
from gateway.dialects.codecs.gemini.usage import decode_usage, encode_usage

__all__ = [
    "Decoder",
    "Encoder",
    "decode_reply",
    "decode_request",
    "decode_thinking",
    "decode_usage",
    "encode_error",
    "encode_reply",
    "encode_request",
    "encode_usage",
]
