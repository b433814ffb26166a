"""Cross-entropy of a causal model on packed rows.

The body of the model runs once; the LM head runs in chunks, over the positions that have a label:
nothing is computed for the rest (prompts in fine-tuning).
"""

import torch
from transformers import PreTrainedModel

from pipeline.data.tokenize import IGNORED_LABEL
from pipeline.errors import ModelError
from pipeline.training.batches import PackedBatch
from pipeline.training.chunked_head import CHUNK_TOKENS, chunked_head_loss

HEAD_TOLERANCE = 1e-3


def linear_cross_entropy(
    hidden_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    labels_N: torch.Tensor,
    *,
    chunk_tokens: int = CHUNK_TOKENS,
) -> torch.Tensor:
    """Sum over N of the cross-entropy of `hidden @ weight.T` to `labels`, in nats.

    Args:
        hidden_ND: final hidden states, after the last norm.
        weight_VD: weight of the LM head.
        labels_N: token ids, all of them valid (no ignored label).
        chunk_tokens: as `chunked_head_loss`, which says how it is computed.
    """

    def chunk_loss(
        logits_CV: torch.Tensor, part: slice, *, wants_gradient: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        labels_C = labels_N[part]
        log_normaliser_C = torch.logsumexp(logits_CV, dim=-1)
        loss = (log_normaliser_C - logits_CV.gather(1, labels_C[:, None])[:, 0]).sum()
        if not wants_gradient:
            return loss, None
        # d loss / d logits = softmax - one-hot, written over the logits.
        gradient_CV = logits_CV.sub_(log_normaliser_C[:, None]).exp_()
        gradient_CV[torch.arange(len(labels_C), device=labels_C.device), labels_C] -= 1.0
        return loss, gradient_CV

    return chunked_head_loss(hidden_ND, weight_VD, chunk_loss, chunk_tokens=chunk_tokens)


def cross_entropy_loss(model: PreTrainedModel, batch: PackedBatch) -> tuple[torch.Tensor, int]:
    """(sum of the token losses in nats, number of labels) of a packed row.

    No attention mask is passed: with one, even all ones, transformers stops deriving document
    boundaries from `position_ids` and documents see each other.
    """
    labels_T = batch.labels[0, 1:].to(model.device)
    is_target_T = labels_T != IGNORED_LABEL
    targets_N = labels_T[is_target_T]
    hidden_TD = final_hidden_states(model, batch)[0, :-1]
    weight_VD = model.get_output_embeddings().weight
    return linear_cross_entropy(hidden_TD[is_target_T], weight_VD, targets_N), len(targets_N)


def final_hidden_states(model: PreTrainedModel, batch: PackedBatch) -> torch.Tensor:
    """Hidden states [1, T, D] after the last norm, each document alone in its context."""
    return model.get_decoder()(
        input_ids=batch.input_ids.to(model.device),
        position_ids=batch.position_ids.to(model.device),
        use_cache=False,
    ).last_hidden_state


def require_linear_head(model: PreTrainedModel) -> None:
    """The model's logits are its final hidden states times the head's weight, and nothing more.

    Raises:
        ModelError: `model.unsupported` for a head with soft-capping, scaling or a bias, whose loss
            would silently be wrong.
    """
    input_ids = torch.arange(8, device=model.device)[None]
    with torch.no_grad():
        expected = model(input_ids=input_ids, use_cache=False).logits
        hidden = model.get_decoder()(input_ids=input_ids, use_cache=False).last_hidden_state
        logits = hidden @ model.get_output_embeddings().weight.T
    difference = (logits - expected).abs().max() / expected.abs().max()
    if not difference <= HEAD_TOLERANCE:
        raise ModelError(
            "model.unsupported",
            f"the output layer of {model.config.model_type} is not a plain linear layer (its logits"
            f" differ by {difference:.2g} of the largest), which training needs; choose another "
            "base model",
        )
