"""Scores that others published of models and tests, and ours beside them: `published_scores.json`.

What was published is quoted as its source writes it, with what the source says of the setting. A
row of ours states its own setting, and nothing of the test's files is in the repository.
"""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.contracts.base import Contract
from pipeline.contracts.claims import Words
from pipeline.contracts.evaluation_results import BenchmarkFigureName
from pipeline.contracts.references import Sha256

TABLE = Path(__file__).with_name("published_scores.json")

Form = Literal["letter", "full_answer", "number"]


class ModelCopy(Contract):
    """Weights that count as the model, by the digest that reports name them by."""

    digest: Sha256
    note: Words
    """What is different about this copy."""


class KnownModel(Contract):
    """A model whose scores somebody published."""

    name: str
    """As its authors call it; a checkpoint of this name, whatever its letter case, is taken for it.
    """
    copies: tuple[ModelCopy, ...] = ()


class KnownTest(Contract):
    """The rows that a score is of."""

    benchmark: str
    """As a data set that was recognised names it."""
    split: str
    num_items: int = Field(ge=1)
    url: str
    """Where its authors offer the files."""
    license: str
    """Of the files, which are not ours to pass on."""


class ScoreSource(Contract):
    """Where a score was published."""

    title: str
    url: str
    read: date
    """When it was read there."""
    tool: str
    """What the scores were measured with."""


class ScoreSetting(Contract):
    """How the test was asked, as far as the source says it; None: it does not say."""

    num_few_shot: int | None = Field(default=None, ge=0)
    form: Form | None = None
    chat_template: bool | None = None
    note: Words | None = None


class OwnScore(Contract):
    """A score that we measured for this table."""

    model_digest: Sha256
    num_right: int = Field(ge=0)
    n: int = Field(ge=1)
    num_few_shot: int = Field(ge=0)
    form: Form
    chat_template: bool
    rows: Words
    """Which rows, and which examples."""
    files_sha256: dict[str, Sha256]
    """Of the files as they were brought in, by name."""
    prompts_sha256: Sha256
    harness: str
    measured: date

    @model_validator(mode="after")
    def _counts_items(self) -> Self:
        if self.num_right > self.n:
            raise ValueError("num_right: more than there are items")
        return self


class PublishedScore(Contract):
    """One published score, with ours or with why there is none."""

    model: str
    test: str
    source: str
    published: str = Field(pattern=r"^\d{1,3}(\.\d+)?$")
    """Per cent, as the source writes it."""
    metric: str
    """As the source calls it."""
    setting: ScoreSetting
    figure: BenchmarkFigureName | None
    """Which figure of an evaluation stands beside it; None: ours is another measure."""
    ours: OwnScore | None = None
    not_run: Words | None = None
    """Why `ours` is absent."""

    @model_validator(mode="after")
    def _says_why_there_is_none(self) -> Self:
        if (self.ours is None) == (self.not_run is None):
            raise ValueError("give `ours`, or `not_run` with the reason")
        if self.ours is not None and self.figure is None:
            raise ValueError("figure: ours stands beside a figure")
        return self

    @property
    def share(self) -> float:
        """The published score between 0 and 1."""
        return float(self.published) / 100.0

    @property
    def rounding(self) -> float:
        """Half a unit of the last digit that was published, as a share."""
        digits = len(self.published.partition(".")[2])
        return float(0.5 * 10.0 ** -(digits + 2))


class ScoreTable(Contract):
    """All published scores; rows name models, tests and sources by their keys."""

    models: dict[str, KnownModel]
    tests: dict[str, KnownTest]
    sources: dict[str, ScoreSource]
    scores: tuple[PublishedScore, ...]

    @model_validator(mode="after")
    def _keys_lead_somewhere(self) -> Self:
        for score in self.scores:
            named: list[tuple[str, Mapping[str, object]]] = [
                (score.model, self.models),
                (score.test, self.tests),
                (score.source, self.sources),
            ]
            for key, known in named:
                if key not in known:
                    raise ValueError(f"scores: nothing is called {key}")
            test, ours = self.tests[score.test], score.ours
            if ours is not None and ours.n > test.num_items:
                raise ValueError(f"scores: more rows than {test.benchmark} has")
        return self


@cache
def score_table() -> ScoreTable:
    """The table that is shipped."""
    return ScoreTable.parse(TABLE.read_bytes())
