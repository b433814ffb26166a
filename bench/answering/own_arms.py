"""Our ways to decode, each as a benchmark of the platform opens it."""

import argparse
from collections.abc import Callable, Mapping

from transformers import PreTrainedModel

from bench.answering.prompts import seen_answers
from bench.answering.turns import Arm, Prompt
from pipeline.contracts.decoding_spec import (
    CombinedArm,
    DraftModelArm,
    NGramArm,
    SpeculativeArm,
    StoreArm,
)
from pipeline.contracts.references import Reference, TeacherCacheRef
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import Completion, Engine, SamplingParams
from pipeline.decoding.speculative import SpeculativeEngine

REFERENCE = "plain"
"""The arm all others are compared with."""
PLAIN_BEFORE = "plain_before"


def own_arms(
    target: PreTrainedModel, options: argparse.Namespace, is_wanted: Callable[[str], bool]
) -> dict[str, Arm]:
    """Plain decoding on the kernel and on transformers, and every way of drafting, by name.

    What is looked up is at most `options.lookup_length` tokens long, what the draft writes
    `options.length`.
    """
    engines: dict[str, Engine] = {REFERENCE: AutoregressiveEngine(target)}
    if is_wanted(PLAIN_BEFORE):
        engines[PLAIN_BEFORE] = AutoregressiveEngine(target, lean=False)
    for name, (arm, length) in drafting(options).items():
        if is_wanted(name):
            engines[name] = SpeculativeEngine(
                target, open_proposer(arm, target), num_speculative_tokens=length
            )
    return {name: _arm(engine) for name, engine in engines.items()}


def drafting(options: argparse.Namespace) -> Mapping[str, tuple[SpeculativeArm, int]]:
    """Every way of drafting with its longest draft, by name.

    What is stored are answers on seen documents alone, and the target's own of
    `options.teacher_cache`, which a distillation wrote for questions on them.
    """
    draft = Reference(path=str(options.draft))
    cache = options.teacher_cache
    store = StoreArm(
        dataset=seen_answers(),
        teacher_cache=None if cache is None else TeacherCacheRef(path=str(cache)),
    )
    looked_up, drafted = options.lookup_length, options.length
    combined = CombinedArm(
        model=draft,
        dataset=store.dataset,
        teacher_cache=store.teacher_cache,
        max_lookup_tokens=looked_up,
        max_draft_tokens=drafted,
    )
    return {
        "draft": (DraftModelArm(name="draft", model=draft), drafted),
        "lookup": (NGramArm(), looked_up),
        "store": (store, looked_up),
        "combined": (combined, max(looked_up, drafted)),
    }


def _arm(engine: Engine) -> Arm:
    def answer(prompt: Prompt, params: SamplingParams) -> Completion:
        return engine.generate([prompt], params)[0]

    return answer
