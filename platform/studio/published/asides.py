"""What stands beside a figure of ours: counts, absolute values, definition, and how to doubt it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from pipeline.contracts.claims import Claim, ClaimRow
from pipeline.contracts.estimates import PairedFigure
from pipeline.contracts.evaluation_results import TextOverlapResults
from studio.evaluations.arms import arm_label, is_lossless
from studio.evaluations.links import compare_rows_url, run_url
from studio.evaluations.results import Benchmark, Evaluation
from studio.measures.documents import Documents
from studio.measures.judgements import judgement_of, settled_by
from studio.measures.labels import MEASURES
from studio.measures.numbers import (
    ARROW,
    decimal,
    difference,
    measured,
    measured_interval,
    percent,
    ratio_estimate,
)
from studio.published.measured import Measured
from studio.published.words import ClaimFamily


@dataclass(frozen=True, kw_only=True, slots=True)
class Aside:
    """The cells beside a figure."""

    n: str
    """Count with its unit."""
    absolute: str
    """The two values behind it."""
    details: Sequence[str]
    definition: str
    verdict: str = ""
    """One word about the figure of this row and no other, with what it rests on."""
    rows_url: str = ""


def overlap_aside(row: ClaimRow, found: Measured, family: ClaimFamily) -> Aside | None:
    """A measure of two checkpoints on the same questions; None without the comparison."""
    claim = row.claim
    pair = found.pair(claim.pair) if claim.pair is not None else None
    if claim.pair is None or claim.measure is None or pair is None:
        return None
    figure = found.overlap(claim.pair, claim.measure, Documents.ALL)
    if figure is None:
        return None
    measure, (baseline, candidate) = MEASURES[claim.measure], pair
    spread = measured_interval(measure, figure.difference)
    details = [
        _("difference alone, 95%% CI: %(difference)s")
        % {"difference": f"{difference(measure, figure.difference.value)} {spread}".strip()}
    ]
    if figure.items_needed is not None:
        details.append(settled_by(figure.items_needed))
    unseen = found.overlap(claim.pair, claim.measure, Documents.UNSEEN)
    if unseen is not None:
        details.append(
            _("documents not seen: %(ratio)s, n = %(n)s")
            % {"ratio": ratio_estimate(unseen.ratio), "n": unseen.n}
        )
    details += _length_details(baseline, candidate)
    if figure.missing:
        details.append(_("missing %(n)s") % {"n": figure.missing})
    details += [*training_seeds(baseline, candidate), evaluation_seed(candidate)]
    return Aside(
        n=_size(figure.n, figure.num_units),
        absolute=measured(measure, row.before) + ARROW + measured(measure, row.after),
        details=details,
        definition=_signature(candidate, claim),
        verdict=_overlap_word(claim, figure, family),
        rows_url=compare_rows_url([baseline, candidate], task=measure.task, metric=measure.key),
    )


def speedup_aside(row: ClaimRow, found: Measured, family: ClaimFamily) -> Aside | None:
    """The headline arm of the benchmark; None without a timed answer."""
    if found.benchmark is None or row.figure is None:
        return None
    results = found.benchmark.results
    arm = results.arms[results.headline_arm]
    verdicts = {True: _("lossless"), False: _("NOT LOSSLESS"), None: _("losslessness not checked")}
    return Aside(
        n=_("%(n)s prompts, %(repeats)s repeats")
        % {"n": row.figure.n, "repeats": results.num_repeats},
        absolute=_("%(before)s \N{RIGHTWARDS ARROW} %(after)s tokens/s")
        % {"before": decimal(row.before, 1), "after": decimal(row.after, 1)},
        details=[
            arm_label(results.headline_arm),
            _("draft length %(n)s, %(tokens)s tokens per target step")
            % {
                "n": arm.num_speculative_tokens,
                "tokens": decimal(arm.mean_acceptance_length),
            },
            _("%(share)s of the oracle bound")
            % {"share": percent(arm.fraction_of_oracle_bound, 0)},
            _("one training of the draft: the interval says nothing of other seeds"),
            evaluation_seed(found.benchmark),
        ],
        definition=found.benchmark.definitions.get("speedup", ""),
        verdict=verdicts[is_lossless(found.benchmark)],
        rows_url=run_url(found.benchmark),
    )


def _length_details(baseline: Evaluation, candidate: Evaluation) -> list[str]:
    overlaps = [one.results.text_overlap for one in (baseline, candidate)]

    def change(read: Callable[[TextOverlapResults], float | None], digits: int) -> str:
        return ARROW.join(decimal(None if one is None else read(one), digits) for one in overlaps)

    def share(one: TextOverlapResults) -> float | None:
        cut = one.figures.get("cut_at_cap")
        return None if cut is None else 100.0 * cut

    length = change(lambda one: one.figures.get("num_answer_tokens"), 1)
    return [
        _("answer tokens %(change)s") % {"change": length},
        _("brevity penalty %(change)s") % {"change": change(lambda one: one.brevity_penalty, 3)},
        _("cut at the cap %(change)s %%") % {"change": change(share, 1)},
    ]


def _signature(one: Evaluation, claim: Claim) -> str:
    overlap = one.results.text_overlap
    if overlap is None:
        return ""
    return overlap.bleu_signature if claim.measure == "bleu4" else overlap.rouge_signature


def _overlap_word(claim: Claim, figure: PairedFigure, family: ClaimFamily) -> str:
    """The word for the difference, which the row's interval is made to agree with."""
    word = family.words.get(claim.key)
    if word is None:
        return _("not decided: being computed")
    judged = judgement_of(word.decision, figure, margin=None)
    return f"{judged.label}: {judged.reason}" if judged.reason else str(judged.label)


def _size(num_items: int, num_units: int) -> str:
    return _("%(n)s questions, %(units)s units") % {"n": num_items, "units": num_units}


def training_seeds(*evaluations: Evaluation) -> list[str]:
    """By which seed each model was trained, or that this is not known."""
    found = []
    for one in evaluations:
        if one.is_of_base:
            continue
        if one.source is None:
            found.append(_("%(name)s: training seed not known") % {"name": one.label})
        else:
            seed = one.source.spec.get("seed", 0)
            found.append(_("%(name)s: training seed %(seed)s") % {"name": one.label, "seed": seed})
    return [*found, _("one training of each: the interval says nothing of other seeds")]


def evaluation_seed(one: Evaluation | Benchmark) -> str:
    return _("seed of the measurement %(seed)s") % {"seed": one.run.spec.get("seed")}
