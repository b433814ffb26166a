"""Tasks that lm-evaluation-harness brings along, by name, on rows brought in by hand.

Prompts, few-shot sampling, filters and metrics are the task's own; only its rows come from a folder
instead of a hub. A task is found by the text of its file, because to parse all 14,000 of them takes
the harness 12 s.
"""

import difflib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contracts.harness_tasks import (
    HarnessMetric,
    HarnessTaskResults,
    HarnessTaskSettings,
)
from pipeline.contracts.manifest import file_sha256
from pipeline.errors import DataError
from pipeline.evaluation.harness import FEW_SHOT_SEED, harness_results, task_manager
from pipeline.evaluation.harness_adapter import harness_adapter

BOOTSTRAP_DRAWS = 1000
"""For the standard error of metrics without a formula; the harness's command line draws 100,000."""
_DEFINES = re.compile(
    r"^['\"]?(task|group)['\"]?:[ \t]*['\"]?([\w.+()-]+)['\"]?[ \t]*(?:#.*)?$", re.MULTILINE
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_BUILDERS = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}
_SPLITS = ("test_split", "validation_split", "training_split", "fewshot_split")
# What a data set that is not there raises: libraries of many authors, one meaning.
_NOT_LOADED = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """One task's figures, and what it asked."""

    results: HarnessTaskResults
    samples: Sequence[Mapping[str, Any]]
    """As the harness logs them, one for each question and filter."""


def find_task(name: str) -> Path:
    """The file of the harness that defines the task.

    Raises:
        DataError: `data.task_not_installed`.
    """
    # Most tasks stand in the file of their name.
    for path in _folder().rglob(f"{name}.yaml"):
        if ("task", name) in _defined_in(path):
            return path
    groups: set[str] = set()
    names: list[str] = []
    for path, kind, found in _definitions():
        if found == name and kind == "task":
            return path
        (groups.add if kind == "group" else names.append)(found)
    if name in groups:
        raise DataError(
            "data.task_not_installed",
            f"{name!r} is a group of tasks of lm-evaluation-harness; name the tasks in it, such as "
            + ", ".join([one for one in names if one.startswith(name)][:3] or ["those it lists"]),
        )
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise DataError(
        "data.task_not_installed",
        f"lm-evaluation-harness {_version()} has no task {name!r}{hint}; "
        "`lm-eval ls tasks` lists them",
    )


def run_task(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    settings: HarnessTaskSettings,
    *,
    batch_size: int = 8,
) -> TaskRun:
    """The task's figures on this model.

    Raises:
        DataError: `data.task_not_installed`; `data.task_data_missing`; `data.task_unsupported`.
        ModelError: `model.no_chat_template` where one is asked for.
    """
    manager = task_manager(find_task(settings.task).parent)
    adapter = harness_adapter(model, tokenizer, batch_size, with_template=settings.chat_template)
    # Its bootstrap would fork a process that holds a model.
    os.environ.setdefault("DISABLE_MULTIPROC", "1")
    with tempfile.TemporaryDirectory() as cache:
        task = _loaded(manager, settings, Path(cache))
        evaluated = harness_results(
            adapter,
            manager.load([task]),
            chat_template=settings.chat_template,
            limit=settings.limit,
            bootstrap_iters=BOOTSTRAP_DRAWS,
        )
    return _task_run(settings, evaluated)


def write_task_samples(runs: Sequence[TaskRun], path: Path) -> None:
    """One JSON object a line; `number` is the index of the spec's list."""
    with path.open("w", encoding="utf-8") as file:
        for number, run in enumerate(runs):
            for sample in run.samples:
                row = {
                    "number": number,
                    "task": run.results.task,
                    "doc_id": sample["doc_id"],
                    "filter": sample["filter"],
                    "arguments": sample["arguments"],
                    "target": sample["target"],
                    "responses": sample["filtered_resps"],
                    "scores": {metric: sample[metric] for metric in sample["metrics"]},
                }
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


@functools.cache
def _definitions() -> tuple[tuple[Path, str, str], ...]:
    """(file, task or group, name) of everything that the harness installs."""
    files = sorted(_folder().rglob("*.yaml"))
    return tuple((path, *defined) for path in files for defined in _defined_in(path))


def _defined_in(path: Path) -> list[tuple[str, str]]:
    return _DEFINES.findall(path.read_text(encoding="utf-8", errors="replace"))


def _folder() -> Path:
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None  # noqa: S101 (a requirement)
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parent / "tasks"


