"""OpenAI Responses, both directions."""

from gateway.dialects.codecs.openai_responses.body import encode_request
from gateway.dialects.codecs.openai_responses.decoder import Decoder, decode_reply
from gateway.dialects.codecs.openai_responses.encoder import Encoder, encode_reply
from gateway.dialects.codecs.openai_responses.patch import patch_request
from gateway.dialects.codecs.openai_responses.request import (
    decode_request,
    decode_thinking,
    refuse_impossible,
)
from gateway.dialects.codecs.openai_responses.response import encode_error
from gateway.dialects.codecs.openai_responses.usage import decode_tally, decode_usage, encode_usage

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
