"""Answers to many prompts at once: ours beside `generate` of transformers.

The same target in float32, the same prompts and stop tokens, up to 24 answers at a time, each to
its natural end or the limit; evaluations and teachers answer like that. Ours refills a place as
soon as its answer has ended; `generate` pads prompts of similar length on the left and goes on
until the last of a batch has ended. Answer tokens over the whole time, reading the prompts
included; the arms take turns. The answers must be equal, or differ first at a near tie.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bench.answering.prompts import unseen_questions
from bench.protocol import Result, Table, interleaved, paired_ratios, quartiles
from bench.rivals.hugging_face_batches import generate_in_batches
from pipeline.data.tokenize import stop_token_ids
from pipeline.decoding.autoregressive import LEAN_BATCH_SIZE, AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.modeling.loading import load_model, load_tokenizer

OURS, RIVAL = "ours", "generate"
COLUMNS = ("arm", "answer tokens/s", "answers", "tokens", "identical", "near ties")
NOT_RUN = "not run: give --model, such as the target of a demonstration"


def run(arguments: Sequence[str]) -> Result:
    """Both arms, and their ratio."""
    options = _parser().parse_args(arguments)
    if options.model is None:
        return Result(table=Table(columns=COLUMNS, rows=[]), figures={}, not_run=NOT_RUN)
    torch.set_num_threads(options.threads)
    model = load_model(options.model, dtype=torch.float32, device="cpu")
    tokenizer = load_tokenizer(options.model)
    prompts = unseen_questions(tokenizer, options.num_prompts)
    params = SamplingParams(
        max_new_tokens=options.max_new_tokens, stop_token_ids=stop_token_ids(tokenizer)
    )
    engine = AutoregressiveEngine(model, max_batch_size=options.batch_size)
    answers: dict[str, list[tuple[int, ...]]] = {}

    def timed(name: str, answer: Callable[[], list[tuple[int, ...]]]) -> Callable[[], float]:
        def tokens_per_second() -> float:
            began = time.perf_counter()
            answers[name] = answer()
            return sum(map(len, answers[name])) / (time.perf_counter() - began)

        return tokens_per_second

    arms = {
        OURS: timed(OURS, lambda: [one.token_ids for one in engine.generate(prompts, params)]),
        RIVAL: timed(
            RIVAL,
            lambda: generate_in_batches(model, prompts, params, batch_size=options.batch_size),
        ),
    }
    rates = interleaved(arms, repeats=1 + options.repeats)
    rates = {name: found[1:] for name, found in rates.items()}  # the first warms up
    checked = check_greedy_losslessness(model, prompts, answers[RIVAL], answers[OURS])
    ratios = paired_ratios(rates[OURS], rates[RIVAL])
    return Result(
        table=Table(
            columns=COLUMNS,
            rows=[
                [name, statistics.median(found), len(prompts), sum(map(len, answers[name])),
                 f"{checked.num_identical}/{checked.num_prompts}", checked.num_near_ties]
                for name, found in rates.items()
            ],
        ),
        figures={
            f"{name}_tokens_per_second": statistics.median(found) for name, found in rates.items()
        },
        ratios={f"{OURS}_vs_{RIVAL}": statistics.median(ratios)},
        spread={f"{OURS}_vs_{RIVAL}": quartiles(ratios)},
        failures=[] if checked.is_lossless else ["the answers differ by more than near ties"],
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench batched_answers")
    parser.add_argument("--model", type=Path, help="directory of the model")
    parser.add_argument("--num-prompts", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=LEAN_BATCH_SIZE)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser
