"""How long an answer may become, and what is said when too many are cut there."""

import math
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import MAX_CUT_SHARE, TextOverlapResults
from pipeline.contracts.evaluation_spec import TextOverlapSettings
from pipeline.data.records import DomainItem
from pipeline.data.tokenize import ChatFormat, plain_token_ids
from pipeline.execution import RunContext

PERCENTILE = 0.99
ROUNDED_TO = 16


def answer_cap(
    settings: TextOverlapSettings,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[DomainItem],
    *,
    context_length: int,
) -> int:
    """The cap that the settings name, else one that the references would not be cut at.

    The 99th percentile (nearest rank) of the references' tokens with the one that ends the turn,
    rounded up to a multiple of 16; a single reference of another size does not make every answer
    that long. Never more than the model's context leaves behind the longest question.

    Args:
        settings: with the cap, or None to take it from the references.
        tokenizer: the model's, in whose tokens a cap counts.
        items: the questions that are asked; not empty.
        context_length: positions of the model.
    """
    if settings.max_new_tokens is not None:
        return settings.max_new_tokens
    chat = ChatFormat(tokenizer)
    longest_prompt = max(len(chat.prompt(item.prompt_messages())) for item in items)
    lengths = sorted(len(plain_token_ids(tokenizer, item.output)) + 1 for item in items)
    usual = lengths[math.ceil(PERCENTILE * len(lengths)) - 1]
    rounded = math.ceil(usual / ROUNDED_TO) * ROUNDED_TO
    return max(1, min(rounded, context_length - longest_prompt))


def warn_of_cut_answers(
    results: TextOverlapResults, settings: TextOverlapSettings, context: RunContext
) -> None:
    """A warning, where more answers reached the cap than may."""
    if not results.has_many_cut:
        return
    share = results.figures["cut_at_cap"]
    advice = (
        "raise text_overlap.max_new_tokens, or leave it out to take it from the references"
        if settings.max_new_tokens is not None
        else "the references would not have been: the model writes longer than they are, or never "
        "stops"
    )
    context.warn(
        "eval.answers_cut",
        f"{share:.0%} of {results.n} answers were cut at {results.max_new_tokens} tokens before "
        f"they ended (more than {MAX_CUT_SHARE:.0%}), so the cap, not the model, decided how much "
        f"of the references they say; {advice}",
    )
