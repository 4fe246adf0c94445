"""Amazon Bedrock's Converse, as an upstream only: one dialect for every model it has."""

from gateway.dialects.codecs.converse.body import decode_thinking, encode_request
from gateway.dialects.codecs.converse.decoder import Decoder, decode_reply
from gateway.dialects.codecs.converse.usage import decode_usage, encode_usage

__all__ = [
    "Decoder",
    "decode_reply",
    "decode_thinking",
    "decode_usage",
    "encode_request",
    "encode_usage",
]
