"""Domain questions, greedy answers, and how much they share with the references."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import TextOverlapResults
from pipeline.contracts.evaluation_spec import TextOverlapSettings
from pipeline.data.records import DomainItem
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.evaluation.samples import AnswerSample
from pipeline.execution import RunContext
from pipeline.metrics.text_overlap import (
    ROUGE_SIGNATURE,
    bleu_signature,
    repeated_4gram_rate,
    score_samples,
    summarize,
)

BATCHES_AT_A_TIME = 4
"""An engine that fills places as answers end needs prompts to fill them with."""
STARTS_OVER = "stopped; an evaluation keeps no checkpoint, so it starts over when run again"


def answer_items(
    engine: Engine,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[DomainItem],
    settings: TextOverlapSettings,
    context: RunContext,
    *,
    max_new_tokens: int,
) -> list[AnswerSample]:
    """One greedy answer for each item, in the items' order, scored in profile `canonical`.

    Args:
        max_new_tokens: where an answer is cut (`answer_cap`).
    """
    chat = ChatFormat(tokenizer)
    prompts = [chat.prompt(item.prompt_messages()) for item in items]
    params = SamplingParams(max_new_tokens=max_new_tokens, stop_token_ids=stop_token_ids(tokenizer))
    completions: list[Completion] = []
    progress = context.progress("answers", total=len(items), unit="answers")
    size = BATCHES_AT_A_TIME * settings.batch_size
    for start in range(0, len(items), size):
        batch = prompts[start : start + size]
        completions += engine.generate(batch, params)
        progress.advance(len(batch))
        context.raise_if_stopped(STARTS_OVER)
    answers = [
        tokenizer.decode(completion.token_ids, skip_special_tokens=True).strip()
        for completion in completions
    ]
    overlaps = score_samples(answers, [item.output for item in items])
    unseen = set(settings.unseen_documents)
    return [
        AnswerSample(
            item_id=item.id,
            category=str(item.meta.get("category", "")),
            lang=item.lang,
            document_id=str(item.meta.get("doc_id", "")),
            document_seen=str(item.meta.get("doc_id", "")) not in unseen,
            prompt=item.prompt,
            reference=item.output,
            answer=answer,
            scores=overlap.columns()
            | {
                "cut_at_cap": completion.finish_reason == "length",
                "repeated_4gram_rate": repeated_4gram_rate(completion.token_ids),
            },
        )
        for item, answer, completion, overlap in zip(
            items, answers, completions, overlaps, strict=True
        )
    ]


def text_overlap_results(
    samples: Sequence[AnswerSample], *, max_new_tokens: int
) -> TextOverlapResults:
    """The figures of a set of answers, also apart for documents seen and not seen in training.

    Args:
        max_new_tokens: where the answers were cut.
    """
    seen = [sample.scores for sample in samples if sample.document_seen]
    unseen = [sample.scores for sample in samples if not sample.document_seen]
    return TextOverlapResults(
        **dict(summarize([sample.scores for sample in samples])),
        rouge_signature=ROUGE_SIGNATURE,
        bleu_signature=bleu_signature(),
        max_new_tokens=max_new_tokens,
        documents_seen=summarize(seen) if seen else None,
        documents_unseen=summarize(unseen) if unseen else None,
    )
