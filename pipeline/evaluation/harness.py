"""One call of lm-evaluation-harness on tasks that are described here, and never downloaded."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any


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
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    # The harness explains at length that it was given a loaded model, which is what we want.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    results = simple_evaluate(
        model=adapter,
        tasks=list(tasks),
        apply_chat_template=chat_template,
        fewshot_as_multiturn=chat_template,
        # Ours are described here; reading the harness's 14,000 task files costs 12 s.
        task_manager=TaskManager(include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
        random_seed=None,
    )
    samples: Mapping[str, list[dict[str, Any]]] = results["samples"]
    return samples
