"""Phase 1: the model goes on learning from domain text, mixed with general text it must keep.

Metrics of the report are listed in `docs/training.md`.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.contracts.training_results import (
    ContinualPretrainResults,
    HeldoutChange,
    HeldoutLoss,
)
from pipeline.contracts.training_specs import ContinualPretrainSpec
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.mixture import Source
from pipeline.data.records import Document
from pipeline.data.tokenize import tokenize_documents
from pipeline.errors import SpecError
from pipeline.execution import RecipeResult, RunContext
from pipeline.training.batches import MixtureBatches
from pipeline.training.heldout import HeldoutCorpus, measure_heldout, prepare_heldout
from pipeline.training.loop import train
from pipeline.training.losses import cross_entropy_loss, require_linear_head
from pipeline.training.phases import Phase
from pipeline.training.schedule import warmup_stable_decay
from pipeline.training.session import TrainingSession, open_session

MANY_EPOCHS = 4.0
"""Beyond four passes repeated text teaches little and is memorised (Muennighoff et al. 2023)."""


def run(spec: ContinualPretrainSpec, context: RunContext) -> RecipeResult:
    """The model has seen `num_tokens` of the mixture; output `model` is its final checkpoint.

    Raises:
        PipelineError: of the reader, the loader and the loop; `spec.invalid` for a held-out
            document that is also trained on.
    """
    documents = [read_rows(source.dataset, Document) for source in spec.sources]
    heldout = [read_rows(dataset, Document) for dataset in spec.heldout]
    _require_unseen(spec, documents, heldout)
    session = open_session(spec, spec.model, context)
    require_linear_head(session.model)
    batches = MixtureBatches(
        [
            Source(
                name=source.name,
                weight=source.weight,
                rows=tokenize_documents(rows, session.tokenizer),
            )
            for source, rows in zip(spec.sources, documents, strict=True)
        ],
        num_tokens=spec.num_tokens,
        batch=spec.batch,
        seed=spec.seed,
    )
    _warn_of_many_epochs(batches, context)
    corpora = [
        prepare_heldout(rows, session.tokenizer, max_seq_length=spec.batch.max_seq_length)
        for rows in heldout
    ]
    carried = session.carried
    if carried is None:
        before = _measure(session, corpora, context)
        carried = {"heldout_before": [one.model_dump() for one in before]}
    result = train(
        session.model,
        session.tokenizer,
        [
            Phase(
                name="continual_pretrain",
                batches=batches,
                loss_fn=cross_entropy_loss,
                learning_rate=warmup_stable_decay(spec.optimizer, batches.num_steps),
            )
        ],
        session.settings,
        context,
        resume=session.resume,
        carried=carried,
    )
    after = _measure(session, corpora, context)
    return RecipeResult(
        results=ContinualPretrainResults(
            **dict(result.phases[0].results()),
            epochs_by_source=batches.epochs_by_source(),
            heldout=tuple(
                HeldoutChange(
                    file=Path(dataset.resolved_path).name,
                    before=HeldoutLoss.model_validate(old),
                    after=new,
                )
                for dataset, old, new in zip(
                    spec.heldout, result.carried["heldout_before"], after, strict=True
                )
            ),
        ),
        outputs={"model": result.model_path},
        inputs=_input_digests(spec, session),
    )


def _measure(
    session: TrainingSession, corpora: Sequence[HeldoutCorpus], context: RunContext
) -> list[HeldoutLoss]:
    return [measure_heldout(session.model, corpus, context) for corpus in corpora]


def _require_unseen(
    spec: ContinualPretrainSpec,
    documents: Sequence[Sequence[Document]],
    heldout: Sequence[Sequence[Document]],
) -> None:
    """No held-out text is trained on."""
    trained = {
        document.text: source.name
        for source, rows in zip(spec.sources, documents, strict=True)
        for document in rows
    }
    for index, rows in enumerate(heldout):
        leaked = [document for document in rows if document.text in trained]
        if leaked:
            raise SpecError(
                "spec.invalid",
                f"heldout.{index}: {len(leaked)} of its {len(rows)} documents are also trained on, "
                f"such as {leaked[0].id!r} in source {trained[leaked[0].text]!r}; keep them out of "
                "one of the two with `where`",
            )


def _warn_of_many_epochs(batches: MixtureBatches, context: RunContext) -> None:
    for name, epochs in batches.epochs_by_source().items():
        if epochs > MANY_EPOCHS:
            context.warn(
                "data.many_epochs",
                f"source {name!r} is gone through {epochs:.1f} times; add data, lower its weight "
                "or num_tokens to avoid memorising it",
            )


def _input_digests(spec: ContinualPretrainSpec, session: TrainingSession) -> dict[str, str]:
    digests = {"model": session.model_digest}
    for index, source in enumerate(spec.sources):
        path = Path(source.dataset.resolved_path)
        digests[f"sources.{index}.dataset"] = dataset_digest(path)
    for index, dataset in enumerate(spec.heldout):
        digests[f"heldout.{index}"] = dataset_digest(Path(dataset.resolved_path))
    return digests
