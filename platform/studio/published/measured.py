"""What one plan of ours measured of the method's checkpoints, by their role in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.contracts.claims import Evidence, Pair, Role, overlap_pairs
from pipeline.contracts.estimates import PairedFigure
from studio.evaluations.results import Benchmark, Evaluation
from studio.evaluations.stored_figures import StoredPairs
from studio.measures.documents import Documents


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The evaluations by role, the benchmark, and the comparisons that the claims need."""

    evaluations: Mapping[Role, Evaluation]
    benchmark: Benchmark | None
    stored: Mapping[Documents, StoredPairs]

    def pair(self, pair: Pair) -> tuple[Evaluation, Evaluation] | None:
        """(baseline, candidate); None unless both were evaluated."""
        before, after = (self.evaluations.get(role) for role in pair)
        return None if before is None or after is None else (before, after)

    def overlap(self, pair: Pair, measure: str, documents: Documents) -> PairedFigure | None:
        """The comparison of one measure; None where there is none yet."""
        found = self.pair(pair)
        if found is None:
            return None
        figures = self.stored[documents][found[0].id, found[1].id].figures
        return None if figures is None else figures.figure("text_overlap", measure)

    def evidence(self) -> Evidence:
        """What `claim_rows` needs."""
        overlaps: dict[Pair, Mapping[str, PairedFigure]] = {}
        for pair in overlap_pairs():
            found = self.pair(pair)
            if found is None:
                continue
            figures = self.stored[Documents.ALL][found[0].id, found[1].id].figures
            if figures is not None and "text_overlap" in figures.tasks:
                overlaps[pair] = figures.tasks["text_overlap"].measures
        return Evidence(
            evaluations={role: one.results for role, one in self.evaluations.items()},
            overlaps=overlaps,
            benchmark=None if self.benchmark is None else self.benchmark.results,
        )


def by_role(evaluations: Sequence[Evaluation]) -> dict[Role, Evaluation]:
    """The evaluations that play a role in the method; of two in one role the later."""
    return {role: one for one in evaluations if (role := one.role) is not None}


def pairs_to_compare(
    evaluations: Mapping[Role, Evaluation],
) -> list[tuple[Evaluation, Evaluation]]:
    """The pairs behind the overlap claims that these evaluations can make."""
    return [
        (evaluations[before], evaluations[after])
        for before, after in overlap_pairs()
        if before in evaluations and after in evaluations
    ]
