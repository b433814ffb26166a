"""Finished evaluations and benchmarks, made by the code that makes them in use.

Only the models are invented: an answer is a seeded cut of the reference, a choice a seeded draw.
All scores, samples files and report figures come from the pipeline itself, which takes seconds, so
they are computed once for each pair of texts and of files.
"""

import json
import math
import random
from functools import cache
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from pipeline.contracts.codec import canonical_json, digest
from pipeline.contracts.decoding_results import (
    DecodingCosts,
    LosslessnessCounts,
    LosslessnessResults,
    SpeculativeDecodeResults,
)
from pipeline.contracts.evaluation_results import (
    EvaluateResults,
    NullChange,
    RetentionByScore,
)
from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from pipeline.contracts.gauge_results import GaugeScore
from pipeline.contracts.manifest import file_sha256
from pipeline.contracts.reports import Environment, Output, Report, stored_report
from pipeline.contracts.samples import MEASURES
from pipeline.contracts.specs import parse_run_spec
from pipeline.contracts.training_results import ContinualPretrainResults, CurriculumSftResults
from pipeline.decoding.base import Completion, SpeculationStats
from pipeline.evaluation.decoding_figures import Arm, Measurement, arm_figures
from pipeline.evaluation.flip_nulls import read_flip_nulls
from pipeline.evaluation.general_ability import DEFINITION as CHOICE_DEFINITION
from pipeline.evaluation.general_ability import ChoiceResult, choice_figures
from pipeline.evaluation.generation import text_overlap_results
from pipeline.evaluation.overlap_comparison import compare_overlap
from pipeline.evaluation.retention_pairs import retention_items
from pipeline.evaluation.samples import (
    AnswerSample,
    SecondAnswers,
    read_samples,
    write_samples,
)
from pipeline.metrics.gauge import summarize_gauge
from pipeline.metrics.paired import compare_paired, pair_by_id
from pipeline.metrics.retention import measure_retention
from pipeline.metrics.text_overlap import repeated_4gram_rate, score_samples, tokenize
from studio.registry.publishers import publish_checkpoint
from studio.runs.models import Plan, Run
from studio.runs.paths import attempt_dir
from studio.runs.states import Queue, RunState

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/soae_demo"
HOSTILE = '</div><script>alert("x")</script><b onmouseover=alert(1)>国资委</b> & {{ csrf_token }}'
_COMPARED = {}
_TRAINED = {"steps": 10, "tokens": 1000, "trained_tokens": 900, "seconds": 2.0,
            "tokens_per_second": 500.0}  # fmt: skip
_PHASE = _TRAINED | {"tokens_by_source": {}, "loss_first": 3.0, "loss_last": 1.25}
ENVIRONMENT = Environment(
    python="3.11.2",
    packages={"torch": "2.13.0", "transformers": "5.19.0"},
    platform="Linux",
    processor="Test CPU",
    num_threads=2,
    device="cpu",
    dtype="float32",
)


