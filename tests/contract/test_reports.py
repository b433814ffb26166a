"""Reports: today's round trip, and those of version 1, taken from real runs, still open."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.kinds import RESULT_KINDS, RUN_KINDS
from pipeline.contracts.plans import check_gates
from pipeline.contracts.reports import Output, Report, parse_report, stored_report
from pipeline.contracts.results import value_at
from pipeline.contracts.samples import measures_of
from pipeline.contracts.specs import Gate
from pipeline.contracts.upgrades import upgrade_gate_path
from pipeline.errors import GateError, SpecError

OLD = Path(__file__).parent / "golden/v1/reports"
OLD_KINDS = tuple(sorted(path.stem for path in OLD.glob("*.json")))
"""Kinds that wrote reports of version 1; a kind that is newer has none."""


def old_document(kind: str) -> dict:
    return json.loads((OLD / f"{kind}.json").read_text(encoding="utf-8"))


def leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in leaves(child)]
    if isinstance(value, list):
        return [leaf for child in value for leaf in leaves(child)]
    return [value]


def places(value: object, above: tuple = ()) -> list[tuple]:
    """Every key and index of a document, outermost first."""
    children = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        children = enumerate(value)
    return [
        place for key, child in children for place in [(*above, key), *places(child, (*above, key))]
    ]


def test_every_kind_of_run_has_results() -> None:
    assert RESULT_KINDS == RUN_KINDS


@pytest.mark.parametrize("kind", OLD_KINDS)
def test_a_report_of_version_1_opens_and_keeps_every_number(kind: str) -> None:
    old = old_document(kind)
    report = parse_report(json.dumps(old))
    assert report.kind == kind
    for name in ("spec_digest", "code_version", "started_at", "seconds", "inputs", "definitions"):
        assert getattr(report, name) == old[name]
    new = report.results.model_dump(mode="json")
    kept = [leaf for leaf in leaves(new) if isinstance(leaf, float)]
    # A measure's level stands beside its interval; nothing else may get lost.
    for number in (leaf for leaf in leaves(old["metrics"]) if isinstance(leaf, float)):
        assert number in kept
    assert stored_report(old) == report


@pytest.mark.parametrize("kind", OLD_KINDS)
def test_todays_report_is_read_as_it_is_written(kind: str) -> None:
    report = stored_report(old_document(kind))
    written = report.model_dump_json()
    assert json.loads(written)["v"] == 2
    assert parse_report(written) == report
    assert Report.parse(written) == report


def test_the_figures_of_an_old_evaluation_stand_under_their_measures() -> None:
    old = old_document("evaluate")["metrics"]
    results = stored_report(old_document("evaluate")).results
    overlap = results.text_overlap
    assert set(overlap.figures) == {
        "rouge1", "rouge2", "rougeL", "bleu4", "num_answer_tokens", "cut_at_cap",
        "repeated_4gram_rate",
    }  # fmt: skip
    assert overlap.figures.keys() <= {m.key for m in measures_of("text_overlap", aggregated=True)}
    assert overlap.figures["rougeL"] == old["text_overlap"]["rougeL"]
    assert overlap.figures["cut_at_cap"] == old["text_overlap"]["cut_at_cap_fraction"]
    assert overlap.documents_unseen.n == old["text_overlap"]["documents_unseen"]["n"]
    assert results.general_ability.figures["is_correct"] == old["general_ability"]["accuracy"]
    rouge, old_rouge = results.text_overlap_vs_baseline["rouge1"], None
    old_rouge = old["text_overlap_vs_baseline"]["rouge1"]
    assert rouge.ratio.value == old_rouge["ratio"]
    interval = old_rouge["ratio_interval"]
    assert (rouge.ratio.low, rouge.ratio.high) == (interval["low"], interval["high"])
    assert (rouge.n, rouge.num_units) == (old_rouge["n"], old_rouge["num_units"])
    category = results.retention.accuracy.categories[0]
    old_category = old["retention"]["accuracy"]["categories"][0]["estimate"]
    assert category.estimate.num_items == old_category["num_items"]
    assert category.estimate.difference.level == old_category["difference_interval"]["level"]


def test_a_report_written_before_intervals_named_their_method_keeps_them() -> None:
    """Its intervals were percentiles of a bootstrap; what was not yet computed is None."""
    written = (OLD.parents[1] / "v2/reports/evaluate.json").read_text(encoding="utf-8")
    assert "clusters_needed" not in written
    report = parse_report(written)
    assert report == stored_report(old_document("evaluate"))
    retention = report.results.retention.accuracy
    assert retention.macro.adjusted_ratio.method == "percentile_bootstrap"
    assert retention.macro.difference.has_few_units is (retention.macro.num_units < 20)
    assert (retention.clusters_needed, retention.effective_items) == (None, None)
    assert (retention.worst_cluster, retention.flips.nulls) == (None, ())


PLACES = [(kind, place) for kind in OLD_KINDS for place in places(old_document(kind))]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    where=st.sampled_from(PLACES),
    value=st.sampled_from([None, "", "x", 0, -1, 1.5, True, [], {}, [None], {"value": {}}]),
    is_removed=st.booleans(),
)
def test_whatever_is_damaged_is_a_spec_error_and_nothing_else(where, value, is_removed) -> None:
    kind, place = where
    document = old_document(kind)
    node = document
    for part in place[:-1]:
        node = node[part]
    if is_removed:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    with contextlib.suppress(SpecError):
        parse_report(json.dumps(document))


@pytest.mark.parametrize("document", ["", "[]", "null", "{", '{"v": 1}', '{"v": 3}', b"\xff"])
def test_what_is_no_report_is_a_spec_error(document: str | bytes) -> None:
    with pytest.raises(SpecError):
        parse_report(document)


def test_a_damaged_report_is_refused_with_its_place() -> None:
    document = old_document("evaluate")
    document["metrics"]["gauge"]["num_texts"] = "two"
    with pytest.raises(SpecError, match=r"results\.(evaluate\.)?gauge\.num_texts"):
        stored_report(document)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("speculative_decode", "metrics.losslessness.is_lossless"),
        ("speculative_decode", "metrics.arms.distilled.speedup.low"),
        ("evaluate", "metrics.text_overlap.rouge1"),
        ("evaluate", "metrics.text_overlap.documents_seen.cut_at_cap_fraction"),
        ("evaluate", "metrics.text_overlap.mean_answer_tokens"),
        ("evaluate", "metrics.general_ability.mean_probability"),
        ("evaluate", "metrics.retention.accuracy.verdict"),
        ("evaluate", "metrics.retention.accuracy.macro.ratio"),
        ("evaluate", "metrics.retention.accuracy.macro.num_items"),
        ("evaluate", "metrics.text_overlap_vs_baseline.rouge1.ratio_interval.low"),
        ("evaluate", "metrics.text_overlap_vs_baseline.bleu4.difference"),
        ("evaluate", "metrics.text_overlap_vs_baseline.rouge1.n"),
        ("continual_pretrain", "metrics.loss_last"),
    ],
)
def test_a_gate_written_for_version_1_reads_the_same_figure(kind: str, path: str) -> None:
    old: object = old_document(kind)
    for part in path.split("."):
        old = old[part]
    report = stored_report(old_document(kind))
    upgraded = upgrade_gate_path(kind, path)
    assert value_at(report, upgraded) == old
    assert upgrade_gate_path(kind, upgraded) == upgraded
    check_gates("step", (Gate(metric=upgraded, operator="equal", value=old),), report)
    with pytest.raises(GateError, match="is None"):
        check_gates("step", (Gate(metric=f"{upgraded}.x", operator="equal", value=old),), report)


@pytest.mark.parametrize(
    "path",
    ["..", "../other", "a/../../b", "/etc/passwd", "a/..", "", ".", "./a", "a//b", "a/", "a\0b"],
)
def test_an_output_stays_in_the_run_directory(path: str) -> None:
    """Its path is joined to the attempt's directory, by plans and by what publishes it."""
    assert Output(path="checkpoints/step-10").path == "checkpoints/step-10"
    with pytest.raises(ValueError, match=r"run directory|shortest spelling"):
        Output(path=path)
