"""What the platform knows of each kind of run, once; its fields stand in the contract.

A new kind needs its record here and nothing else in the platform.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from studio.accounts.models import Role
from studio.runs.states import Queue

ENGINEERS = (Role.ENGINEER,)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointKind:
    """How a checkpoint came to be: stored with it, and in words."""

    name: str
    label: Promise


@dataclass(frozen=True, kw_only=True, slots=True)
class RunKind:
    """One kind of run."""

    name: str
    """The spec's `kind`."""
    label: Promise
    description: Promise | None = None
    """Beside the label where people choose what to launch; None: a page of its own starts it."""
    queue: Queue = Queue.COMPUTE
    """Compute runs occupy a device for minutes to days."""
    checkpoint: CheckpointKind | None = None
    """What the registry calls the model that the run makes."""
    measured_field: str = ""
    """Field of the spec that names the model whose figures are the result."""
    starters: tuple[Role, ...] = ENGINEERS
    """Who may start it, besides administrators; asked again when a worker takes the run."""

    @property
    def is_offered(self) -> bool:
        """The launch page offers it."""
        return self.description is not None


KINDS: dict[str, RunKind] = {
    kind.name: kind
    for kind in (
        RunKind(
            name="continual_pretrain",
            label=_("Continual pre-training"),
            description=_(
                "Goes on training a model on domain documents, with general text mixed in to keep "
                "what it knows."
            ),
            checkpoint=CheckpointKind(name="continual_pretrain", label=_("Continual pre-training")),
        ),
        RunKind(
            name="curriculum_sft",
            label=_("Staged fine-tuning"),
            description=_(
                "Teaches a model to answer, in stages: weakly relevant conversations first, then "
                "questions answered by experts."
            ),
            checkpoint=CheckpointKind(name="curriculum_sft", label=_("Fine-tuning")),
        ),
        RunKind(
            name="logit_distill",
            label=_("Draft by distillation"),
            description=_(
                "Trains a small draft model on the answers of a target, to decode faster."
            ),
            checkpoint=CheckpointKind(name="draft", label=_("Draft model")),
        ),
        RunKind(
            name="speculative_decode",
            label=_("Decoding benchmark"),
            description=_(
                "Measures how much faster a target decodes with drafts, and proves that its output "
                "stays the same."
            ),
            measured_field="target",
        ),
        RunKind(
            name="evaluate",
            label=_("Evaluation"),
            description=_(
                "Measures answers, general ability and drift of a model, beside its base."
            ),
            measured_field="model",
        ),
        RunKind(
            name="import_dataset",
            label=_("Import of a data set"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="preview_dataset",
            label=_("Look at an uploaded file"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="revise_dataset",
            label=_("New version of a data set"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="compare_versions",
            label=_("Comparison of two versions"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="import_checkpoint",
            label=_("Import of a checkpoint"),
            queue=Queue.INTERACTIVE,
            checkpoint=CheckpointKind(name="imported", label=_("Imported")),
        ),
        RunKind(
            name="check_dataset",
            label=_("Check of a data set"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="mask_dataset",
            label=_("Cleaning of a data set"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
        RunKind(
            name="preview_tokens",
            label=_("Token preview"),
            queue=Queue.INTERACTIVE,
            starters=(Role.EXPERT, Role.ENGINEER),
        ),
    )
}


def kind_label(kind: str) -> str:
    """The kind in the reader's language; its name when this version of the platform has none."""
    known = KINDS.get(kind)
    return str(known.label) if known else kind
