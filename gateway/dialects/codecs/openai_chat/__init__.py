"""OpenAI Chat Completions, both directions."""

from gateway.dialects.codecs.openai_chat.body import encode_request
from gateway.dialects.codecs.openai_chat.decoder import Decoder, decode_reply
from gateway.dialects.codecs.openai_chat.encoder import Encoder
from gateway.dialects.codecs.openai_chat.patch import patch_request
from gateway.dialects.codecs.openai_chat.reply import encode_error, encode_reply
from gateway.dialects.codecs.openai_chat.request import (
    decode_request,
    decode_thinking,
    refuse_impossible,
)
from gateway.dialects.codecs.openai_chat.usage import decode_tally, decode_usage, encode_usage

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
