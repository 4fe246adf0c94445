"""Anthropic Messages, both directions."""

from gateway.dialects.codecs.anthropic_messages.body import encode_request
from gateway.dialects.codecs.anthropic_messages.decoder import Decoder, decode_reply
from gateway.dialects.codecs.anthropic_messages.encoder import Encoder
from gateway.dialects.codecs.anthropic_messages.patch import patch_request
from gateway.dialects.codecs.anthropic_messages.reply import encode_error, encode_reply
from gateway.dialects.codecs.anthropic_messages.request import (
    decode_request,
    decode_thinking,
    refuse_impossible,
)
from gateway.dialects.codecs.anthropic_messages.usage import (
    decode_tally,
    decode_usage,
    encode_usage,
)

__all__ = [
    "Decoder",
    "Encoder",
    "decode_reply",
    "decode_request",
    "decode_tally",
    "decode_thinking",
    "decode_usage",
    "encode_error",
    "encode_reply",
    "encode_request",
    "encode_usage",
    "patch_request",
    "refuse_impossible",
]