def _loaded(manager: Any, settings: HarnessTaskSettings, cache: Path) -> Any:
    """The task with its rows."""
    config = manager.task_index[settings.task].cfg
    overrides = {} if settings.files is None else _rows_from(settings, config, cache)
    # A group of one: the harness merges what a group says over the file of a task.
    group = {"group": "chosen", "task": [{"task": settings.task, **overrides}]}
    try:
        (task,) = manager.load([group])["tasks"].values()
    except ImportError as exc:
        raise DataError(
            "data.task_unsupported",
            f"task {settings.task} of lm-evaluation-harness needs a package that is not "
            f"installed: {exc}",
        ) from exc
    except _NOT_LOADED as exc:
        raise DataError("data.task_data_missing", _what_is_missing(settings, config, exc)) from exc
    for flag, reason in (("UNSAFE_CODE", "runs generated code"), ("MULTIMODAL", "shows pictures")):
        if getattr(task, flag, False):
            raise DataError(
                "data.task_unsupported",
                f"task {settings.task} of lm-evaluation-harness {reason}, which is not done here",
            )
    # As its command line does it: a task that fixes no examples keeps none.
    by_default = task.get_config("num_fewshot")
    if by_default is None or (settings.num_few_shot is not None and by_default != 0):
        task.set_config(key="num_fewshot", value=settings.num_few_shot or 0)
    task.set_fewshot_seed(seed=FEW_SHOT_SEED)
    return task


def _rows_from(
    settings: HarnessTaskSettings, config: Mapping[str, Any], cache: Path
) -> dict[str, Any]:
    """What of a task's description says that its rows are the files of a folder."""
    assert settings.files is not None  # noqa: S101 (the caller)
    folder = Path(settings.files.resolved_path)
    files: dict[str, list[str]] = {}
    builders = set()
    for path in _files(folder):
        files.setdefault(_SHARD.sub("", path.stem), []).append(str(path))
        builders.add(_BUILDERS[path.suffix])
    if len(builders) != 1:
        raise DataError(
            "data.task_data_missing",
            f"{folder} holds {'files of several formats' if builders else 'no file of rows'}; put "
            "one file for each split there, all .jsonl, .csv or .parquet, named after the split",
        )
    shots = settings.num_few_shot
    shots = config.get("num_fewshot") or 0 if shots is None else shots
    wanted = [config.get("test_split") or config.get("validation_split")]
    if shots:
        wanted.append(config.get("fewshot_split") or config.get("training_split"))
    for split in filter(None, wanted):
        if split not in files:
            raise DataError(
                "data.task_data_missing",
                _what_is_missing(settings, config, LookupError(f"no file of the split {split}")),
            )
    # Splits that nothing is read from need not be there.
    unused: dict[str, Any] = {
        key: None for key in _SPLITS if config.get(key) and config[key] not in files
    }
    return unused | {
        "dataset_path": builders.pop(),
        "dataset_name": None,
        "custom_dataset": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(cache)},
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in _BUILDERS)


def _what_is_missing(
    settings: HarnessTaskSettings, config: Mapping[str, Any], error: Exception
) -> str:
    splits = [str(config[key]) for key in _SPLITS if config.get(key)]
    data = "/".join(str(config[key]) for key in ("dataset_path", "dataset_name") if config.get(key))
    given = (
        "none were given"
        if settings.files is None
        else "there are "
        + ", ".join(path.name for path in _files(Path(settings.files.resolved_path)))
    )
    said = (str(error).strip().splitlines() or [""])[0][:300]
    return (
        f"task {settings.task} of lm-evaluation-harness needs rows of {data or 'its own making'} "
        f"(splits {', '.join(dict.fromkeys(splits)) or 'not named'}), {given}, and nothing is "
        "downloaded; bring them by hand, one file for each split named after it, and name their "
        f"folder as `files` ({type(error).__name__}: {said})"
    )


def _task_run(settings: HarnessTaskSettings, evaluated: Mapping[str, Any]) -> TaskRun:
    ((name, found),) = evaluated["results"].items()
    samples = evaluated["samples"][name]
    asked = hashlib.sha256()
    for sample in samples:
        if sample["filter"] == samples[0]["filter"]:
            asked.update(json.dumps(sample["arguments"], default=str).encode())
    counts = evaluated["n-samples"][name]
    files = [] if settings.files is None else _files(Path(settings.files.resolved_path))
    return TaskRun(
        results=HarnessTaskResults(
            task=settings.task,
            version=str(evaluated["versions"].get(name, "")),
            num_few_shot=evaluated["n-shot"][name],
            chat_template=settings.chat_template,
            n=counts["effective"],
            num_items=counts["original"],
            metrics=tuple(_metrics(found)),
            files_sha256={path.name: file_sha256(path) for path in files},
            prompts_sha256=asked.hexdigest(),
            harness=f"lm-eval {_version()}",
        ),
        samples=samples,
    )


def _metrics(found: Mapping[str, Any]) -> Iterator[HarnessMetric]:
    """The harness writes `acc,none` and `acc_stderr,none` beside notes on the task."""
    for key, value in found.items():
        metric, comma, filtered = key.rpartition(",")
        if comma and not metric.endswith("_stderr"):
            yield HarnessMetric(
                metric=metric,
                filter=filtered,
                value=_finite(value),
                standard_error=_finite(found.get(f"{metric}_stderr,{filtered}")),
            )


def _finite(value: object) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def _version() -> str:
    return importlib.metadata.version("lm-eval")
