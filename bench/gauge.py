"""What the gauge of retention finds of planted models, and how its margin was calibrated.

The demonstration's own texts (the base continues the first tokens of each general passage that is
never replayed) are scored by models whose damage is known: the base itself, its weights rounded to
fewer bits, the demonstration's continual pre-training, and the same without replay at ten times the
learning rate. Rounded to bf16 the base must PASS, without replay at ten times the rate it must
FAIL, and near the margin the half-width of an interval must be at most half the margin. Training
that has finished, and scores, are kept in `var/bench/gauge`.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from bench.protocol import Result, Table
from pipeline.contracts.codec import bytes_digest, canonical_json
from pipeline.contracts.evaluation_spec import EvaluateSpec, GaugeSettings
from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from pipeline.contracts.gauge_results import GaugeScore, GaugeVerdict
from pipeline.contracts.reports import parse_report
from pipeline.contracts.specs import PlanSpec, PlanStep
from pipeline.contracts.training_specs import ContinualPretrainSpec
from pipeline.contracts.verdicts import Verdict
from pipeline.data.datasets import read_rows
from pipeline.data.records import Document
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.demo.base_model import SMOLLM2, prepare_base_model
from pipeline.demo.plan import BUDGETS, build_plan
from pipeline.evaluation.language_modeling import (
    GaugeText,
    read_gauge_scores,
    read_gauge_texts,
    sample_gauge_texts,
    score_gauge_texts,
    write_gauge_scores,
    write_gauge_texts,
)
from pipeline.metrics.gauge import judge_gauge
from pipeline.modeling.clean_directory import model_digest
from pipeline.modeling.loading import load_model, load_tokenizer

ROOT = Path(__file__).resolve().parents[1]
DATA_DIR = ROOT / "examples/soae_demo"
FORGETTING, DEMONSTRATION = "no replay, ten times the learning rate", "as in the demonstration"
MUST = {"rounded to bf16": Verdict.PASS, FORGETTING: Verdict.FAIL}
_GROUP = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A model whose damage is known."""

    name: str
    key: str
    """Names its weights, so that scores are kept for them and no others."""
    load: Callable[[], PreTrainedModel]


