"""Speculative decoding on an NVIDIA GPU: is it lossless there, and how fast.

Our own engines in float32 and bfloat16: the target alone, n-gram lookup, and a draft made of the
target's first layers, interleaved, one prompt at a time. Losslessness is judged as the product
judges it (`docs/decoding.md`): first differences by the float64 logits, beside what the target
alone does at batch 1 against batch 8. Without `--model` the target has 1.2 billion random weights,
which says nothing about real acceptance and everything about kernels, caches and rounding. On a
machine without a GPU it says "not run" and measures nothing.
"""

import argparse
import copy
import random
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from bench.protocol import Result, Table, interleaved, paired_ratios, quartiles
from pipeline.contracts.decoding_results import LosslessnessCounts
from pipeline.contracts.decoding_spec import AUTOREGRESSIVE
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.proposers.ngram import NGramProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.decoding_figures import Measurement
from pipeline.evaluation.decoding_gate import BATCH_SIZE, judge_losslessness
from pipeline.modeling.loading import load_model
from pipeline.modeling.tiny import tiny_llama

COLUMNS = (
    "dtype", "arm", "tokens/s", "speedup", "accepted of drafted", "prompts", "identical",
    "near ties", "largest gap", "lossless",
)  # fmt: skip
DTYPES = ("float32", "bfloat16")
BATCHED = f"batch 1 against {BATCH_SIZE}"
NOT_RUN = "not run: torch finds no NVIDIA GPU here"


def run(arguments: Sequence[str]) -> Result:
    """Every arm in every number format; nothing where there is no GPU."""
    options = _parser().parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        table = Table(columns=COLUMNS, rows=[["not run", *["-"] * (len(COLUMNS) - 1)]])
        return Result(table=table, figures={}, not_run=NOT_RUN)
    rows: list[list[object]] = []
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    spread: dict[str, tuple[float, float]] = {}
    failures: list[str] = []
    for dtype in options.dtypes:
        target = _target(options, getattr(torch, dtype))
        draft = _draft(options, target)
        print(f"{dtype}: {target.num_parameters():,} parameters", file=sys.stderr, flush=True)
        found = _measure(target, draft, options)
        for name, seconds in found.seconds.items():
            figures[f"{dtype}_{name}_tokens_per_second"] = found.num_tokens / statistics.median(
                seconds
            )
            if name != AUTOREGRESSIVE:
                speedups = paired_ratios(found.seconds[AUTOREGRESSIVE], seconds)
                key = f"{dtype}_{name}_vs_{AUTOREGRESSIVE}"
                ratios[key] = statistics.median(speedups)
                spread[key] = quartiles(speedups)
        rows += _rows(dtype, found, figures, ratios)
        failures += [
            f"{dtype}, {name}: not lossless"
            for name, counts in found.counts.items()
            if name != BATCHED and not counts.is_lossless
        ]
    return Result(
        table=Table(columns=COLUMNS, rows=rows),
        figures=figures,
        ratios=ratios,
        spread=spread,
        failures=failures,
    )


class _Found:
    """What was measured in one number format."""

    def __init__(self, measured: Mapping[str, Measurement], num_repeats: int) -> None:
        self.measured = measured
        self.counts: dict[str, LosslessnessCounts] = {}
        plain = measured[AUTOREGRESSIVE].first()
        self.num_tokens = sum(len(one.token_ids) - 1 for one in plain)
        self.seconds = {
            name: [
                sum(repeats[number].decode_seconds for repeats in one.completions)
                for number in range(num_repeats)
            ]
            for name, one in measured.items()
        }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench gpu_decoding")
    parser.add_argument("--model", type=Path, help="target; without it, random weights")
    parser.add_argument("--draft", type=Path, help="draft; without it, the target's first layers")
    parser.add_argument("--draft-layers", type=int, default=2)
    parser.add_argument("--length", type=int, default=4, help="draft length")
    parser.add_argument("--num-prompts", type=int, default=16)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tiny", action="store_true", help="a target of a few thousand weights, on any device"
    )
    return parser


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _target(options: argparse.Namespace, dtype: torch.dtype) -> PreTrainedModel:
    if options.model is not None:
        return load_model(options.model, dtype=dtype, device=_device())
    if options.tiny:
        return tiny_llama(seed=options.seed).to(_device(), dtype)
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        # Twice the default, so that a random model does not fall into a loop of one token.
        initializer_range=0.04,
        attn_implementation="sdpa",
    )
    torch.manual_seed(options.seed)
    with torch.device(_device()):
        return LlamaForCausalLM(config).to(dtype).eval()


