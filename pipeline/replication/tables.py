"""The tables of `docs/results.md`."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.contracts.claims import CLAIMS, Claim
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.training_results import ContinualPretrainResults, CurriculumSftResults
from pipeline.replication.arms import ARMS, BASE, DOSES, FINE_TUNINGS, RATES
from pipeline.replication.rates import SELECTED_BY, chosen_rate, development_figures
from pipeline.replication.results import Checkpoint, Compared, ContrastResults, PartResults
from pipeline.replication.words import (
    NONE,
    interval,
    number_of,
    rank,
    shown,
    shown_range,
    verdict_of,
    word_of,
)

NOT_RUN = "not run yet"
_MORE_CLAIMS: Sequence[tuple[str, str, str, str]] = tuple(
    (f"{title}, `{measure}`", baseline, "sft_progressive", measure)
    for baseline, title in (
        ("sft_expert_only", "Progressive over expert data alone"),
        ("sft_from_base", "Fine-tuned after CPT over fine-tuned without"),
    )
    for measure in ("reference_bits_per_byte", "rouge1", "bleu4")
)
"""Other readings of the paper's ratios: (title, baseline, candidate, measure)."""
_IN_DOSE_TABLE = ("is_correct", "reference_bits_per_byte", "rouge1", "bleu4")


def arm_title(key: str) -> str:
    """What an arm is called."""
    return "base" if key == BASE else ARMS[key].title


def claims_table(parts: Iterable[PartResults], *, with_more: bool) -> list[str]:
    """The paper's claims and what the parts, of one language, have beside them."""
    found = list(parts)
    rows = [_claim_row(claim, found) for claim in CLAIMS]
    if with_more:
        rows += [
            _ratio_row(title, NONE, _compared(found, baseline, candidate, measure))
            for title, baseline, candidate, measure in _MORE_CLAIMS
        ]
    return table(
        (
            "claim", "paper", "here", "interval over questions", "n",
            "seeds: least ... largest", "word or verdict",
        ),
        rows,
    )  # fmt: skip


def dose_table(part: PartResults) -> list[str]:
    """One row for each share of replay."""
    rows = []
    for key, share in DOSES.items():
        checkpoint = part.checkpoint(key)
        if checkpoint is None or not isinstance(checkpoint.training, ContinualPretrainResults):
            continue
        training, gauge = checkpoint.training, checkpoint.evaluation.gauge
        judged = None if gauge is None else gauge.judged
        contrast = part.contrast(BASE, key)
        measures = {} if contrast is None else contrast.measures
        (heldout,) = training.heldout
        rows.append(
            (
                f"{share:.0%}",
                " + ".join(f"{n:,} {name}" for name, n in training.tokens_by_source.items()),
                NONE if judged is None else f"{judged.kl_bits_per_byte.value:.4f}",
                NONE if judged is None else interval(judged.kl_bits_per_byte, 4),
                NONE if judged is None else f"{judged.margin:g}",
                verdict_of(judged),
                f"{heldout.before.bits_per_byte:.3f} -> {heldout.after.bits_per_byte:.3f}",
                *(
                    _mean_change(measures.get(key), key)
                    for key in ("is_correct", "rouge1", "bleu4")
                ),
            )
        )
    return table(
        (
            "replay", "tokens", "KL(base \\|\\| model), bits per byte", "95% interval", "margin",
            "verdict", "held-out domain text, bits per byte",
            *(f"`{key}`" for key in _IN_DOSE_TABLE),
        ),
        rows,
    )  # fmt: skip


def checkpoint_table(part: PartResults) -> list[str]:
    """Every checkpoint, each seed by itself."""
    tested = [c for c in part.checkpoints if c.arm == BASE or ARMS[c.arm].judged_on == "test"]
    keys = [m.key for m in MEASURES if any(m.key in _figures(c) for c in tested)]
    return table(
        (
            "checkpoint", "seed", "tokens", "of them trained", *(f"`{key}`" for key in keys),
            "KL, bits per byte", "retention",
        ),
        (_checkpoint_row(checkpoint, keys) for checkpoint in tested),
    )  # fmt: skip


