"""Questions on documents that no training has seen, and the rows it did see."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from bench.answering.turns import Prompt
from pipeline.contracts.references import DomainTestRef, InstructionRef
from pipeline.data.datasets import read_rows
from pipeline.data.records import DomainItem
from pipeline.data.tokenize import ChatFormat
from pipeline.demo.data_files import DemonstrationData
from pipeline.distillation.cache import open_teacher_cache, read_manifest

DATA = DemonstrationData(Path(__file__).resolve().parents[2] / "examples/soae_demo", "en")


def unseen_questions(tokenizer: PreTrainedTokenizerBase, number: int) -> list[Prompt]:
    """The first `number`: those of the test, then those of the experts."""
    items = read_rows(DATA.rows(DomainTestRef, "unseen_questions", "domain_test"), DomainItem)
    if len(items) < number:
        raise SystemExit(f"there are {len(items)} questions on unseen documents, not {number}")
    chat = ChatFormat(tokenizer)
    return [tuple(chat.prompt(one.prompt_messages())) for one in items[:number]]


def seen_answers() -> InstructionRef:
    """The experts' answers on all other documents: what training reads."""
    return DATA.rows(InstructionRef, "sft_expert", "domain_test", DATA.seen("meta.doc_id"))


def check_unasked(teacher_cache: Path, prompts: Sequence[Prompt]) -> None:
    """None of the prompts is answered in the cache: looking its answer up would be no drafting.

    Raises:
        SystemExit: one is.
        TrainingError: as `open_teacher_cache`.
    """
    answers = open_teacher_cache(teacher_cache, read_manifest(teacher_cache).key)
    asked = {tuple(one.prompt_ids.tolist()) for one in answers}
    if common := asked.intersection(prompts):
        raise SystemExit(f"{teacher_cache} answers {len(common)} of the questions to be timed")