def _draft(options: argparse.Namespace, target: PreTrainedModel) -> PreTrainedModel:
    """The given draft, or one that shares the target's first layers."""
    if options.draft is not None:
        return load_model(options.draft, dtype=target.dtype, device=_device())
    config = copy.deepcopy(target.config)
    config.num_hidden_layers = options.draft_layers
    with torch.device("meta"):
        draft = type(target)(config)
    for name in ("embed_tokens", "norm", "rotary_emb"):
        setattr(draft.model, name, getattr(target.model, name))
    draft.model.layers = target.model.layers[: options.draft_layers]
    draft.lm_head = target.lm_head
    return draft.eval()


def _measure(
    target: PreTrainedModel, draft: PreTrainedModel, options: argparse.Namespace
) -> _Found:
    length = options.length
    engines: dict[str, Engine] = {
        AUTOREGRESSIVE: AutoregressiveEngine(target, max_batch_size=1),
        "first_layers" if options.draft is None else "draft": SpeculativeEngine(
            target, DraftModelProposer(draft), num_speculative_tokens=length
        ),
        "ngram": SpeculativeEngine(target, NGramProposer(), num_speculative_tokens=length),
    }
    params = SamplingParams(max_new_tokens=options.new_tokens, seed=options.seed)
    prompts = list(_prompts(options, target.config.vocab_size))
    for engine in engines.values():
        engine.generate(prompts[:1], params)  # kernels are chosen and compiled at the first call
    completions: dict[str, list[list[Completion]]] = {name: [] for name in engines}

    def decode(name: str) -> float:
        answers = [engines[name].generate([prompt], params)[0] for prompt in prompts]
        completions[name].append(answers)
        return sum(one.decode_seconds for one in answers)

    interleaved({name: partial(decode, name) for name in engines}, repeats=options.repeats)
    measured = {
        name: Measurement(completions=[list(repeats) for repeats in zip(*rounds, strict=True)])
        for name, rounds in completions.items()
    }
    batched = AutoregressiveEngine(target, max_batch_size=BATCH_SIZE).generate(prompts, params)
    checked = judge_losslessness(target, prompts, measured, batched)
    found = _Found(measured, options.repeats)
    found.counts = {**checked.arms, BATCHED: checked.autoregressive_batch_1_vs_8}
    return found


def _prompts(options: argparse.Namespace, vocab_size: int) -> Iterator[tuple[int, ...]]:
    """Random tokens; every second prompt repeats itself, so that lookup finds something."""
    source = random.Random(options.seed)
    for number in range(options.num_prompts):
        tokens = [source.randrange(3, vocab_size) for _ in range(source.randint(16, 64))]
        yield tuple(tokens * 2 if number % 2 else tokens)


def _rows(
    dtype: str, found: _Found, figures: Mapping[str, float], ratios: Mapping[str, float]
) -> Iterator[list[object]]:
    for name in (*found.measured, BATCHED):
        counts = found.counts.get(name)
        measured = found.measured.get(name)
        yield [
            dtype,
            name,
            figures.get(f"{dtype}_{name}_tokens_per_second", "-"),
            ratios.get(f"{dtype}_{name}_vs_{AUTOREGRESSIVE}", "-"),
            "-" if measured is None else _accepted(measured),
            *(
                ["-"] * 5
                if counts is None
                else [
                    counts.num_prompts,
                    counts.num_identical,
                    counts.num_near_ties,
                    "-" if counts.largest_gap is None else counts.largest_gap,
                    "yes" if counts.is_lossless else "NO",
                ]
            ),
        ]


def _accepted(measured: Measurement) -> float | str:
    stats = [one.speculation for one in measured.first() if one.speculation is not None]
    drafted = sum(one.num_draft_tokens for one in stats)
    return sum(one.num_accepted_tokens for one in stats) / drafted if drafted else "-"
