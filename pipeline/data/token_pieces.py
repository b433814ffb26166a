"""Tokens as a person can read them: pieces of text, each of one token or of a few that make one.

A byte-level tokenizer writes a rare Chinese character as two or three tokens, none of which is text
by itself. They become one piece that says of how many tokens it is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

_NOT_TEXT = "\ufffd"
MAX_PIECE_TOKENS = 8
"""A character of UTF-8 has four bytes; what is no text after twice as many tokens is shown so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenPiece:
    """A stretch of tokens that are trained on alike."""

    text: str
    num_tokens: int
    is_trained: bool
    is_special: bool


def token_pieces(
    token_ids: Sequence[int], is_trained: Sequence[bool], tokenizer: PreTrainedTokenizerBase
) -> Iterator[TokenPiece]:
    """The pieces of a row, in order; their tokens are the row's tokens."""
    special = set(tokenizer.all_special_ids)
    pending: list[int] = []
    for index, token_id in enumerate(token_ids):
        pending.append(token_id)
        text = _readable(pending, tokenizer)
        is_last = (
            index + 1 == len(token_ids)
            or is_trained[index + 1] != is_trained[index]
            or token_ids[index + 1] in special
            or len(pending) == MAX_PIECE_TOKENS
        )
        if _NOT_TEXT in text and not is_last:
            continue
        yield TokenPiece(
            text=text,
            num_tokens=len(pending),
            is_trained=bool(is_trained[index]),
            is_special=token_id in special,
        )
        pending = []


def _readable(token_ids: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    text = tokenizer.decode(token_ids, clean_up_tokenization_spaces=False)
    first = tokenizer.convert_ids_to_tokens(token_ids[0])
    # SentencePiece drops the space that a text's first token begins with.
    is_spaced = isinstance(first, str) and first.startswith("\u2581")
    return f" {text}" if is_spaced and not text.startswith(" ") else text
