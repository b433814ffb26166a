"""Phase 2: supervised fine-tuning in stages, from weakly relevant to expert conversations.

Metrics of the report are listed in `docs/training.md`.
"""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from pipeline.contracts.training_results import CurriculumSftResults, StageResults
from pipeline.contracts.training_specs import CurriculumSftSpec, CurriculumStage
from pipeline.data.curriculum import StagePlan, plan_stages
from pipeline.data.datasets import dataset_digest, read_rows
from pipeline.data.records import Conversation, DomainItem
from pipeline.data.tokenize import TokenizedRow, tokenize_conversations, truncate
from pipeline.execution import RecipeResult, RunContext
from pipeline.training.batches import MixtureBatches
from pipeline.training.loop import train
from pipeline.training.losses import cross_entropy_loss, require_linear_head
from pipeline.training.phases import Phase
from pipeline.training.schedule import warmup_stable_decay
from pipeline.training.session import TrainingSession, open_session


def run(spec: CurriculumSftSpec, context: RunContext) -> RecipeResult:
    """The model has gone through every stage; output `model` is its final checkpoint.

    Each stage has a fresh optimizer and its own warm-up and decay.

    Raises:
        PipelineError: of the reader, the loader, the chat format and the loop.
    """
    records_by_stage = [_records(stage) for stage in spec.stages]
    session = open_session(spec, spec.model, context)
    require_linear_head(session.model)
    rows_by_stage = [
        _tokenized(stage, records, session.tokenizer, spec.batch.max_seq_length, context)
        for stage, records in zip(spec.stages, records_by_stage, strict=True)
    ]
    stages = plan_stages(spec, rows_by_stage)
    batches = [_batches(spec, stage) for stage in stages]
    result = train(
        session.model,
        session.tokenizer,
        [
            Phase(
                name=stage.name,
                batches=source,
                loss_fn=cross_entropy_loss,
                learning_rate=warmup_stable_decay(
                    spec.optimizer, source.num_steps, scale=stage.learning_rate_scale
                ),
            )
            for stage, source in zip(stages, batches, strict=True)
        ],
        session.settings,
        context,
        resume=session.resume,
    )
    seconds = sum(figures.seconds for figures in result.phases)
    num_tokens = sum(figures.num_tokens for figures in result.phases)
    return RecipeResult(
        results=CurriculumSftResults(
            mode=spec.mode,
            steps=result.num_steps,
            tokens=num_tokens,
            trained_tokens=sum(figures.num_trained_tokens for figures in result.phases),
            seconds=seconds,
            tokens_per_second=num_tokens / seconds,
            stages=tuple(
                StageResults(
                    **dict(figures.results()),
                    name=figures.name,
                    epochs_by_source=source.epochs_by_source(),
                )
                for figures, source in zip(result.phases, batches, strict=True)
            ),
        ),
        outputs={"model": result.model_path},
        inputs=_input_digests(spec, session),
    )


def _batches(spec: CurriculumSftSpec, stage: StagePlan) -> MixtureBatches:
    # Seeded by stage: replay must not repeat the first rows of the earlier stage's order.
    return MixtureBatches(
        stage.sources,
        num_tokens=stage.num_tokens,
        batch=spec.batch,
        seed=f"{spec.seed}/{stage.name}",
    )


def _records(stage: CurriculumStage) -> list[Conversation | DomainItem]:
    return [
        record
        for dataset in stage.datasets
        for record in read_rows(dataset, (Conversation, DomainItem))
    ]


def _tokenized(
    stage: CurriculumStage,
    records: Sequence[Conversation | DomainItem],
    tokenizer: PreTrainedTokenizerBase,
    max_seq_length: int,
    context: RunContext,
) -> list[TokenizedRow]:
    """All rows of a stage, cut to `max_seq_length`; a warning counts the cut ones."""
    rows = tokenize_conversations(records, tokenizer)
    cut = [row for row in rows if len(row.input_ids) > max_seq_length]
    if cut:
        longest = max(len(row.input_ids) for row in cut)
        context.warn(
            "data.rows_truncated",
            f"stage {stage.name!r}: {len(cut)} of {len(rows)} conversations, such as "
            f"{cut[0].id!r}, are longer than batch.max_seq_length {max_seq_length} (longest "
            f"{longest}) and lose their end, with the token that ends the turn",
        )
    return [truncate(row, max_seq_length) for row in rows]


def _input_digests(spec: CurriculumSftSpec, session: TrainingSession) -> dict[str, str]:
    digests = {"model": session.model_digest}
    for number, stage in enumerate(spec.stages):
        for position, dataset in enumerate(stage.datasets):
            path = Path(dataset.resolved_path)
            digests[f"stages.{number}.datasets.{position}"] = dataset_digest(path)
    return digests
