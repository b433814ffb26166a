"""What each objective trains a draft on, and its loss: one distillation and its two controls."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import IGNORED_LABEL, TokenizedRow, tokenize_conversations
from pipeline.distillation.batches import DistillationBatch, DistillationBatches
from pipeline.distillation.cache import TeacherAnswer
from pipeline.distillation.losses import linear_distillation
from pipeline.training.losses import cross_entropy_loss, final_hidden_states
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
        with_targets=spec.objective == "forward_kl",
    )


def loss_function(spec: LogitDistillSpec) -> LossFunction[DistillationBatch]:
    """The loss of the spec's objective."""
    if spec.objective == "forward_kl":
        return partial(distillation_loss, kl_weight=spec.kl_weight)
    return lambda model, batch: cross_entropy_loss(model, batch.packed)


def distillation_loss(
    model: PreTrainedModel, batch: DistillationBatch, *, kl_weight: float
) -> tuple[torch.Tensor, int]:
    """(sum of the token losses in nats, number of labels): top-k KL and argmax cross-entropy."""
    if batch.targets is None:
        raise ValueError("the batch carries no target distributions; plan it with_targets")
    is_target_T = (batch.packed.labels[0, 1:] != IGNORED_LABEL).to(model.device)
    hidden_ND = final_hidden_states(model, batch.packed)[0, :-1][is_target_T]
    loss = linear_distillation(
        hidden_ND,
        model.get_output_embeddings().weight,
        batch.targets.to(model.device),
        kl_weight=kl_weight,
    )
    return loss, len(hidden_ND)


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
    end = spec.batch.max_seq_length
    return TokenizedRow(id=row.id, input_ids=row.input_ids[:end], labels=labels[:end])