def contrast_table(contrast: ContrastResults) -> list[str]:
    """One row for each measure, losses first: every seed, their spread, the mean and its word."""
    seeds = sorted({seed for one in contrast.measures.values() for seed in one.by_seed})
    rows = []
    for key, one in sorted(contrast.measures.items(), key=lambda each: rank(each[1])):
        if one.judgement is None:
            continue
        rows.append(
            (
                f"`{key}`",
                *(shown(key, one.by_seed[seed].difference.value, signed=True) for seed in seeds),
                shown_range(key, *one.spread) if len(seeds) > 1 else "one seed",
                shown(key, one.mean.difference.value, signed=True),
                shown_range(key, one.judgement.low, one.judgement.high),
                word_of(one),
                shown_range(key, one.mean.difference.low, one.mean.difference.high),
                NONE
                if one.unseen is None
                else shown(key, one.unseen.difference.value, signed=True),
                number_of(one),
            )
        )
    return table(
        (
            "measure", *(f"seed {seed}" for seed in seeds), "least ... largest", "mean",
            "simultaneous interval", "word", "95% interval", "unseen documents", "n",
        ),
        rows,
    )  # fmt: skip


def rates_table(part: PartResults) -> list[str]:
    """The development figure of every arm at every rate, and the rate that was taken."""
    evaluations = {one.arm: one.evaluation for one in part.checkpoints if one.seed == 0}
    rows = []
    for method, title in FINE_TUNINGS.items():
        figures = development_figures(evaluations, method)
        chosen = RATES[chosen_rate(evaluations, method)]
        rows.append((title, *(f"{figures[name]:.4f}" for name in RATES), f"{chosen:g}"))
    rates = (f"`{SELECTED_BY}` at {rate:g}" for rate in RATES.values())
    return table(("arm", *rates, "chosen"), rows)


def decoding_table(part: PartResults) -> list[str]:
    """Every way to decode."""
    if part.decoding is None:
        return []
    rows = []
    for name, arm in part.decoding.arms.items():
        rows.append(
            (
                f"`{name}`",
                NONE if arm.tokens_per_second is None else f"{arm.tokens_per_second:.1f}",
                NONE if arm.speedup is None else f"{arm.speedup.value:.2f}x",
                interval(arm.speedup, 2),
                NONE if arm.speedup is None else f"{arm.speedup.n} prompts",
                NONE if arm.mean_acceptance_length is None else f"{arm.mean_acceptance_length:.2f}",
                NONE
                if arm.fraction_of_oracle_bound is None
                else f"{arm.fraction_of_oracle_bound:.0%}",
            )
        )
    return table(
        ("arm", "tokens/s", "speedup", "95% interval", "n", "tokens a target step", "of the bound"),
        rows,
    )


def minutes_table(parts: Iterable[PartResults]) -> list[str]:
    """Every step once."""
    seconds: dict[tuple[str, str], float] = {}
    for part in parts:
        seconds.update({(part.base, step): took for step, took in part.seconds.items()})
    rows = [(f"`{step}`", base, f"{took / 60:.1f}") for (base, step), took in seconds.items()]
    total = sum(seconds.values()) / 60
    return table(("step", "base model", "minutes"), [*rows, ("all", "", f"{total:.0f}")])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _claim_row(claim: Claim, parts: Sequence[PartResults]) -> tuple[str, ...]:
    title = claim.title.en
    if claim.gauge == "retention":
        return _retention_row(claim, parts)
    if claim.gauge == "speedup":
        return _speedup_row(claim, parts)
    assert claim.pair is not None  # noqa: S101 (of an overlap claim)
    compared = _compared(parts, *claim.pair, claim.measure or "")
    return _ratio_row(title, claim.published, compared)


