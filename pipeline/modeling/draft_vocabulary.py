"""The tokens a draft may say, where they are fewer than its vocabulary: a small file beside it.

    draft_vocabulary.json       {"v": 1, "token_ids": [0, 2, 13, ...]}

The checkpoint itself keeps its whole output layer, so transformers and vLLM load it unchanged and
ignore the file; our engine computes the logits of these tokens alone. Whatever a draft may say,
speculation keeps the target's distribution, so the file decides speed and never output.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.strict_json import write_json

DRAFT_VOCABULARY_NAME = "draft_vocabulary.json"
VERSION = 1


def draft_vocabulary_document(token_ids: Sequence[int]) -> bytes:
    """Content of the file for tokens in rising order."""
    return write_json({"v": VERSION, "token_ids": [int(token_id) for token_id in token_ids]})


def check_draft_vocabulary(path: Path, document: object, vocab_size: int) -> tuple[int, ...]:
    """The tokens that a document of this form names, in rising order.

    Args:
        path: Where it was read, for messages.
        document: What the file holds.
        vocab_size: Tokens of the model it lies beside.

    Raises:
        ModelError: `model.corrupt_file` when it is not of this form, names no token, one twice or
            out of order, or one the model does not have.
    """
    if not isinstance(document, dict) or set(document) != {"v", "token_ids"}:
        raise _refused(path, "it must hold v and token_ids, and nothing else")
    if document["v"] is True or document["v"] != VERSION:
        raise _refused(path, f"v is {document['v']!r:.80}, known is {VERSION}")
    token_ids = document["token_ids"]
    if not isinstance(token_ids, list) or not token_ids:
        raise _refused(path, "token_ids must be a list of at least one token")
    before = -1
    for token_id in token_ids:
        if type(token_id) is not int or not before < token_id < vocab_size:
            raise _refused(
                path,
                f"token_ids holds {token_id!r:.80} after {before}; token ids rise from 0 to "
                f"{vocab_size - 1}",
            )
        before = token_id
    return tuple(token_ids)


def _refused(path: Path, problem: str) -> ModelError:
    return ModelError(
        "model.corrupt_file",
        f"{path}: {problem}. Copy it again from its source, or remove it: the draft then works "
        "with its whole vocabulary.",
    )
