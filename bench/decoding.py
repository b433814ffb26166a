"""Decoding one answer at a time: ours beside the libraries that do the same.

Every arm decodes every prompt with the same target in the same number format, in turns, to the
natural end of the answer or the limit. Plain decoding (`plain`) is the reference of every ratio; it
is faster than what came before (`plain_before`), which is no gain of speculation and is shown
apart. `store` looks up answers on documents that training has seen, the prompts ask about others.
`generate` is transformers'; llama.cpp, OpenVINO GenAI and vLLM run in interpreters of their own,
asleep while another arm computes. Times are from the first token to the last.

Greedy answers of our arms must be the target's own, token for token, or differ first at a near tie;
what others answered otherwise is counted. Ratios are medians over the prompts of seconds per token,
with a bootstrap interval over prompts; beside them the same of the answers that hardly repeat
themselves.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from bench.answering.figures import COLUMNS, result
from bench.answering.own_arms import REFERENCE, own_arms
from bench.answering.prompts import check_unasked, unseen_questions
from bench.answering.turns import Turns, in_turns
from bench.protocol import Result, Table
from bench.rivals.hugging_face import generate_arms
from bench.rivals.others import RIVALS, add_options, open_rivals
from pipeline.data.tokenize import stop_token_ids
from pipeline.decoding.base import SamplingParams
from pipeline.modeling.loading import load_model, load_tokenizer

DRAFTED_BEHIND = 32
"""Room for tokens that a rival drafts behind the end of an answer."""
NOT_RUN = "not run: give --target and --draft, such as those of a demonstration"


def run(arguments: Sequence[str]) -> Result:
    """Every arm on every prompt."""
    options = _parser().parse_args(arguments)
    if options.target is None or options.draft is None:
        return Result(table=Table(columns=COLUMNS, rows=[]), figures={}, not_run=NOT_RUN)
    torch.set_num_threads(options.threads)
    target = load_model(options.target, dtype=torch.float32, device="cpu")
    tokenizer = load_tokenizer(options.target)
    prompts = unseen_questions(tokenizer, options.num_prompts)
    if options.teacher_cache is not None:
        check_unasked(options.teacher_cache, prompts)
    params = SamplingParams(
        max_new_tokens=options.max_new_tokens, stop_token_ids=stop_token_ids(tokenizer)
    )
    wanted = {REFERENCE, *options.arms}

    def is_wanted(name: str) -> bool:
        return not options.arms or name in wanted

    ours = own_arms(target, options, is_wanted)
    draft = load_model(options.draft, dtype=torch.float32, device="cpu")
    generate = generate_arms(target, draft, length=options.length, lookup=options.lookup_length)
    with ExitStack() as children:
        rivals, not_run = open_rivals(
            options,
            list(filter(is_wanted, RIVALS)),
            context=max(map(len, prompts)) + options.max_new_tokens + DRAFTED_BEHIND,
            vocab_size=target.config.vocab_size,
            children=children,
        )
        others = {name: arm for name, arm in generate.items() if is_wanted(name)}
        turns = in_turns({**ours, **others, **rivals}, prompts, params, repeats=options.repeats)
    turns = Turns(measured=turns.measured, not_run=not_run | turns.not_run)
    return result(target, prompts, turns, ours=ours.keys())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench decoding")
    parser.add_argument("--target", type=Path, help="directory of the model")
    parser.add_argument("--draft", type=Path, help="directory of its draft")
    parser.add_argument("--teacher-cache", type=Path, help="the target's answers, for the store")
    parser.add_argument("--length", type=int, default=2, help="tokens the draft writes a round")
    parser.add_argument("--lookup-length", type=int, default=5)
    parser.add_argument("--num-prompts", type=int, default=24)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--arms", nargs="*", default=(), help="leave out all others but `plain`")
    add_options(parser)
    return parser
