"""One call of lm-evaluation-harness on tasks that are described here, and never downloaded."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

FEW_SHOT_SEED = 1234
"""The harness's own default."""


def harness_samples(
    adapter: Any, tasks: Sequence[Mapping[str, Any]], *, chat_template: bool = False
) -> Mapping[str, list[dict[str, Any]]]:
    """Returns by task what the harness says of each of its questions.

    Args:
        adapter: a model of the harness, such as its `HFLM`.
        tasks: as its task YAML would describe them.
        chat_template: questions, and few-shot examples as turns before them, go through the
            adapter's template.
    """
    # Imported here: the harness takes seconds to import, which the other recipes need not pay.
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    # The harness explains at length that it was given a loaded model, which is what we want.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    # Ours are described here; reading the harness's 14,000 task files costs 12 s.
    loaded = TaskManager(include_defaults=False).load(list(tasks))
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=FEW_SHOT_SEED)
    # `simple_evaluate` does the same, and then asks pip, git and compilers what is installed: 3 s.
    results = evaluate(
        lm=adapter,
        task_dict=loaded,
        apply_chat_template=chat_template,
        fewshot_as_multiturn=chat_template,
        log_samples=True,
        bootstrap_iters=0,
    )
    samples: Mapping[str, list[dict[str, Any]]] = results["samples"]
    return samples
