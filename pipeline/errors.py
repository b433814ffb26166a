"""Errors a person can act upon.

    PipelineError
    |-- LaunchError               how the program was started
    |     launch.world_size_unsupported
    |-- SpecError                 the run description
    |     spec.invalid  spec.unresolved_reference  spec.plan_cycle  spec.path_not_allowed
    |     spec.input_deleted  spec.device_unavailable  spec.no_disk_space
    |-- DataError                 what the files contain
    |     data.not_found  data.encoding  data.json_syntax  data.row_invalid  data.empty
    |     data.mask_empty  data.format_unsupported  data.digest_mismatch  data.wrong_kind
    |     data.too_few_examples  data.task_not_installed  data.task_data_missing
    |     data.task_unsupported
    |-- ModelError                checkpoints and tokenizers
    |     model.not_found  model.unsafe_file  model.unsupported  model.vocabulary_mismatch
    |     model.digest_mismatch  model.no_chat_template  model.corrupt_file
    |     model.no_space  model.template_limit
    |-- TrainingError
    |     train.non_finite_loss  train.diverged  train.checkpoint_corrupt
    |     train.resume_mismatch  train.teacher_cache_mismatch  train.teacher_cache_corrupt
    |-- DecodingError
    |     decode.engine_unavailable  decode.engine_failed  decode.unsupported_option
    |     decode.context_too_long
    |-- EvaluationError
    |     eval.items_differ
    |-- CertificateError          certificate.invalid  certificate.signature_invalid
    |                             certificate.not_reproduced
    |-- StorageError              storage.full: no space left for what a run writes
    |-- GateError                 plan.gate_failed
    |-- StepError                 a plan's step failed: the step's own code, or
    |     run.crashed  run.no_report
    |-- RunStateError             run.not_resumable
    |-- WorkerError               the execution of a run, seen by its supervisor
    |     worker.lost  worker.child_crashed  worker.report_invalid  worker.deadline_exceeded
    |     worker.internal_error  plan.step_not_reached  run.right_ended
    |-- IsolationError            what keeps a child to its work
    |     worker.isolation_unavailable
    |-- StackError                the processes of one machine
    |     stack.already_running  stack.port_taken  stack.not_ready
    `-- StoppedAtCheckpoint       run.stopped: not a failure, resumable (exit status 75)

Every leaf carries a stable `code`, whether another attempt can help (`retryable`) and a message
that says what was wrong, the value seen and what to do. What does not stop a run is a warning, with
a code of its own (`WARNING_CODES`). `docs/errors.md` has one heading for each code of both; a test
keeps them in step.
"""

import errno
import re
from collections.abc import Iterator
from typing import ClassVar

WARNING_CODES = frozenset(
    {
        "data.many_epochs",
        "data.rows_truncated",
        "decode.kernel_missing",
        "decode.draft_larger",
        "decode.not_gated",
        "decode.not_lossless",
        "decode.not_predicted",
        "decode.sampling_inconsistent",
        "eval.answers_cut",
        "eval.several_answers",
        "model.files_left_behind",
        "train.checkpoint_skipped",
        "train.environment_differs",
        "train.tail_mass_large",
        "train.too_few_prompts",
    }
)
"""What `RunContext.warn` may say."""


class PipelineError(Exception):
    """Base of every error with a code; `str(error)` is the message for people."""

    codes: ClassVar[frozenset[str]] = frozenset()
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, message: str) -> None:
        if code not in self.codes:
            raise ValueError(f"{type(self).__name__} has no code {code!r}; add it to errors.py")
        super().__init__(message)
        self.code = code


class LaunchError(PipelineError):
    """The program was started in a way it cannot serve."""

    codes = frozenset({"launch.world_size_unsupported"})
    exit_status = 10


class SpecError(PipelineError):
    """The run description cannot be used."""

    codes = frozenset(
        {
            "spec.invalid",
            "spec.unresolved_reference",
            "spec.plan_cycle",
            "spec.path_not_allowed",
            "spec.input_deleted",
            "spec.device_unavailable",
            "spec.no_disk_space",
        }
    )
    exit_status = 2