def _ratio_row(title: str, published: str, compared: Compared | None) -> tuple[str, ...]:
    if compared is None or compared.mean.ratio is None or compared.judgement is None:
        return title, published, NOT_RUN, NONE, NONE, NONE, NONE
    spread = compared.ratio_spread
    return (
        title,
        published,
        f"{compared.mean.ratio.value:.3f}x",
        interval(compared.judgement.ratio),
        number_of(compared),
        f"one seed ({min(compared.by_seed)})"
        if len(compared.by_seed) == 1
        else NONE
        if spread is None
        else f"{len(compared.by_seed)}: {spread[0]:.3f} ... {spread[1]:.3f}",
        word_of(compared),
    )


def _retention_row(claim: Claim, parts: Sequence[PartResults]) -> tuple[str, ...]:
    every = [c for part in parts for c in part.checkpoints if c.arm == claim.candidate]
    gauge = every[0].evaluation.gauge if every else None
    if gauge is None or gauge.judged is None:
        return claim.title.en, claim.published, NOT_RUN, NONE, NONE, NONE, NONE
    judged = gauge.judged
    kl = judged.kl_bits_per_byte
    return (
        claim.title.en,
        f"{claim.published}, of what is not published",
        f"KL {kl.value:.4f} bits per byte",
        interval(kl, 4),
        f"{kl.n} texts ({kl.num_units} passages)",
        f"one seed ({every[0].seed})",
        f"{verdict_of(judged)} at a margin of {judged.margin:g}",
    )


def _speedup_row(claim: Claim, parts: Sequence[PartResults]) -> tuple[str, ...]:
    decoding = next((part.decoding for part in parts if part.decoding is not None), None)
    speedup = None if decoding is None else decoding.arms[decoding.headline_arm].speedup
    if decoding is None or speedup is None:
        return claim.title.en, claim.published, NOT_RUN, NONE, NONE, NONE, NONE
    is_lossless = decoding.losslessness is not None and decoding.losslessness.is_lossless
    return (
        claim.title.en,
        claim.published,
        f"{speedup.value:.3f}x",
        interval(speedup),
        f"{speedup.n} prompts",
        "one seed (0)",
        "lossless" if is_lossless else "losslessness not shown",
    )


def _compared(
    parts: Sequence[PartResults], baseline: str, candidate: str, measure: str
) -> Compared | None:
    for part in parts:
        contrast = part.contrast(baseline, candidate)
        if contrast is not None:
            return contrast.measures.get(measure)
    return None


def _mean_change(compared: Compared | None, key: str) -> str:
    if compared is None:
        return NONE
    return f"{shown(key, compared.mean.difference.value, signed=True)}: {word_of(compared)}"


def _figures(checkpoint: Checkpoint) -> Mapping[str, float]:
    evaluation = checkpoint.evaluation
    overlap = {} if evaluation.text_overlap is None else evaluation.text_overlap.figures
    general = {} if evaluation.general_ability is None else evaluation.general_ability.figures
    return {**overlap, **general}


def _checkpoint_row(checkpoint: Checkpoint, keys: Sequence[str]) -> tuple[str, ...]:
    training, gauge = checkpoint.training, checkpoint.evaluation.gauge
    judged = None if gauge is None else gauge.judged
    figures = _figures(checkpoint)
    return (
        arm_title(checkpoint.arm),
        NONE if training is None else str(checkpoint.seed),
        NONE if training is None else f"{training.tokens:,}",
        _trained_tokens(training),
        *(shown(key, figures.get(key)) for key in keys),
        NONE if judged is None else f"{judged.kl_bits_per_byte.value:.4f}",
        NONE if judged is None or training is None else judged.verdict.value,
    )


def _trained_tokens(training: ContinualPretrainResults | CurriculumSftResults | None) -> str:
    return NONE if training is None else f"{training.trained_tokens:,}"
