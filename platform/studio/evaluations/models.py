"""Figures that take long, kept so that no page computes one twice.

All tables are caches keyed by the digests of immutable files: a row never changes, may be deleted
at any time, and belongs to no project. Whoever reaches one has come through a run they may see.
"""

from django.db import models
from django.db.models.functions import Now

from studio.measures.documents import Documents


class ResultSummary(models.Model):
    """The figures of one `samples.parquet` with their intervals."""

    samples_digest = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    """`resampling.VERSION` of the code that made it."""
    figures = models.JSONField()
    """`resampling.ResultFigures`."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("samples_digest", "version"), name="result_summary_unique"
            ),
        )

    def __str__(self) -> str:
        return self.samples_digest[:8]


class ComparedPair(models.Model):
    """Two `samples.parquet` on the same items."""

    baseline_digest = models.CharField(max_length=64)
    candidate_digest = models.CharField(max_length=64)
    documents = models.CharField(max_length=8, choices=Documents.choices)
    version = models.PositiveSmallIntegerField()
    figures = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.baseline_digest[:8]} {self.candidate_digest[:8]} {self.documents}"


class PairComparison(ComparedPair):
    """Each figure by itself: `figures` holds `resampling.PairFigures`."""

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("baseline_digest", "candidate_digest", "documents", "version"),
                name="pair_comparison_unique",
            ),
        )


class FamilyComparison(ComparedPair):
    """With intervals of one size of family: `figures` holds `resampling.FamilyFigures`."""

    num_tests = models.PositiveSmallIntegerField()
    """How many differences are judged together."""

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("baseline_digest", "candidate_digest", "documents", "num_tests", "version"),
                name="family_comparison_unique",
            ),
        )
