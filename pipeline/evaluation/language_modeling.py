"""Bits per byte and KL(base || model) on text the base itself wrote.

Text sampled from the base is by construction what the base knows best, so a model that forgets
becomes worse at it. Passages written for a project share the style of its training data and can get
*more* probable while general ability is lost (the demonstration's own general passages: 1.055 bits
per byte before continual pre-training, 0.978 after).

Shape suffixes: T positions of one text, V vocabulary.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline import durable
from pipeline.contracts.gauge_results import GaugeResults
from pipeline.data.records import Document
from pipeline.decoding.base import Engine, SamplingParams

DEFINITION = "bits per byte and KL(base || model) on base-sampled text, temperature 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class GaugeText:
    """A frozen prompt and what the base continued it with."""

    id: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    num_bytes: int
    """UTF-8 bytes of the continuation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GaugeScore:
    """One text under one model."""

    id: str
    num_tokens: int
    num_bytes: int
    nats: float
    """Negative log-likelihood of the continuation, summed over its tokens."""
    kl_nats: float
    """KL(base || model), summed over the same positions."""


def sample_gauge_texts(
    engine: Engine,
    tokenizer: PreTrainedTokenizerBase,
    documents: Sequence[Document],
    *,
    num_samples: int,
    num_prompt_tokens: int,
    max_new_tokens: int,
    seed: int,
) -> list[GaugeText]:
    """Continuations of the documents' first tokens, sampled from the base at temperature 1."""
    chosen = [documents[index * len(documents) // num_samples] for index in range(num_samples)]
    prompts = [
        tokenizer(document.text, add_special_tokens=False)["input_ids"][:num_prompt_tokens]
        for document in chosen
    ]
    stop = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
    completions = engine.generate(
        prompts,
        SamplingParams(
            max_new_tokens=max_new_tokens, temperature=1.0, seed=seed, stop_token_ids=stop
        ),
    )
    texts = []
    for document, prompt, completion in zip(chosen, prompts, completions, strict=True):
        written = tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        texts.append(
            GaugeText(
                id=document.id,
                prompt_token_ids=tuple(prompt),
                token_ids=completion.token_ids,
                num_bytes=max(1, len(written.encode())),
            )
        )
    return texts


def write_gauge_texts(texts: Sequence[GaugeText], path: Path) -> None:
    """One JSON object a line."""
    lines = [json.dumps(asdict(text)) + "\n" for text in texts]
    durable.write_bytes(path, "".join(lines).encode())


def read_gauge_texts(path: Path) -> list[GaugeText]:
    """What `write_gauge_texts` wrote."""
    texts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts.append(
            GaugeText(
                id=row["id"],
                prompt_token_ids=tuple(row["prompt_token_ids"]),
                token_ids=tuple(row["token_ids"]),
                num_bytes=row["num_bytes"],
            )
        )
    return texts


@torch.inference_mode()
def score_gauge_texts(
    model: PreTrainedModel, base: PreTrainedModel, texts: Sequence[GaugeText]
) -> list[GaugeScore]:
    """Each text under both models, one at a time: two [T, V] tensors live at once."""
    scores = []
    for text in texts:
        log_probs_TV = _continuation_log_probs(model, text)
        base_log_probs_TV = log_probs_TV if base is model else _continuation_log_probs(base, text)
        targets_T = torch.tensor(text.token_ids, device=log_probs_TV.device)
        nats = -log_probs_TV.gather(1, targets_T[:, None]).sum()
        kl = functional.kl_div(log_probs_TV, base_log_probs_TV, reduction="sum", log_target=True)
        scores.append(
            GaugeScore(
                id=text.id,
                num_tokens=len(text.token_ids),
                num_bytes=text.num_bytes,
                nats=float(nats),
                kl_nats=float(kl),
            )
        )
    return scores


def summarize_gauge(scores: Sequence[GaugeScore]) -> GaugeResults:
    """Totals over texts divided once, so that a long text counts for more than a short one."""
    num_tokens = sum(score.num_tokens for score in scores)
    num_bytes = sum(score.num_bytes for score in scores)
    return GaugeResults(
        bits_per_byte=sum(score.nats for score in scores) / math.log(2) / num_bytes,
        kl_nats_per_token=sum(score.kl_nats for score in scores) / num_tokens,
        num_texts=len(scores),
        num_tokens=num_tokens,
        num_bytes=num_bytes,
    )


def _continuation_log_probs(model: PreTrainedModel, text: GaugeText) -> torch.Tensor:
    """Log-probabilities [T, V] of the positions that predict the continuation."""
    ids = torch.tensor([[*text.prompt_token_ids, *text.token_ids]], device=model.device)
    num_predicted = len(text.token_ids)
    logits_TV = model(input_ids=ids, logits_to_keep=num_predicted + 1, use_cache=False).logits[0]
    return functional.log_softmax(logits_TV[:-1].float(), dim=-1)
