"""Published scores in the reader's language, each with ours or with why there is none.

Ours are of two kinds: what was measured for the table that is shipped, and what finished
evaluations of the project measured of the same model, test and setting.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from pipeline.contracts.claims import Words
from pipeline.contracts.evaluation_results import BenchmarkResults
from pipeline.contracts.published_scores import (
    KnownModel,
    KnownTest,
    OwnScore,
    PublishedScore,
    ScoreSetting,
    ScoreSource,
    ScoreTable,
    score_table,
)
from pipeline.metrics.reproduction import Reproduced, reproduced
from studio.evaluations.benchmark_tables import FIGURE_LABELS, asked_as
from studio.evaluations.results import Evaluation
from studio.measures.numbers import interval, percent, signed

MAX_OWN = 3
"""Evaluations of the project in one row, the newest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnFigure:
    """A score of ours beside a published one."""

    value: str
    """With its interval."""
    figure: str
    """Which figure of an evaluation it is."""
    difference: str
    word: str
    size: str
    """Questions, and of how many."""
    setting: str
    details: Sequence[str]
    origin: str
    run_id: str = ""
    """Empty for what was measured for the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownScore:
    """One published score with ours."""

    model: str
    test: KnownTest
    source: ScoreSource
    published: str
    metric: str
    setting: str
    note: str
    ours: Sequence[OwnFigure]
    reason: str
    """Why there is none of ours."""


def shown_scores(evaluations: Sequence[Evaluation]) -> list[ShownScore]:
    """The rows of the table that is shipped, in its order.

    Args:
        evaluations: of the project, the newest first.
    """
    table = score_table()
    return [_shown(score, table, evaluations) for score in table.scores]


def _shown(
    score: PublishedScore, table: ScoreTable, evaluations: Sequence[Evaluation]
) -> ShownScore:
    model, test = table.models[score.model], table.tests[score.test]
    measured = list(_measured(evaluations, model, test))
    fitting = [(one, found) for one, found in measured if _fits(score, found)]
    ours = [_of_project(score, model, test, *one) for one in fitting[:MAX_OWN]]
    if score.ours is not None:
        ours.append(_of_table(score, model, test, score.ours))
    return ShownScore(
        model=model.name,
        test=test,
        source=table.sources[score.source],
        published=f"{score.published}%",
        metric=score.metric,
        setting=_published_setting(score.setting),
        note=_words(score.setting.note),
        ours=ours,
        reason="" if ours else _reason(score, measured),
    )


def _measured(
    evaluations: Sequence[Evaluation], model: KnownModel, test: KnownTest
) -> Iterator[tuple[Evaluation, BenchmarkResults]]:
    """What the evaluations found of the model on the test, in whatever setting."""
    for one in evaluations:
        if _is_model(one, model):
            for found in one.results.benchmarks:
                if found.benchmark == test.benchmark:
                    yield one, found


def _is_model(one: Evaluation, model: KnownModel) -> bool:
    name = "" if one.checkpoint is None else one.checkpoint.name
    is_copy = one.model_digest in {copy.digest for copy in model.copies}
    return is_copy or name.casefold() == model.name.casefold()


def _fits(score: PublishedScore, found: BenchmarkResults) -> bool:
    """The figure that was published, asked as far as the source says how."""
    asked = score.setting
    return (
        score.figure in found.figures
        and asked.num_few_shot in (None, found.num_few_shot)
        and asked.form in (None, found.form)
        and asked.chat_template in (None, found.chat_template)
    )


def _of_project(
    score: PublishedScore,
    model: KnownModel,
    test: KnownTest,
    one: Evaluation,
    found: BenchmarkResults,
) -> OwnFigure:
    assert score.figure is not None  # noqa: S101 (it fits)
    num_right = round(found.figures[score.figure].value * found.n)
    notes = [copy.note for copy in model.copies if copy.digest == one.model_digest]
    named = _("taken for this model by its name; its weights are not known to the table")
    return _figure(
        score,
        test,
        counts=(num_right, found.n),
        setting=[
            *asked_as(
                form=found.form, num_few_shot=found.num_few_shot, chat_template=found.chat_template
            ),
            found.harness,
        ],
        details=[_words(note) for note in notes] or [named],
        origin=one.label,
        run_id=one.id,
    )


def _of_table(
    score: PublishedScore, model: KnownModel, test: KnownTest, own: OwnScore
) -> OwnFigure:
    notes = [copy.note for copy in model.copies if copy.digest == own.model_digest]
    return _figure(
        score,
        test,
        counts=(own.num_right, own.n),
        setting=[
            *asked_as(
                form=own.form, num_few_shot=own.num_few_shot, chat_template=own.chat_template
            ),
            own.harness,
        ],
        details=[_words(own.rows), *(_words(note) for note in notes)],
        origin=_("measured for this table, %(date)s")
        % {"date": date_format(own.measured, "Y-m-d")},
    )


def _figure(
    score: PublishedScore,
    test: KnownTest,
    *,
    counts: tuple[int, int],
    setting: Sequence[str],
    details: Sequence[str],
    origin: str,
    run_id: str = "",
) -> OwnFigure:
    assert score.figure is not None  # noqa: S101 (the contract)
    num_right, n = counts
    found = reproduced(num_right, n, published=score.share, rounding=score.rounding)
    between = interval(found.difference, scale=100.0, digits=1)
    return OwnFigure(
        value=f"{percent(found.ours.value)} {interval(found.ours, scale=100.0, digits=1)}",
        figure=str(FIGURE_LABELS[score.figure]),
        difference=f"{signed(100.0 * found.difference.value, 1)} pp {between}",
        word=_word(found),
        size=_size(n, test.num_items),
        setting=" · ".join(setting),
        details=details,
        origin=origin,
        run_id=run_id,
    )


def _word(found: Reproduced) -> str:
    if found.agrees:
        return _("agrees: the published value lies within our interval")
    if found.difference.value > 0.0:
        return _("differs: ours is higher")
    return _("differs: ours is lower")


def _size(n: int, num_items: int) -> str:
    if n >= num_items:
        return ngettext("all %(num)d question", "all %(num)d questions", n) % {"num": n}
    return _("a subset: %(n)d of %(all)d questions") % {"n": n, "all": num_items}


def _published_setting(setting: ScoreSetting) -> str:
    shots = setting.num_few_shot
    parts = [
        _("examples not stated")
        if shots is None
        else ngettext("%(num)d example", "%(num)d examples", shots) % {"num": shots},
    ]
    if setting.chat_template is None:
        parts.append(_("chat template not stated"))
    elif setting.chat_template:
        parts.append(_("with the chat template"))
    else:
        parts.append(_("without a chat template"))
    return " · ".join(parts)


def _reason(score: PublishedScore, measured: Sequence[tuple[Evaluation, BenchmarkResults]]) -> str:
    if measured and score.figure is not None:
        one, found = measured[0]
        return _("%(name)s was measured in another setting only: %(setting)s") % {
            "name": one.label,
            "setting": " · ".join(
                asked_as(
                    form=found.form,
                    num_few_shot=found.num_few_shot,
                    chat_template=found.chat_template,
                )
            ),
        }
    return _("not run: %(reason)s") % {"reason": _words(score.not_run)}


def _words(words: Words | None) -> str:
    return "" if words is None else words.in_language(get_language() or "")
