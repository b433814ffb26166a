"""The base asked its questions a second time: how often it changes its own right answers.

Numerical: the same requests in batches of another size, so padded to other lengths, and in
bfloat16, in which models are usually served. Prompt: other words around each question.
Neither options nor examples stand in the prompt of the full-answer form, so their order cannot
change an answer; the words around the question are all there is to vary.

The second answers are columns of the base's `samples.parquet`, and what was varied stands in the
file's metadata, so that whoever compares with these rows has the null without asking again.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.evaluation_results import FlipNull, NullChange
from pipeline.contracts.samples import NULL_COLUMNS, NullName
from pipeline.data.records import MultipleChoiceItem
from pipeline.evaluation.general_ability import PROMPTS, ChoiceResult, Wording, evaluate_choices
from pipeline.evaluation.samples import SecondAnswers, read_null_changes, read_samples
from pipeline.metrics.flip_null import measure_flip_null
from pipeline.metrics.retention_table import RetentionItem

OTHER_BATCH_SIZE = 5
"""Against the usual 8, so that each sequence is padded beside others."""
OTHER_PROMPTS: Wording = {
    "en": ("Q: {{question}}\nA:", " "),
    "zh": ("题目：{{question}}\n回答：", ""),
}


def answer_again(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[MultipleChoiceItem],
    *,
    batch_size: int = 8,
    between: Callable[[], None] = lambda: None,
) -> tuple[SecondAnswers, ...]:
    """The second answers of each null: two more passes over all questions.

    Args:
        model: the base; a second copy of it is in memory for a while.
        items: as in the first run.
        batch_size: of the first run.
        between: called after each pass.

    Raises:
        DataError: as `evaluate_choices`.
    """
    rounded, format_changes = _in_another_format(model)
    numerical = evaluate_choices(rounded, tokenizer, items, batch_size=OTHER_BATCH_SIZE)
    del rounded
    between()
    other_batches = NullChange(
        what="batch_size", before=str(batch_size), after=str(OTHER_BATCH_SIZE)
    )
    reworded = evaluate_choices(
        model, tokenizer, items, batch_size=batch_size, wording=OTHER_PROMPTS
    )
    between()
    other_words = tuple(
        NullChange(what="wording", before=_shown(PROMPTS, lang), after=_shown(OTHER_PROMPTS, lang))
        for lang in sorted({item.lang for item in items})
    )
    return (
        _second_answers("numerical", (other_batches, *format_changes), numerical),
        _second_answers("prompt", other_words, reworded),
    )


def read_flip_nulls(path: Path) -> tuple[FlipNull, ...]:
    """The nulls that the base's `samples.parquet` holds; none where it was asked once.

    Args:
        path: rows of the base, also of a version that knew no null.
    """
    rows, changes = read_samples(path, "general_ability"), read_null_changes(path)
    found = []
    for name, column in NULL_COLUMNS.items():
        items = [_item(row, column) for row in rows if row.get(column) is not None]
        if items:
            null = measure_flip_null(name, items)
            found.append(null.model_copy(update={"changes": changes.get(name, ())}))
    return tuple(found)


def _item(row: Mapping[str, object], column: str) -> RetentionItem:
    cluster = row["cluster"]
    return RetentionItem(
        item_id=str(row["item_id"]),
        category=str(row["category"]),
        base=float(bool(row["is_correct"])),
        new=float(bool(row[column])),
        cluster=None if cluster is None else str(cluster),
    )


def _second_answers(
    name: NullName, changes: tuple[NullChange, ...], results: Sequence[ChoiceResult]
) -> SecondAnswers:
    return SecondAnswers(
        name=name,
        changes=changes,
        is_correct={result.item_id: result.is_correct for result in results},
    )


def _in_another_format(
    model: PreTrainedModel,
) -> tuple[PreTrainedModel, tuple[NullChange, ...]]:
    """(a copy in the other format, or the model itself; what that changes).

    Models that compute in bfloat16 already have no third format that is safe, because float16
    overflows in some of them: there the batches alone differ. Without hardware for it a CPU takes
    many times longer for bfloat16 products, so there the copy has the rounded weights only.
    """
    if model.dtype != torch.float32:
        return model, ()
    rounded = copy.deepcopy(model).to(torch.bfloat16)
    after = "bfloat16"
    if model.device.type == "cpu":
        rounded, after = rounded.to(torch.float32), "bfloat16 weights"
    return rounded, (NullChange(what="number_format", before="float32", after=after),)


def _shown(wording: Wording, lang: str) -> str:
    return wording[lang][0].replace("{{question}}", "\N{HORIZONTAL ELLIPSIS}").replace("\n", " ")
