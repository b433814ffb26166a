"""The one call of lm-evaluation-harness, and tasks that are described here and never downloaded."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FEW_SHOT_SEED = 1234
"""Which examples are drawn; the default of the harness's command line."""


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
    loaded = task_manager().load(list(tasks))
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=FEW_SHOT_SEED)
    samples: Mapping[str, list[dict[str, Any]]] = harness_results(
        adapter, loaded, chat_template=chat_template
    )["samples"]
    return samples


def task_manager(folder: Path | None = None) -> Any:
    """Returns what loads tasks: those described to it, and those in the folder's files.

    Reading all of the harness's 14,000 task files would cost 12 s.
    """
    # Imported here: the harness takes seconds to import, which the other recipes need not pay.
    from lm_eval.tasks import TaskManager

    # The harness explains at length that it was given a loaded model, which is what we want.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager(include_path=folder and str(folder), include_defaults=False)


def harness_results(
    adapter: Any,
    loaded: Mapping[str, Any],
    *,
    chat_template: bool,
    limit: int | None = None,
    bootstrap_iters: int = 0,
) -> Mapping[str, Any]:
    """Returns what the harness found, with every question it asked.

    Args:
        adapter: as `harness_samples`.
        loaded: tasks as the harness's `TaskManager` loads them, each with its number of examples
            and their seed.
        chat_template: as `harness_samples`.
        limit: the first questions of each task only.
        bootstrap_iters: draws for standard errors without a formula; 0 gives none.
    """
    from lm_eval.evaluator import evaluate

    # `simple_evaluate` does no more, but for asking pip, git and compilers what is installed: 3 s.
    results: Mapping[str, Any] = evaluate(
        lm=adapter,
        task_dict=loaded,
        limit=limit,
        apply_chat_template=chat_template,
        fewshot_as_multiturn=chat_template,
        log_samples=True,
        bootstrap_iters=bootstrap_iters,
    )
    return results
