"""Questions with several right choices: likelihoods of single choices cannot score them."""

from collections.abc import Sequence
from typing import TypeVar

from pipeline.data.records import MultipleChoiceItem, Record
from pipeline.errors import DataError
from pipeline.execution import RunContext

RowT = TypeVar("RowT", bound=Record)


def with_one_answer(rows: Sequence[RowT], context: RunContext) -> list[RowT]:
    """The rows without questions that have several right choices; a warning counts these.

    Raises:
        DataError: `data.empty` where none is left.
    """
    kept = [row for row in rows if not isinstance(row, MultipleChoiceItem) or not row.other_answers]
    num_left_out = len(rows) - len(kept)
    if not kept:
        raise DataError(
            "data.empty",
            f"all {num_left_out} questions have several right choices, which cannot be scored; "
            "use a data set with questions of one right choice",
        )
    if num_left_out:
        context.warn(
            "eval.several_answers",
            f"{num_left_out} of {len(rows)} questions have several right choices and are left out: "
            "what is scored is the likelihood of one choice against the others",
        )
    return kept
