"""The evaluations of a comparison, from its address: `?run=ID&run=ID`, the baseline first.

`first=oldest` comes from a list with tick boxes, whose order says nothing about the baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from studio.accounts.access import ProjectRequest
from studio.evaluations.results import Evaluation
from studio.evaluations.selection import chosen_evaluations
from studio.pages.addresses import query_with

MIN_COMPARED, MAX_COMPARED = 2, 6
_OF_ONE_PAGE = ("after", "before", "item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One evaluation in the bar at the top, and where its buttons lead."""

    evaluation: Evaluation
    letter: str
    make_baseline_query: str
    """Empty for the baseline itself."""
    remove_query: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two to six evaluations, the baseline first."""

    evaluations: Sequence[Evaluation]
    tokens: Sequence[Token]

    @property
    def baseline(self) -> Evaluation:
        return self.evaluations[0]

    @property
    def candidates(self) -> Sequence[Evaluation]:
        return self.evaluations[1:]

    @property
    def letters(self) -> dict[str, str]:
        """A, B, ... by run id."""
        return {token.evaluation.id: token.letter for token in self.tokens}


def read_comparison(request: ProjectRequest) -> tuple[Comparison | None, list[Evaluation], str]:
    """The comparison asked for; None with what was chosen and what is wrong with it.

    Raises:
        Http404: the project has no such evaluation with a result.
    """
    asked_for = chosen_evaluations(request)
    evaluations = list(asked_for.readable)
    if asked_for.unreadable:
        names = ", ".join(run.name for run in asked_for.unreadable)
        problem = _("Nobody can read the report of %(names)s, so it cannot be compared.")
        return None, evaluations, problem % {"names": names}
    if not evaluations:
        return None, [], ""
    if len(evaluations) < MIN_COMPARED:
        return None, evaluations, _("Choose at least one more evaluation.")
    if len(evaluations) > MAX_COMPARED:
        problem = _("%(n)s are chosen; at most %(max)s fit beside each other.")
        return None, evaluations, problem % {"n": len(evaluations), "max": MAX_COMPARED}
    if request.GET.get("first") == "oldest":
        evaluations.sort(key=_finished_at)
    ids = [one.id for one in evaluations]
    cleared = dict.fromkeys(_OF_ONE_PAGE, "")
    tokens = [
        Token(
            evaluation=one,
            letter="ABCDEF"[index],
            make_baseline_query=(
                query_with(request, run=[one.id, *_without(ids, one.id)], first="") if index else ""
            ),
            remove_query=query_with(request, **cleared, run=_without(ids, one.id), first=""),
        )
        for index, one in enumerate(evaluations)
    ]
    return Comparison(evaluations=evaluations, tokens=tokens), evaluations, ""


def _without(ids: Sequence[str], left_out: str) -> list[str]:
    return [run_id for run_id in ids if run_id != left_out]


def _finished_at(one: Evaluation) -> datetime:
    # A succeeded run has ended: the table has a constraint that says so.
    assert one.run.finished_at is not None  # noqa: S101
    return one.run.finished_at
