"""Stored answers under another profile: `python -m pipeline rescore`."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.contracts.rescoring import PROFILE_NAMES, RescoredAnswers
from pipeline.contracts.samples import COLUMNS
from pipeline.metrics.lf_overlap import score_lf
from pipeline.metrics.profiles import profiles
from pipeline.metrics.text_overlap import score_samples, summarize

ANSWERS = [
    ("q1", "zh", "营业收入三点五亿元，保值增值。", "营业收入3.5亿元，保值增值。", False),
    ("q2", "zh", "2023.12.31起施行", "自2023年12月31日起施行", True),
    ("q3", "zh", "", "同意", False),
    ("q4", "en", "The board decides.", "The board of directors decides.", False),
    ("q5", "en", "Net profit rose 3.6%", "Net profit rose 3.5%", False),
]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    rows: list[dict[str, object]] = [
        {"task": "text_overlap", "item_id": item_id, "lang": lang, "answer": answer,
         "reference": reference, "input": "问题", "cut_at_cap": is_cut, "cluster": f"d-{lang}"}
        for item_id, lang, answer, reference, is_cut in ANSWERS
    ]  # fmt: skip
    rows.append({"task": "general_ability", "item_id": "m1", "answer": "A", "reference": "B"})
    path = tmp_path / "samples.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def rescored(capsys: pytest.CaptureFixture[str], samples: Path, profile: str) -> RescoredAnswers:
    assert main(["rescore", str(samples), "--profile", profile, "--json"]) == 0
    return RescoredAnswers.parse(capsys.readouterr().out)


def test_every_profile_that_the_contract_names_is_there() -> None:
    assert tuple(profiles()) == PROFILE_NAMES
    signatures = {profile.signature for profile in profiles().values()}
    assert len(signatures) == len(PROFILE_NAMES)


def test_the_stored_profile_gives_the_figures_of_an_evaluation(capsys, samples) -> None:
    found = rescored(capsys, samples, "canonical")
    for group, langs in [
        (found.all, {"zh", "en"}),
        *((g, {k}) for k, g in found.languages.items()),
    ]:
        chosen = [answer for answer in ANSWERS if answer[1] in langs]
        expected = summarize(
            [one.columns() for one in score_samples(*zip(*(a[2:4] for a in chosen), strict=True))]
        ).figures
        assert group.n == len(chosen)
        assert set(group.figures) == {"rouge1", "rouge2", "rougeL", "bleu4"}
        for key, figure in group.figures.items():
            assert figure.value == pytest.approx(expected[key], abs=1e-9)
            # Answers about one document are one unit.
            assert (figure.n, figure.num_units) == (len(chosen), len(langs))


def test_another_profile_gives_its_own(capsys, samples) -> None:
    canonical, second, lf = (rescored(capsys, samples, name) for name in PROFILE_NAMES)
    assert second.languages["zh"].figures["rouge1"].value == pytest.approx(
        # A numeral and a date are what the reference says; the empty answer stays 0.
        (100 + score_samples(["2023年12月31日起施行"], [ANSWERS[1][3]])[0].rouge1) / 3
    )
    assert canonical.languages["zh"].figures["rouge1"].value < 60
    expected = score_lf(*zip(*(answer[2:4] for answer in ANSWERS), strict=True))
    for key, figure in lf.all.figures.items():
        assert figure.value == pytest.approx(sum(one[key] for one in expected) / 5)


def test_flags_are_counted_by_language_and_written_by_answer(capsys, samples, tmp_path) -> None:
    path = tmp_path / "answers.jsonl"
    arguments = ["rescore", str(samples), "--profile", "lf-zh-v1", "--answers", str(path)]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert table.startswith("lf-zh-v1: jieba:0.42.1|")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert {line["item_id"]: line["flags"] for line in lines} == {
        "q1": [], "q2": ["truncated"], "q3": ["empty"], "q4": [], "q5": ["number_mismatch"],
    }  # fmt: skip
    assert lines[2] == {"item_id": "q3", "lang": "zh", "rouge1": 0.0, "rouge2": 0.0, "rougeL": 0.0,
                        "bleu4": 0.0, "flags": ["empty"]}  # fmt: skip
    found = rescored(capsys, samples, "lf-zh-v1")
    assert (found.all.flags["empty"], found.languages["en"].flags["empty"]) == (1, 0)
    row = next(line for line in table.splitlines() if line.startswith("empty"))
    assert row.split() == ["empty", "1", "(20%)", "0", "(0%)", "1", "(33%)"]


def test_a_file_from_before_a_column_opens(capsys, samples) -> None:
    table = pq.read_table(samples)
    pq.write_table(table.drop_columns(["lang", "cluster", "cut_at_cap", "input"]), samples)
    found = rescored(capsys, samples, "canonical")
    assert list(found.languages) == [""]
    assert found.all.figures["rouge1"].num_units == len(ANSWERS)
    assert found.all.flags["truncated"] == 0


def test_the_columns_that_are_read_are_of_the_contract(samples) -> None:
    assert set(pq.read_schema(samples).names) <= set(COLUMNS)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "data.not_found"),
        (b"not parquet", "data.format_unsupported"),
        ([{"task": "text_overlap", "item_id": "q1"}], "data.format_unsupported"),
        ([{"task": "general_ability", "item_id": "m", "answer": "A", "reference": "B"}],
         "data.empty"),
        ([{"task": "text_overlap", "item_id": "q", "answer": "A", "reference": "。"}],
         "data.row_invalid"),
    ],
)  # fmt: skip
def test_what_cannot_be_rescored_says_so(capsys, tmp_path: Path, content, code: str) -> None:
    path = tmp_path / "samples.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        pq.write_table(pa.Table.from_pylist(content), path)
    assert main(["rescore", str(path), "--profile", "canonical"]) == 3
    assert f"error[{code}]" in capsys.readouterr().err
