"""Decoding one answer at a time: ours beside the libraries that do the same.

Every arm decodes every prompt with the same target in the same number format, in turns, to the
natural end of the answer or the limit. Plain decoding (`plain`) is the reference of every ratio; it
is faster than what came before (`plain_before`), which is no gain of speculation and is shown
apart. Greedy answers of every arm must be the target's own, token for token, or differ first at a
near tie. Ratios are medians over the prompts of seconds per token, with a bootstrap interval over
prompts; beside them the same of the answers that hardly repeat themselves.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bench.protocol import Result, Table
from bench.rivals.hugging_face import generate_arms
from pipeline.contracts.decoding_spec import NGramArm
from pipeline.contracts.estimates import Estimate
from pipeline.contracts.references import DomainTestRef
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem, Message
from pipeline.data.tokenize import ChatFormat, stop_token_ids
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.losslessness import check_greedy_losslessness
from pipeline.decoding.proposers.draft_model import DraftModelProposer
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.demo.data_files import DemonstrationData
from pipeline.evaluation.decoding_figures import REPETITIVE, Measurement
from pipeline.metrics.speedup import speedup_interval
from pipeline.metrics.text_overlap import repeated_4gram_rate
from pipeline.modeling.loading import load_model, load_tokenizer

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples/soae_demo"
REFERENCE = "plain"
"""The arm all others are compared with."""
WARM_UP_TOKENS = 8
COLUMNS = ("arm", "tokens/s", "over plain", "low", "high", "answers that vary", "low", "high",
           "n of them", "identical", "near ties")  # fmt: skip
NOT_RUN = "not run: give --target and --draft, such as those of a demonstration"

Prompt = tuple[int, ...]
Arm = Callable[[Prompt, SamplingParams], Completion]


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What all arms share."""

    target: PreTrainedModel
    draft: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def run(arguments: Sequence[str]) -> Result:
    """Every arm on every prompt."""
    options = _parser().parse_args(arguments)
    if options.target is None or options.draft is None:
        return Result(table=Table(columns=COLUMNS, rows=[]), figures={}, not_run=NOT_RUN)
    loaded = _loaded(options)
    prompts = _prompts(loaded.tokenizer, options.num_prompts)
    params = SamplingParams(
        max_new_tokens=options.max_new_tokens, stop_token_ids=stop_token_ids(loaded.tokenizer)
    )
    arms = _arms(loaded, options)
    answers = _interleaved(arms, prompts, params, repeats=options.repeats)
    return _result(loaded.target, prompts, answers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench decoding")
    parser.add_argument("--target", type=Path, help="directory of the model")
    parser.add_argument("--draft", type=Path, help="directory of its draft")
    parser.add_argument("--length", type=int, default=2, help="tokens the draft writes a round")
    parser.add_argument("--lookup-length", type=int, default=5)
    parser.add_argument("--num-prompts", type=int, default=24)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--arms", nargs="*", default=(), help="leave out all others but `plain`")
    return parser


def _loaded(options: argparse.Namespace) -> Loaded:
    torch.set_num_threads(options.threads)
    return Loaded(
        target=load_model(options.target, dtype=torch.float32, device="cpu"),
        draft=load_model(options.draft, dtype=torch.float32, device="cpu"),
        tokenizer=load_tokenizer(options.target),
    )


def _prompts(tokenizer: PreTrainedTokenizerBase, number: int) -> list[Prompt]:
    """Questions on documents that no training has seen: of the test, then of the experts."""
    data = DemonstrationData(DATA, "en")
    items = [
        item
        for name in ("domain_test", "sft_expert")
        for item in read_rows(
            data.rows(DomainTestRef, name, "domain_test", data.unseen("meta.doc_id")), DomainItem
        )
    ]
    if len(items) < number:
        raise SystemExit(f"there are {len(items)} questions on unseen documents, not {number}")
    chat = ChatFormat(tokenizer)
    return [tuple(chat.prompt((Message(role="user", content=one.prompt),))) for one in items][
        :number
    ]


def _arms(loaded: Loaded, options: argparse.Namespace) -> dict[str, Arm]:
    target, draft = loaded.target, loaded.draft
    engines: dict[str, Engine] = {
        REFERENCE: AutoregressiveEngine(target),
        "plain_before": AutoregressiveEngine(target, lean=False),
        "draft": SpeculativeEngine(
            target, DraftModelProposer(draft), num_speculative_tokens=options.length
        ),
        "lookup": SpeculativeEngine(
            target,
            open_proposer(NGramArm(), target),
            num_speculative_tokens=options.lookup_length,
        ),
    }
    arms = {name: _engine_arm(engine) for name, engine in engines.items()}
    arms |= generate_arms(target, draft, length=options.length, lookup=options.lookup_length)
    wanted = {REFERENCE, *(options.arms or arms)}
    return {name: arm for name, arm in arms.items() if name in wanted}


def _engine_arm(engine: Engine) -> Arm:
    def answer(prompt: Prompt, params: SamplingParams) -> Completion:
        return engine.generate([prompt], params)[0]

    return answer


def _interleaved(
    arms: Mapping[str, Arm], prompts: Sequence[Prompt], params: SamplingParams, *, repeats: int
) -> dict[str, Measurement]:
    """What each arm produced, every one warmed up."""
    for arm in arms.values():
        arm(prompts[0], replace(params, max_new_tokens=WARM_UP_TOKENS))
    found: dict[str, list[list[Completion]]] = {name: [[] for _ in prompts] for name in arms}
    order = list(arms)
    for repeat in range(repeats):
        for number, prompt in enumerate(prompts):
            for name in order:
                found[name][number].append(arms[name](prompt, params))
            order = [*order[1:], order[0]]
            print(f"repeat {repeat + 1}, prompt {number + 1}/{len(prompts)}", file=sys.stderr)
    return {name: Measurement(completions=one) for name, one in found.items()}


def _result(
    target: PreTrainedModel,
    prompts: Sequence[Prompt],
    answers: Mapping[str, Measurement],
) -> Result:
    reference = answers[REFERENCE]
    texts = [one.token_ids for one in reference.first()]
    rates = [repeated_4gram_rate(text) for text in texts]
    varied = [number for number, rate in enumerate(rates) if rate < REPETITIVE]
    rows: list[list[object]] = []
    ratios, spread, failures = {}, {}, []
    figures = {"prompts": float(len(prompts)), "repeated_4gram_rate": sum(rates) / len(rates)}
    for name, found in answers.items():
        checked = check_greedy_losslessness(
            target, prompts, texts, [one.token_ids for one in found.first()]
        )
        if not checked.is_lossless:
            failures.append(f"{name}: an answer is not the target's own")
        faster = _speedup(reference, found, range(len(prompts)))
        rows.append(
            [name, _tokens_per_second(found), *_cells(faster),
             *_cells(_speedup(reference, found, varied)), len(varied),
             f"{checked.num_identical}/{checked.num_prompts}", checked.num_near_ties]
        )  # fmt: skip
        figures[f"{name}_tokens_per_second"] = _tokens_per_second(found)
        if name != REFERENCE:
            ratios[f"{name}_vs_{REFERENCE}"] = faster.value
            if faster.low is not None and faster.high is not None:
                spread[f"{name}_vs_{REFERENCE}"] = (faster.low, faster.high)
    return Result(
        table=Table(columns=COLUMNS, rows=rows),
        figures=figures,
        ratios=ratios,
        spread=spread,
        failures=failures,
    )


def _speedup(reference: Measurement, found: Measurement, chosen: Sequence[int]) -> Estimate:
    return speedup_interval(reference.seconds_per_token(chosen), found.seconds_per_token(chosen))


def _cells(figure: Estimate) -> tuple[object, ...]:
    return tuple("-" if one is None else one for one in (figure.value, figure.low, figure.high))


def _tokens_per_second(found: Measurement) -> float:
    each = [one for repeats in found.completions for one in repeats]
    return sum(len(one.token_ids) - 1 for one in each) / sum(one.decode_seconds for one in each)
