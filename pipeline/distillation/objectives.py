"""What each objective trains a draft on, and its loss: distillations and their two controls."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.distillation_spec import CONTROLS, LogitDistillSpec
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import IGNORED_LABEL, TokenizedRow, tokenize_conversations
from pipeline.distillation.batches import DistillationBatch, DistillationBatches
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.divergences import DIVERGENCES, Divergence, forward_kl
from pipeline.distillation.losses import linear_distillation
from pipeline.distillation.output_layer import OutputLayer
from pipeline.errors import DataError
from pipeline.training.losses import final_hidden_states, linear_cross_entropy
from pipeline.training.phases import LossFunction


def plan_batches(
    spec: LogitDistillSpec,
    answers: Sequence[TeacherAnswer],
    records: Mapping[str, Conversation | DomainItem],
    tokenizer: PreTrainedTokenizerBase,
) -> DistillationBatches:
    """The steps of the spec's objective: the target's answers, or the data's own in their place."""
    gold = None
    if spec.objective == "ce_gold":
        gold = [
            _gold_row(records[answer.row_id], len(answer.prompt_ids), tokenizer, spec)
            for answer in answers
        ]
    return DistillationBatches(
        answers,
        num_epochs=spec.num_epochs,
        max_seq_length=spec.batch.max_seq_length,
        rows_per_step=spec.batch.gradient_accumulation_steps,
        seed=spec.seed,
        gold=gold,
        with_targets=spec.objective not in CONTROLS,
    )


def loss_function(spec: LogitDistillSpec, output: OutputLayer) -> LossFunction[DistillationBatch]:
    """The loss of the spec's objective, on the tokens the draft may say."""
    temperature = _loss_temperature(spec)
    if spec.objective in CONTROLS:
        return partial(text_loss, output=output, temperature=temperature)
    is_argmax_alone = spec.objective == "ce_argmax"
    return partial(
        distillation_loss,
        output=output,
        temperature=temperature,
        divergence=forward_kl if is_argmax_alone else DIVERGENCES[spec.objective],
        weight=0.0 if is_argmax_alone else spec.kl_weight,
    )


def _loss_temperature(spec: LogitDistillSpec) -> float:
    """Greedy decoding keeps no distribution to learn from; the one at 1 says most."""
    served = spec.answers.temperature
    return served if spec.loss_temperature == "served" and served > 0 else 1.0


def distillation_loss(
    model: PreTrainedModel,
    batch: DistillationBatch,
    *,
    output: OutputLayer,
    temperature: float,
    divergence: Divergence,
    weight: float,
) -> tuple[torch.Tensor, int]:
    """(sum of the token losses in nats, number of labels), as `linear_distillation`."""
    if batch.targets is None:
        raise ValueError("the batch carries no target distributions; plan it with_targets")
    hidden_ND, _ = _labelled(model, batch)
    targets = batch.targets.to(model.device)
    if temperature != 1.0:
        targets = targets.at_temperature(temperature)
    loss = linear_distillation(
        hidden_ND / temperature,
        output.weight(model),
        targets.for_output(output),
        divergence=divergence,
        weight=weight,
    )
    return loss, len(hidden_ND)


def text_loss(
    model: PreTrainedModel, batch: DistillationBatch, *, output: OutputLayer, temperature: float
) -> tuple[torch.Tensor, int]:
    """(sum of the cross-entropy to the text in nats, number of labels).

    A label the draft cannot say counts and has no loss: every objective takes the same labels.
    """
    hidden_ND, labels_N = _labelled(model, batch)
    rows_N = output.rows_of(labels_N)
    is_said_N = rows_N >= 0
    hidden_ND = hidden_ND / temperature
    loss = linear_cross_entropy(hidden_ND[is_said_N], output.weight(model), rows_N[is_said_N])
    return loss, len(labels_N)


def _labelled(
    model: PreTrainedModel, batch: DistillationBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [N, D] that predict a label, and the labels [N]."""
    labels_T = batch.packed.labels[0, 1:].to(model.device)
    is_label_T = labels_T != IGNORED_LABEL
    hidden_TD = final_hidden_states(model, batch.packed)[0, :-1]
    return hidden_TD[is_label_T], labels_T[is_label_T]


def _gold_row(
    record: Conversation | DomainItem,
    num_prompt_tokens: int,
    tokenizer: PreTrainedTokenizerBase,
    spec: LogitDistillSpec,
) -> TokenizedRow:
    """The same prompt with the data's own answer; of a conversation only the last turn counts."""
    (row,) = tokenize_conversations([record], tokenizer)
    labels = row.labels.copy()
    labels[:num_prompt_tokens] = IGNORED_LABEL
    if (labels == IGNORED_LABEL).all():
        raise DataError(
            "data.mask_empty",
            f"the last answer of row {record.id!r} has weight 0, so the control on the data's own "
            "answers has nothing to train on; leave the row out of the prompts",
        )
    end = spec.batch.max_seq_length
    return TokenizedRow(id=row.id, input_ids=row.input_ids[:end], labels=labels[:end])
