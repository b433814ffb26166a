"""Domain questions, greedy answers, and how much they share with the references."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.contracts.evaluation_spec import TextOverlapSettings
from pipeline.data.records import DomainItem, Message
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.evaluation.samples import AnswerSample
from pipeline.execution import RunContext
from pipeline.metrics.text_overlap import repeated_4gram_rate, score_samples, summarize

STARTS_OVER = "stopped; an evaluation keeps no checkpoint, so it starts over when run again"


def answer_items(
    engine: Engine,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[DomainItem],
    settings: TextOverlapSettings,
    context: RunContext,
) -> list[AnswerSample]:
    """One greedy answer for each item, in the items' order, scored in profile `canonical`."""
    chat = ChatFormat(tokenizer)
    prompts = [chat.prompt((Message(role="user", content=item.prompt),)) for item in items]
    params = SamplingParams(
        max_new_tokens=settings.max_new_tokens, stop_token_ids=stop_token_ids(tokenizer)
    )
    completions: list[Completion] = []
    progress = context.progress("answers", total=len(items), unit="answers")
    for start in range(0, len(items), settings.batch_size):
        batch = prompts[start : start + settings.batch_size]
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
            cut_at_cap=completion.finish_reason == "length",
            repeated_4gram_rate=repeated_4gram_rate(completion.token_ids),
            overlap=overlap,
        )
        for item, answer, completion, overlap in zip(
            items, answers, completions, overlaps, strict=True
        )
    ]


def text_overlap_metrics(samples: Sequence[AnswerSample]) -> dict[str, Any]:
    """The figures of a set of answers, also apart for documents seen and not seen in training."""
    metrics = _overlap_figures(samples)
    groups = {
        "documents_seen": [sample for sample in samples if sample.document_seen],
        "documents_unseen": [sample for sample in samples if not sample.document_seen],
    }
    for name, group in groups.items():
        if group:
            metrics[name] = _overlap_figures(group)
    return metrics


def _overlap_figures(samples: Sequence[AnswerSample]) -> dict[str, Any]:
    summary = summarize([sample.overlap for sample in samples])
    count = len(samples)
    return {
        "rouge1": summary.rouge1,
        "rouge2": summary.rouge2,
        "rougeL": summary.rougeL,
        "bleu4": summary.bleu4,
        "brevity_penalty": summary.brevity_penalty,
        "n": count,
        "num_empty": summary.num_empty,
        "mean_answer_tokens": summary.mean_answer_tokens,
        "mean_reference_tokens": summary.mean_reference_tokens,
        "cut_at_cap_fraction": sum(sample.cut_at_cap for sample in samples) / count,
        "repeated_4gram_rate": sum(sample.repeated_4gram_rate for sample in samples) / count,
        "rouge_signature": summary.rouge_signature,
        "bleu_signature": summary.bleu_signature,
    }
