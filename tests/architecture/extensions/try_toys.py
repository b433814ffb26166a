"""The toys of `test_extensions.py` at work; run as a test in the copy that has them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.urls import reverse

from pipeline.__main__ import main
from pipeline.contracts.evaluation_spec import TextOverlapSettings
from pipeline.contracts.references import DomainTestRef
from pipeline.data.records import DomainItem
from pipeline.decoding.arms import open_proposer
from pipeline.decoding.autoregressive import AutoregressiveEngine
from pipeline.decoding.base import SamplingParams
from pipeline.decoding.speculative import SpeculativeEngine
from pipeline.evaluation.generation import answer_items, text_overlap_results
from pipeline.evaluation.samples import write_samples
from pipeline.execution import RunContext
from pipeline.modeling.tiny import tiny_llama, tiny_tokenizer


class Silent:
    def emit(self, payload: object) -> None:
        """Progress is not under test."""


def test_the_metric_is_a_figure_a_column_and_a_label(tmp_path: Path) -> None:
    from studio.measures.labels import MEASURES

    items = [
        DomainItem(
            id=f"i{n}", lang="en", instruction=f"Question {n}", input="", output="a", meta={}
        )
        for n in range(3)
    ]
    settings = TextOverlapSettings(
        dataset=DomainTestRef(path="unused", kind="domain_test"), max_new_tokens=6
    )
    context = RunContext(run_dir=tmp_path, spec_digest="0" * 64, events=Silent())
    engine = AutoregressiveEngine(tiny_llama(seed=3).eval())
    samples = answer_items(engine, tiny_tokenizer(), items, settings, context, max_new_tokens=6)
    expected = sum(len(sample.answer) for sample in samples) / 3
    assert (
        text_overlap_results(samples, max_new_tokens=6).figures["num_answer_characters"] == expected
    )
    write_samples(samples, [], tmp_path / "samples.parquet")
    column = pq.read_table(tmp_path / "samples.parquet")["num_answer_characters"].to_pylist()
    assert column == [len(sample.answer) for sample in samples]
    assert str(MEASURES["num_answer_characters"].words.name) == "Characters"


def test_the_kind_runs_and_reports(tmp_path: Path) -> None:
    rows = [{"id": f"d{n}", "lang": "en", "text": f"Text {n}."} for n in range(4)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = tmp_path / "spec.json"
    dataset = {"kind": "corpus", "path": str(corpus)}
    spec.write_text(json.dumps({"kind": "count_rows", "dataset": dataset}))
    assert main(["run", str(spec), "--run-dir", str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["results"] == {"kind": "count_rows", "num_rows": 4}


def test_the_method_drafts_without_changing_the_answer() -> None:
    from pipeline.contracts.decoding_spec import RepeatArm

    target = tiny_llama(seed=3).eval()
    prompts, params = [[1, 2, 3], [7, 7]], SamplingParams(max_new_tokens=12)
    plain = AutoregressiveEngine(target).generate(prompts, params)
    proposer = open_proposer(RepeatArm(), target)
    drafted = SpeculativeEngine(target, proposer, num_speculative_tokens=3).generate(
        prompts, params
    )
    assert [one.token_ids for one in drafted] == [one.token_ids for one in plain]


@pytest.mark.django_db
def test_the_page_opens_for_a_member_and_nobody_else(client, factories) -> None:
    from studio.accounts.models import Role

    project = factories.make_project()
    address = reverse("runs:count", args=[project.slug])
    assert client.get(address).status_code == 302
    client.force_login(factories.make_user("ines", project=project, role=Role.ENGINEER))
    response = client.get(address)
    assert response.status_code == 200
    assert b"<h1>0</h1>" in response.content
    client.force_login(factories.make_user("otto"))
    assert client.get(address).status_code == 404
