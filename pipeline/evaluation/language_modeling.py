"""Text that the base wrote, and how well it is predicted: bits per byte and KL(base || model).

Text sampled from the base is by construction what the base knows best, so a model that forgets
becomes worse at it. Passages written for a project share the style of its training data and can get
*more* probable while general ability is lost (the demonstration's own general passages: 1.055 bits
per byte before continual pre-training, 0.978 after).

Shape suffixes: T positions of one text, V vocabulary.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline import durable
from pipeline.contracts.gauge_results import GaugeScore
from pipeline.data.records import Document
from pipeline.decoding.base import Engine, SamplingParams

DEFINITION = (
    "bits per byte and KL(base || model), exact over the whole vocabulary at each position, on "
    "text sampled from the base at temperature 1 without top-k or top-p; interval over passages"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GaugeText:
    """A frozen prompt and what the base continued it with."""

    id: str
    passage: str
    """Id of the document that the prompt begins."""
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    num_bytes: int
    """UTF-8 bytes of the continuation."""


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
    """Continuations of the documents' first tokens, spread evenly over the documents.

    Every token is drawn from the base's own distribution, temperature 1 and the whole vocabulary:
    with anything cut off, what a model unlearned among rare words would never be seen. Where there
    are more texts than documents, a document is continued several times.
    """
    chosen = [documents[index * len(documents) // num_samples] for index in range(num_samples)]
    prompts = [
        tokenizer(document.text, add_special_tokens=False)["input_ids"][:num_prompt_tokens]
        for document in chosen
    ]
    stop = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
    completions = engine.generate(
        prompts,
        SamplingParams(
            max_new_tokens=max_new_tokens,
            temperature=1.0,
            top_k=None,
            top_p=None,
            seed=seed,
            stop_token_ids=stop,
        ),
    )
    continued: Counter[str] = Counter()
    texts = []
    for document, prompt, completion in zip(chosen, prompts, completions, strict=True):
        written = tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        continued[document.id] += 1
        number = continued[document.id]
        texts.append(
            GaugeText(
                id=document.id if number == 1 else f"{document.id}#{number}",
                passage=document.id,
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
    """What `write_gauge_texts` wrote; in older files each text had a passage of its own."""
    texts = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts.append(
            GaugeText(
                id=row["id"],
                passage=row.get("passage", row["id"]),
                prompt_token_ids=tuple(row["prompt_token_ids"]),
                token_ids=tuple(row["token_ids"]),
                num_bytes=row["num_bytes"],
            )
        )
    return texts


@torch.inference_mode()
def score_gauge_texts(
    model: PreTrainedModel, base: PreTrainedModel, texts: Sequence[GaugeText]
) -> Iterator[GaugeScore]:
    """Each text under both models, one at a time: two [T, V] tensors live at once."""
    for text in texts:
        log_probs_TV = _continuation_log_probs(model, text)
        base_log_probs_TV = log_probs_TV if base is model else _continuation_log_probs(base, text)
        targets_T1 = torch.tensor(text.token_ids, device=log_probs_TV.device)[:, None]
        kl = functional.kl_div(log_probs_TV, base_log_probs_TV, reduction="sum", log_target=True)
        yield GaugeScore(
            id=text.id,
            passage=text.passage,
            num_tokens=len(text.token_ids),
            num_bytes=text.num_bytes,
            nats=float(-log_probs_TV.gather(1, targets_T1).sum()),
            base_nats=float(-base_log_probs_TV.gather(1, targets_T1).sum()),
            kl_nats=float(kl),
        )


def write_gauge_scores(scores: Sequence[GaugeScore], path: Path) -> None:
    """One JSON object a line."""
    lines = [score.model_dump_json() + "\n" for score in scores]
    durable.write_bytes(path, "".join(lines).encode())


def read_gauge_scores(path: Path) -> list[GaugeScore]:
    """What `write_gauge_scores` wrote.

    Raises:
        SpecError: `spec.invalid`, a line is no score.
    """
    return [GaugeScore.parse(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _continuation_log_probs(model: PreTrainedModel, text: GaugeText) -> torch.Tensor:
    """Log-probabilities [T, V] of the positions that predict the continuation."""
    ids = torch.tensor([[*text.prompt_token_ids, *text.token_ids]], device=model.device)
    num_predicted = len(text.token_ids)
    logits_TV = model(input_ids=ids, logits_to_keep=num_predicted + 1, use_cache=False).logits[0]
    return functional.log_softmax(logits_TV[:-1].float(), dim=-1)
