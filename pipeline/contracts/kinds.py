"""Every kind of run, stated once: the union of its specs and that of its results.

A kind's name is the `kind` of its spec and of its results; `pipeline.recipes` has a module of that
name. Both unions name the same kinds in the same order; a test holds them to it.
"""

from typing import get_args

from pipeline.contracts.base import SpecBase
from pipeline.contracts.dataset_revisions import ReviseDatasetResults, ReviseDatasetSpec
from pipeline.contracts.decoding_results import SpeculativeDecodeResults
from pipeline.contracts.decoding_spec import SpeculativeDecodeSpec
from pipeline.contracts.distillation_spec import LogitDistillSpec
from pipeline.contracts.evaluation_results import EvaluateResults
from pipeline.contracts.evaluation_spec import EvaluateSpec
from pipeline.contracts.import_results import ImportCheckpointResults, ImportDatasetResults
from pipeline.contracts.import_specs import ImportCheckpointSpec, ImportDatasetSpec
from pipeline.contracts.preview_dataset import PreviewDatasetResults, PreviewDatasetSpec
from pipeline.contracts.quality_checks import (
    CheckDatasetResults,
    CheckDatasetSpec,
    MaskDatasetResults,
    MaskDatasetSpec,
)
from pipeline.contracts.token_preview import PreviewTokensResults, PreviewTokensSpec
from pipeline.contracts.training_results import (
    ContinualPretrainResults,
    CurriculumSftResults,
    LogitDistillResults,
)
from pipeline.contracts.training_specs import ContinualPretrainSpec, CurriculumSftSpec
from pipeline.contracts.version_comparison import CompareVersionsResults, CompareVersionsSpec

RunSpec = (
    ContinualPretrainSpec
    | CurriculumSftSpec
    | LogitDistillSpec
    | SpeculativeDecodeSpec
    | EvaluateSpec
    | PreviewDatasetSpec
    | ImportDatasetSpec
    | ImportCheckpointSpec
    | CheckDatasetSpec
    | MaskDatasetSpec
    | PreviewTokensSpec
    | ReviseDatasetSpec
    | CompareVersionsSpec
)
RunResults = (
    ContinualPretrainResults
    | CurriculumSftResults
    | LogitDistillResults
    | SpeculativeDecodeResults
    | EvaluateResults
    | PreviewDatasetResults
    | ImportDatasetResults
    | ImportCheckpointResults
    | CheckDatasetResults
    | MaskDatasetResults
    | PreviewTokensResults
    | ReviseDatasetResults
    | CompareVersionsResults
)
RUN_SPECS: dict[str, type[SpecBase]] = {
    spec.model_fields["kind"].default: spec for spec in get_args(RunSpec)
}
"""The spec of each kind, by name."""
RUN_KINDS = tuple(RUN_SPECS)
RESULT_KINDS = tuple(model.model_fields["kind"].default for model in get_args(RunResults))