def domain_items(lang, limit=None):
    """Rows of the demonstration's domain test set."""
    lines = (EXAMPLES / f"domain_test.{lang}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines[:limit]]


def answers(items, *, quality, seed=0, unseen=()):
    """What a model of this quality (share of the reference it knows) answered."""
    rng = random.Random(seed)
    predictions = []
    for item in items:
        words = list(item["output"]) if item["lang"] == "zh" else item["output"].split()
        known = [word for word in words if rng.random() < quality]
        predictions.append(("" if item["lang"] == "zh" else " ").join(known))
    return answer_samples(items, predictions, unseen=unseen)


@cache
def overlap(prediction, reference):
    """The pipeline's scores of one answer."""
    return score_samples([prediction], [reference])[0]


def answer_samples(items, predictions, *, unseen=()):
    """These answers with their real scores."""
    overlaps = [
        overlap(prediction, item["output"])
        for item, prediction in zip(items, predictions, strict=True)
    ]
    return [
        AnswerSample(
            item_id=item["id"],
            category=item["meta"].get("category", ""),
            lang=item["lang"],
            document_id=item["meta"].get("doc_id", ""),
            document_seen=item["meta"].get("doc_id", "") not in unseen,
            prompt="\n".join(part for part in (item["instruction"], item["input"]) if part),
            reference=item["output"],
            answer=prediction,
            scores=scores.columns()
            | {
                "cut_at_cap": len(prediction) > 0.9 * len(item["output"]),
                "repeated_4gram_rate": repeated_4gram_rate(tokenize(prediction)),
                "reference_bits_per_byte": 1.5 - len(prediction) / (2 * len(item["output"])),
                "num_reference_bytes": len(item["output"].encode()),
            },
        )
        for item, prediction, scores in zip(items, predictions, overlaps, strict=True)
    ]


def choices(num_items, *, accuracy, seed=0, categories=("science", "history", "law")):
    """Multiple-choice results; equal seeds answer most questions alike."""
    ease = random.Random(7)
    noise = random.Random(seed)
    results = []
    for index in range(num_items):
        is_right = ease.random() + noise.gauss(0, 0.05) < accuracy
        right = index % 4
        picked = right if is_right else (right + 1) % 4
        results.append(
            ChoiceResult(
                item_id=f"mcq-{index:04d}",
                category=categories[index % len(categories)],
                cluster=None,
                lang="zh",
                question=f"第{index}题：下列说法正确的是？",
                choices=tuple(f"选项{letter}" for letter in "甲乙丙丁"),
                answer=right,
                log_likelihoods=tuple(
                    -1.0 - noise.random() - (0.0 if choice == picked else 2.0)
                    for choice in range(4)
                ),
            )
        )
    return results


def asked_again(chosen, *, lost):
    """A base's second answers, by the words around the question: the first `lost` right ones go."""
    right = [one.item_id for one in chosen if one.is_correct]
    return (
        SecondAnswers(
            name="prompt",
            changes=(NullChange(what="wording", before="Question: …", after="Q: …"),),
            is_correct={
                one.item_id: one.is_correct and one.item_id not in right[:lost] for one in chosen
            },
        ),
    )


def make_run(project, user, spec, report_fields, *, name, plan=None, step_id="", outputs=None):
    """A succeeded run with a report; `outputs` writes files below the attempt's directory.

    `report_fields["results"]` may be a function of that directory, called after `outputs`.
    """
    parsed = parse_run_spec(json.dumps(spec))
    run = Run.objects.create(
        project=project,
        kind=parsed.kind,
        name=name,
        spec=json.loads(canonical_json(parsed)),
        spec_digest=digest(parsed),
        queue=Queue.COMPUTE,
        state=RunState.QUEUED,
        created_by=user,
        plan=plan,
        step_id=step_id,
        attempt=1,
    )
    directory = attempt_dir(run.pk, 1)
    directory.mkdir(parents=True, exist_ok=True)
    written = outputs(directory) if outputs else {}
    results = report_fields.pop("results")
    report = Report(
        spec_digest=digest(parsed),
        code_version="a" * 40,
        started_at=timezone.now().isoformat(),
        seconds=1.5,
        environment=ENVIRONMENT,
        outputs=written,
        results=results(directory) if callable(results) else results,
        **report_fields,
    )
    run.state, run.report = RunState.SUCCEEDED, json.loads(report.model_dump_json())
    run.started_at = run.finished_at = timezone.now()
    run.save()
    return run


def make_training(project, user, kind, model_digest, *, mode="progressive", **where):
    """A training run that made the model with this digest."""
    common = {"model": {"path": "/models/base"}, "optimizer": {"learning_rate": 5e-5}}
    if kind == "continual_pretrain":
        corpus = {"path": "/data/corpus.jsonl", "kind": "corpus"}
        own = {"num_tokens": 1000, "sources": [{"name": "domain", "dataset": corpus, "weight": 1}]}
        results = ContinualPretrainResults(**_PHASE, epochs_by_source={}, heldout=())
    else:
        data = {"path": "/data/sft.jsonl", "kind": "conversations"}
        stage = {"name": "expert", "num_tokens": 1000, "datasets": [data]}
        own = {"mode": mode, "stages": [stage]}
        results = CurriculumSftResults(**_TRAINED, mode=mode, stages=())
    output = {"model": Output(path="checkpoints/step-10", digest=model_digest)}
    run = make_run(
        project, user, common | own | {"kind": kind}, {"results": results},
        outputs=lambda _: output, **where,
    )  # fmt: skip
    with transaction.atomic():
        publish_checkpoint(run, stored_report(run.report))
    return run


def gauge_results(bits_per_byte, kl_bits_per_byte, *, num_passages=24, margin=GAUGE_MARGIN):
    """A gauge of texts that a base of 0.981 bits per byte wrote, judged as evaluations judge it.

    A third of the divergence comes from one passage in four.
    """
    nats = 260 * math.log(2)
    scores = [
        GaugeScore(
            id=f"g{number:02d}",
            passage=f"g{number:02d}",
            num_tokens=64,
            num_bytes=260,
            nats=nats * bits_per_byte,
            base_nats=nats * 0.981,
            kl_nats=nats * kl_bits_per_byte * (4 / 3 if number % 4 == 0 else 8 / 9),
        )
        for number in range(num_passages)
    ]
    return summarize_gauge(scores, margin=margin)


def make_evaluation(
    project,
    user,
    *,
    name,
    answered=(),
    chosen=(),
    model="1" * 64,
    base="0" * 64,
    baseline=None,
    spec=None,
    definitions=None,
    gauge=None,
    again=(),
    **where,
):
    """A finished `evaluate` run of these answers and choices, against `baseline` if given.

    `again`: the second answers of a base, by `asked_again`.
    """
    document = {"kind": "evaluate", "model": {"path": "/models/m"}, "base": {"path": "/models/b"}}
    if answered:
        data = {"path": "/data/domain.jsonl", "kind": "domain_test", "digest": "d" * 64}
        document["text_overlap"] = {"dataset": data, "max_new_tokens": 96}
    if chosen:
        data = {"path": "/data/mcq.jsonl", "kind": "multiple_choice", "digest": "e" * 64}
        document["general_ability"] = {"dataset": data, "retention_margin": 0.05}
    if gauge:
        document["gauge"] = {"prompts": {"path": "/data/general.jsonl", "kind": "corpus"}}
    if baseline is not None:
        path, content = samples_path(baseline), baseline.report["outputs"]["samples"]["digest"]
        document["baseline"] = {"path": str(path), "output": "samples", "digest": content}
    cap = (spec or {}).get("text_overlap", {}).get("max_new_tokens", 96)
    measured = EvaluateResults(
        text_overlap=text_overlap_results(answered, max_new_tokens=cap) if answered else None,
        general_ability=choice_figures(chosen) if chosen else None,
        gauge=None if gauge is None else gauge_results(*gauge),
    )

    def outputs(directory):
        path = directory / "samples.parquet"
        write_samples(answered, chosen, path, again=again)
        return {"samples": Output(path="samples.parquet", digest=file_sha256(path))}

    def results(directory):
        if baseline is None:
            nulls = read_flip_nulls(directory / "samples.parquet")
            return measured.model_copy(update={"flip_nulls": nulls})
        compared = _against(samples_path(baseline), directory / "samples.parquet", margin=0.05)
        return measured.model_copy(update=compared)

    fields = {
        "results": results,
        "inputs": {"model": model, "base": base},
        "definitions": {
            "text_overlap": "canonical: rouge-score with our tokenizer, sacrebleu BLEU-4 zh",
            "general_ability": CHOICE_DEFINITION,
            "engine": "torch",
        }
        | (definitions or {}),
    }
    document |= spec or {}
    return make_run(project, user, document, fields, name=name, outputs=outputs, **where)


def paired(baseline, candidate, *, measure, clusters=None):
    """The pipeline's comparison of one measure, from scores by item id."""
    shared, num_missing = pair_by_id(baseline, candidate)
    found = next(one for one in MEASURES if one.key == measure)
    sides = ({found.column: [side[item] for item in shared]} for side in (baseline, candidate))
    return compare_paired([found], *sides, clusters=clusters, num_missing=num_missing)[measure]


def results_of(run):
    """What the run's stored report holds."""
    return stored_report(run.report).results


def samples_path(run):
    """The run's samples file."""
    return attempt_dir(run.pk, 1) / "samples.parquet"


def make_benchmark(project, user, *, target="2" * 64, is_lossless=True, **where):
    """A finished `speculative_decode` run with a plain arm, n-gram lookup and two drafts."""
    rng = random.Random(3)
    measured = {
        name: _measurement(rng, seconds, survival)
        for name, seconds, survival in (
            ("autoregressive", 0.040, None),
            ("ngram", 0.037, (0.30, 0.15, 0.05)),
            ("distilled", 0.026, (0.72, 0.51, 0.36)),
            ("control_target_text", 0.029, (0.61, 0.38, 0.22)),
        )
    }
    costs = DecodingCosts(c=0.08, v=(1.0, 1.05, 1.09, 1.12), h=0.03, target_step_seconds=0.04)
    arms = {
        name: Arm(
            num_speculative_tokens=None if name == "autoregressive" else 3,
            costs=None if name == "autoregressive" else costs,
            survival=() if name == "autoregressive" else (0.7, 0.5, 0.3),
            num_parameters=1_200_000 if name.startswith(("d", "c")) else None,
        )
        for name in measured
    }
    plain = measured["autoregressive"]
    gate = LosslessnessCounts(
        is_lossless=is_lossless,
        num_prompts=6,
        num_identical=6 if is_lossless else 4,
        num_near_ties=0,
        largest_gap=None if is_lossless else 0.31,
    )
    results = SpeculativeDecodeResults(
        arms={name: arm_figures(arms[name], measured[name], plain, seed=0) for name in measured},
        losslessness=LosslessnessResults(
            is_lossless=is_lossless,
            arms={name: gate for name in measured if name != "autoregressive"},
            autoregressive_batch_1_vs_8=gate,
        ),
        num_prompts=6,
        num_repeats=3,
        engine="torch",
        interleaved=True,
        headline_arm="distilled",
    )
    spec = {
        "kind": "speculative_decode",
        "target": {"path": "/models/t"},
        "arms": [
            {"method": "draft_model", "name": "distilled", "model": {"path": "/models/d"}},
            {"method": "ngram"},
        ],
        "prompts": {"path": "/data/domain.jsonl", "kind": "domain_test"},
    }
    definition = "decode seconds, median over prompts and repeats, batch 1"
    fields = {"results": results, "inputs": {"target": target}}
    return make_run(project, user, spec, fields | {"definitions": {"speedup": definition}}, **where)


def make_recipe(project, user, *, lang="zh", num_items=40, num_choices=120):
    """A whole plan: base, CPT, both fine-tuned models and the benchmark. Runs by step id."""
    plan = Plan.objects.create(
        project=project, name="SOAEsV2 recipe", spec={}, spec_digest="f" * 64, created_by=user
    )
    items = domain_items(lang, num_items)
    unseen = sorted({item["meta"]["doc_id"] for item in items})[::5]
    runs = {}

    def evaluate(step_id, quality, accuracy, seed, **options):
        runs[step_id] = make_evaluation(
            project, user, name=step_id, step_id=step_id, plan=plan,
            answered=answers(items, quality=quality, seed=seed, unseen=unseen),
            chosen=choices(num_choices, accuracy=accuracy, seed=seed), **options,
        )  # fmt: skip

    def train(step_id, kind, model, **options):
        runs[step_id] = make_training(
            project, user, kind, model, name=step_id, step_id=step_id, plan=plan, **options
        )

    base, cpt, progressive, single = ("0" * 64, "1" * 64, "2" * 64, "3" * 64)
    evaluate("evaluate_base", 0.35, 0.60, 1, model=base, gauge=(0.981, 0.0))
    against = {"baseline": runs["evaluate_base"], "base": base}
    train("cpt", "continual_pretrain", cpt)
    evaluate("evaluate_cpt", 0.42, 0.59, 2, model=cpt, gauge=(0.993, 0.012), **against)
    train("sft_progressive", "curriculum_sft", progressive)
    train("sft_single_stage", "curriculum_sft", single, mode="single_stage")
    evaluate("evaluate_sft_progressive", 0.62, 0.57, 3, model=progressive,
             gauge=(1.031, 1.03 * GAUGE_MARGIN), **against)  # fmt: skip
    evaluate("evaluate_sft_single_stage", 0.58, 0.50, 4, model=single,
             gauge=(1.080, 2 * GAUGE_MARGIN), **against)  # fmt: skip
    runs["speculative_decode"] = make_benchmark(
        project, user, name="decoding benchmark", step_id="speculative_decode", plan=plan
    )
    return runs


def _against(baseline, samples, *, margin):
    """The report's comparison with its baseline, by the recipe's own parts."""
    key = file_sha256(baseline), file_sha256(samples), margin
    if key not in _COMPARED:
        _COMPARED[key] = _compare(baseline, samples, margin=margin)
    return _COMPARED[key]


def _compare(baseline, samples, *, margin):
    compared = {}
    rows = [read_samples(path, "general_ability") for path in (baseline, samples)]
    if rows[0] and rows[1]:
        nulls = read_flip_nulls(baseline)
        compared["retention"] = RetentionByScore(
            **{
                name: measure_retention(
                    retention_items(*rows, score=score), margin=margin, nulls=nulls
                )
                for name, score in (("accuracy", "is_correct"), ("probability", "probability"))
            }
        )
    rows = [read_samples(path, "text_overlap") for path in (baseline, samples)]
    if rows[0] and rows[1]:
        compared["text_overlap_vs_baseline"] = compare_overlap(*rows)
    return compared


def _measurement(rng, seconds, survival):
    completions = []
    for prompt in range(6):
        tokens = tuple(rng.randrange(5000) for _ in range(40 + prompt))
        speculation = None
        if survival is not None:
            accepted = tuple(round(20 * share) for share in survival)
            speculation = SpeculationStats(
                num_drafts=20,
                num_draft_tokens=60,
                num_accepted_tokens=sum(accepted),
                accepted_per_position=accepted,
                num_target_steps=21,
                num_model_steps=60,
            )
        completions.append(
            [
                Completion(
                    token_ids=tokens,
                    finish_reason="stop",
                    prefill_seconds=0.1,
                    decode_seconds=seconds * (len(tokens) - 1) * rng.uniform(0.95, 1.05),
                    speculation=speculation,
                )
                for _ in range(3)
            ]
        )
    return Measurement(completions=completions)
