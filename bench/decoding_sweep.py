"""How the gain of a draft depends on its length, the input, the batch and the temperature.

One factor at a time around the default (draft length 2, our own questions, batch 1, greedy): the
speculative engine with the draft beside plain decoding at the same setting, in turns, unit by unit.
A unit is one prompt, or one batch of prompts. `decode` compares seconds per token after the first;
of a batch only the whole is timed. `end to end` compares seconds per token with prefill. Each is
a median over units with a bootstrap interval over them. Greedy answers must be the target's own,
token for token, or differ first at a near tie. Inputs of a given length are running text of
documents that no training has seen.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from bench.protocol import Result, Table
from bench.sweep.settings import DEFAULT, Setting, swept
from bench.sweep.texts import Texts
from bench.sweep.timing import Compared, compare
from pipeline.contracts.decoding_spec import DraftModelArm
from pipeline.contracts.references import Reference
from pipeline.decoding.arms import open_proposer
from pipeline.modeling.loading import load_model, load_tokenizer

COLUMNS = ("factor", "value", "units", "plain tokens/s", "decode", "low", "high", "end to end",
           "low", "high", "tokens a round", "first accepted", "identical", "near ties")  # fmt: skip
NOT_RUN = "not run: give --target and --draft, such as those of a demonstration"


def run(arguments: Sequence[str]) -> Result:
    """Every setting, one after the other."""
    options = _parser().parse_args(arguments)
    if options.target is None or options.draft is None:
        row = ["not run", *"-" * (len(COLUMNS) - 1)]
        return Result(table=Table(columns=COLUMNS, rows=[row]), figures={}, not_run=NOT_RUN)
    torch.set_num_threads(options.threads)
    target = load_model(options.target, dtype=torch.float32, device="cpu")
    arm = DraftModelArm(name="draft", model=Reference(path=str(options.draft)))
    proposer = open_proposer(arm, target)
    texts = Texts(load_tokenizer(options.target))
    found: list[tuple[Setting, Compared]] = []
    for setting in swept(options.lengths, options.inputs, options.batches, options.temperatures):
        units = texts.units(setting, options.num_units)
        compared = compare(target, proposer, units, setting, texts.params(setting, options))
        found.append((setting, compared))
        print(f"{setting.factor} {setting.value}: {compared.end_to_end.value:.2f}", file=sys.stderr)
    return _result(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench decoding_sweep")
    parser.add_argument("--target", type=Path, help="directory of the model")
    parser.add_argument("--draft", type=Path, help="directory of its draft")
    parser.add_argument("--lengths", type=int, nargs="*", default=list(range(1, 9)))
    parser.add_argument("--inputs", type=int, nargs="*", default=[128, 512, 1024])
    parser.add_argument("--batches", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--temperatures", type=float, nargs="*", default=[0.7, 1.0])
    parser.add_argument("--num-units", type=int, default=6, help="prompts or batches of a setting")
    parser.add_argument("--max-new-tokens", type=int, default=48)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


def _result(found: Sequence[tuple[Setting, Compared]]) -> Result:
    figures, ratios, spread, failures = {}, {}, {}, []
    for setting, one in found:
        name = "default" if setting == DEFAULT else f"{setting.factor}_{setting.value}"
        figures[f"{name}_plain_tokens_per_second"] = one.plain_tokens_per_second
        figures[f"{name}_tokens_a_round"] = one.tokens_a_round
        best = one.decode or one.end_to_end
        ratios[f"{name}_vs_plain"] = best.value
        if best.low is not None and best.high is not None:
            spread[f"{name}_vs_plain"] = (best.low, best.high)
        if one.checked is not None and not one.checked.is_lossless:
            failures.append(f"{name}: an answer is not the target's own")
    rows = [[setting.factor, setting.value, *one.cells()] for setting, one in found]
    return Result(
        table=Table(columns=COLUMNS, rows=rows),
        figures=figures,
        ratios=ratios,
        spread=spread,
        failures=failures,
    )
