"""OpenAI's legacy Completions, for clients only: a text to be continued, or a gap to be filled, by
a model that chats."""

from gateway.dialects.codecs.openai_completions.encoder import Encoder, encode_error, encode_reply
from gateway.dialects.codecs.openai_completions.request import decode_request, decode_thinking

__all__ = ["Encoder", "decode_request", "decode_thinking", "encode_error", "encode_reply"]
