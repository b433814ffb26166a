"""Arms that take turns, prompt by prompt; a rival that cannot be measured drops out of them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.decoding.base import Completion, SamplingParams
from pipeline.evaluation.decoding_figures import Measurement

WARM_UP_TOKENS = 8

Prompt = tuple[int, ...]
Arm = Callable[[Prompt, SamplingParams], Completion]


class NotRun(Exception):  # noqa: N818 (no fault of ours)
    """A rival cannot be measured here; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """What became of every arm, by its name."""

    measured: dict[str, Measurement]
    not_run: dict[str, str]
    """Why, of those that dropped out; what they had answered before is not kept."""


def in_turns(
    arms: Mapping[str, Arm], prompts: Sequence[Prompt], params: SamplingParams, *, repeats: int
) -> Turns:
    """Every arm, warmed up, has answered every prompt `repeats` times.

    Each prompt is answered by all of them before the next one, beginning with another arm each
    time.
    """
    running, not_run = dict(arms), dict[str, str]()
    found: dict[str, list[list[Completion]]] = {name: [[] for _ in prompts] for name in arms}

    def answered(name: str, prompt: Prompt, params: SamplingParams) -> list[Completion]:
        if name not in running:
            return []
        try:
            return [running[name](prompt, params)]
        except NotRun as exc:
            del running[name]
            not_run[name] = str(exc)
            print(f"{name} drops out: {exc}", file=sys.stderr)
            return []

    for name in arms:
        answered(name, prompts[0], replace(params, max_new_tokens=WARM_UP_TOKENS))
    order = list(arms)
    for repeat in range(repeats):
        for number, prompt in enumerate(prompts):
            for name in order:
                found[name][number] += answered(name, prompt, params)
            order = [*order[1:], order[0]]
            print(f"repeat {repeat + 1}, prompt {number + 1}/{len(prompts)}", file=sys.stderr)
    return Turns(
        measured={name: Measurement(completions=found[name]) for name in running}, not_run=not_run
    )