def run(arguments: Sequence[str]) -> Result:
    """The verdict on every planted model."""
    options = _parser().parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    base_path = prepare_base_model(options.base, options.work.parent / "models")
    plan = build_plan(base=base_path, data_dir=DATA_DIR, lang="en", budget=BUDGETS["demonstration"])
    trained = dict(options.trained) or _trained(plan, options.work)
    base = load_model(base_path, dtype=torch.float32, device="cpu")
    spec = _evaluation(plan)
    work = options.work / bytes_digest(f"{_asked(spec)} {model_digest(base_path)}".encode())[:12]
    work.mkdir(exist_ok=True)
    texts = _texts(spec, base, base_path, work / "texts.jsonl")
    planted = [*_rounded(base_path), *(_checkpoint(*named) for named in trained.items())]
    rows, failures = [], []
    for one in (Planted(name="the base itself", key="base", load=lambda: base), *planted):
        scores = _scores(one, base, texts, work)
        found = judge_gauge(scores, margin=GAUGE_MARGIN)
        failures += _failures(one.name, found)
        rows.append(_row(one.name, scores, found))
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    columns = ["planted model", "KL, bits per byte", "95% interval", "half-width / margin",
               "bits per byte, model / base", "passages", "verdict", "why"]  # fmt: skip
    return Result(
        table=Table(columns=columns, rows=rows),
        figures={"margin_bits_per_byte": GAUGE_MARGIN},
        failures=failures,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench gauge")
    parser.add_argument("--base", default=SMOLLM2.name, help="a known model, or its directory")
    parser.add_argument("--work", type=Path, default=ROOT / "var/bench/gauge")
    parser.add_argument(
        "--trained",
        type=lambda text: text.split("=", 1),
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a checkpoint to score instead of training those of the table",
    )
    return parser


def rounded(weight: Tensor, bits: int) -> Tensor:
    """The weight with each group of 32 values rounded to `bits` bits, symmetrically.

    Source: the block formats Q8_0 and Q4_0 of llama.cpp, without their packing.
    """
    groups = weight.reshape(-1, _GROUP)
    step = groups.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (torch.round(groups / step.clamp_min(1e-30)) * step).reshape(weight.shape)


def _rounded(base_path: Path) -> Iterator[Planted]:
    def load(change: Callable[[Tensor], Tensor]) -> PreTrainedModel:
        model = load_model(base_path, dtype=torch.float32, device="cpu")
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() > 1:
                    weight.copy_(change(weight))
        return model

    yield Planted(
        name="rounded to bf16",
        key="bf16",
        load=lambda: load(lambda weight: weight.bfloat16().float()),
    )
    for bits in (8, 6, 5, 4):
        yield Planted(
            name=f"rounded to {bits} bits",
            key=f"{bits} bits",
            load=functools.partial(load, functools.partial(rounded, bits=bits)),
        )


def _checkpoint(name: str, path: str) -> Planted:
    return Planted(
        name=name,
        key=model_digest(Path(path)),
        load=lambda: load_model(Path(path), dtype=torch.float32, device="cpu"),
    )


def _trained(plan: PlanSpec, work: Path) -> dict[str, str]:
    """Name and directory of the two trained models; what has finished is not trained again."""
    from pipeline.__main__ import main as pipeline_main

    cpt = next(step.spec for step in plan.steps if step.id == "cpt")
    assert isinstance(cpt, ContinualPretrainSpec)  # noqa: S101 (the plan's own step)
    domain = cpt.sources[0].model_copy(update={"weight": 1.0})
    faster = cpt.optimizer.model_copy(update={"learning_rate": 10 * cpt.optimizer.learning_rate})
    specs = {
        "no_replay": cpt.model_copy(
            update={"name": FORGETTING, "sources": (domain,), "optimizer": faster, "heldout": ()}
        ),
        "demonstration": cpt,
    }
    steps = tuple(PlanStep(id=step_id, spec=spec) for step_id, spec in specs.items())
    request, plan_dir = work / "request.json", work / "plan"
    request.write_bytes(canonical_json(PlanSpec(name="planted models", steps=steps)))
    if pipeline_main(["run", str(request), "--run-dir", str(plan_dir), "--replace"]) != 0:
        raise SystemExit(1)
    names = {"no_replay": FORGETTING, "demonstration": DEMONSTRATION}
    return {name: _model_of(plan_dir / "steps" / step_id) for step_id, name in names.items()}


def _model_of(run_dir: Path) -> str:
    report = parse_report((run_dir / "report.json").read_bytes())
    return str(run_dir / report.outputs["model"].path)


def _evaluation(plan: PlanSpec) -> EvaluateSpec:
    spec = next(step.spec for step in plan.steps if step.id == "evaluate_base")
    assert isinstance(spec, EvaluateSpec)  # noqa: S101 (the plan's own step)
    return spec


def _settings(spec: EvaluateSpec) -> GaugeSettings:
    assert spec.gauge is not None  # noqa: S101 (the plan asks for it)
    return spec.gauge


def _asked(spec: EvaluateSpec) -> str:
    """What decides the texts and their scores; the margin does not."""
    return _settings(spec).model_copy(update={"margin": None}).model_dump_json()


def _texts(
    spec: EvaluateSpec, base: PreTrainedModel, base_path: Path, path: Path
) -> list[GaugeText]:
    """The texts that the demonstration's evaluations score; sampled once."""
    if path.exists():
        return read_gauge_texts(path)
    settings = _settings(spec)
    texts = sample_gauge_texts(
        AutoregressiveEngine(base),
        load_tokenizer(base_path),
        read_rows(settings.prompts, Document),
        num_samples=settings.num_samples,
        num_prompt_tokens=settings.num_prompt_tokens,
        max_new_tokens=settings.max_new_tokens,
        seed=spec.seed,
    )
    write_gauge_texts(texts, path)
    return texts


def _scores(
    one: Planted, base: PreTrainedModel, texts: Sequence[GaugeText], work: Path
) -> list[GaugeScore]:
    """Of every text; those that an earlier call has scored are read."""
    path = work / f"{bytes_digest(one.key.encode())[:12]}.jsonl"
    if not path.exists():
        started = time.perf_counter()
        write_gauge_scores(list(score_gauge_texts(one.load(), base, texts)), path)
        print(f"{one.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return read_gauge_scores(path)


def _failures(name: str, found: GaugeVerdict) -> list[str]:
    expected, estimate = MUST.get(name), found.kl_bits_per_byte
    failures = []
    if expected is not None and found.verdict is not expected:
        failures.append(f"{name}: {found.verdict}, not {expected}")
    if estimate.interval is not None and estimate.value <= 2 * found.margin:
        low, high, _level = estimate.interval
        if high - low > found.margin:
            failures.append(f"{name}: half-width {(high - low) / 2:.4f} at margin {found.margin}")
    return failures


def _row(name: str, scores: Sequence[GaugeScore], found: GaugeVerdict) -> list[object]:
    estimate, ratio = found.kl_bits_per_byte, found.bits_per_byte_ratio
    low, high, _level = estimate.interval or (estimate.value, estimate.value, 0.0)
    return [
        name,
        estimate.value,
        "-" if estimate.interval is None else f"{low:.3g} ... {high:.3g}",
        (high - low) / 2 / found.margin,
        "-" if ratio is None else ratio.value,
        f"{estimate.num_units} ({len(scores)} texts)",
        str(found.verdict),
        str(found.reason),
    ]