class DataError(PipelineError):
    """A data file cannot be used."""

    codes = frozenset(
        {
            "data.not_found",
            "data.encoding",
            "data.json_syntax",
            "data.row_invalid",
            "data.empty",
            "data.too_few_examples",
            "data.task_not_installed",
            "data.task_data_missing",
            "data.task_unsupported",
            "data.mask_empty",
            "data.format_unsupported",
            "data.digest_mismatch",
            "data.wrong_kind",
        }
    )
    exit_status = 3


class ModelError(PipelineError):
    """A checkpoint or tokenizer cannot be used."""

    codes = frozenset(
        {
            "model.not_found",
            "model.unsafe_file",
            "model.unsupported",
            "model.vocabulary_mismatch",
            "model.digest_mismatch",
            "model.no_chat_template",
            "model.corrupt_file",
            "model.no_space",
            "model.template_limit",
        }
    )
    exit_status = 4


class TrainingError(PipelineError):
    """Training cannot go on."""

    codes = frozenset(
        {
            "train.non_finite_loss",
            "train.diverged",
            "train.checkpoint_corrupt",
            "train.resume_mismatch",
            "train.teacher_cache_mismatch",
            "train.teacher_cache_corrupt",
        }
    )
    exit_status = 5


class DecodingError(PipelineError):
    """An engine cannot produce what was asked."""

    codes = frozenset(
        {
            "decode.engine_unavailable",
            "decode.engine_failed",
            "decode.unsupported_option",
            "decode.context_too_long",
        }
    )
    exit_status = 6


class EvaluationError(PipelineError):
    """Two sets of results cannot be compared."""

    codes = frozenset({"eval.items_differ"})
    exit_status = 7


class CertificateError(PipelineError):
    """A lossless certificate does not hold."""

    codes = frozenset(
        {
            "certificate.invalid",
            "certificate.signature_invalid",
            "certificate.not_reproduced",
        }
    )
    exit_status = 12


class StorageError(PipelineError):
    """No space is left on the disk; what was being written is absent, what was there is whole."""

    codes = frozenset({"storage.full"})
    retryable = True
    exit_status = 11


class GateError(PipelineError):
    """A plan's gate did not pass."""

    codes = frozenset({"plan.gate_failed"})
    exit_status = 8


class StepError(PipelineError):
    """A step of a plan failed; carries the step's own code and exit status."""

    codes = frozenset({"run.crashed", "run.no_report"})

    def __init__(self, step_id: str, code: str, message: str, exit_status: int) -> None:
        Exception.__init__(self, f"step {step_id!r}: {message}")
        self.code = code
        self.exit_status = exit_status  # type: ignore[misc]  # the child's status becomes ours


class RunStateError(PipelineError):
    """The run is in a state that does not allow what was asked."""

    codes = frozenset({"run.not_resumable"})


class WorkerError(PipelineError):
    """Why the platform ended a run whose child did not say so itself."""

    codes = frozenset(
        {
            "worker.lost",
            "worker.child_crashed",
            "worker.report_invalid",
            "worker.deadline_exceeded",
            "worker.internal_error",
            "plan.step_not_reached",
            "run.right_ended",
        }
    )
    exit_status = 9


class IsolationError(PipelineError):
    """A child cannot be confined as the settings demand."""

    codes = frozenset({"worker.isolation_unavailable"})
    exit_status = 9


class StackError(PipelineError):
    """The platform's processes cannot be started here."""

    codes = frozenset({"stack.already_running", "stack.port_taken", "stack.not_ready"})


class StoppedAtCheckpoint(PipelineError):  # noqa: N818 (not an error: the run can go on)
    """The run stopped on request after saving everything it needs to continue."""

    codes = frozenset({"run.stopped"})
    retryable = True
    exit_status = 75

    def __init__(self, message: str) -> None:
        super().__init__("run.stopped", message)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# Libraries written in Rust (safetensors, tokenizers) say the number in their message only.
_RUST_OS_ERROR = re.compile(rf"\bos error (?:{errno.ENOSPC}|{errno.EDQUOT})\b")


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, what it was raised from or while handling, and so on."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` goes back to a disk without space, or to a used up quota."""
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL)
        or _RUST_OS_ERROR.search(str(cause)) is not None
        for cause in causes(error)
    )
