"""The table of published scores: whole, quoted as written, and in both languages."""

import json

import pytest

from pipeline.contracts.published_scores import TABLE, PublishedScore, ScoreTable, score_table
from pipeline.errors import SpecError

ROW = {
    "model": "m", "test": "t", "source": "s", "published": "1.4", "metric": "exact match",
    "setting": {"num_few_shot": 5}, "figure": "exact_match_strict",
    "not_run": {"en": "no files", "zh": "\u6ca1\u6709\u6587\u4ef6"},
}  # fmt: skip
OURS = {
    "model_digest": "a" * 64, "num_right": 4, "n": 300, "num_few_shot": 5, "form": "number",
    "chat_template": False, "rows": {"en": "every fourth", "zh": "\u6bcf\u56db\u9898"},
    "files_sha256": {"test.jsonl": "b" * 64}, "prompts_sha256": "c" * 64,
    "harness": "lm-eval 0.4.13", "measured": "2026-11-28",
}  # fmt: skip


def parsed(**changes) -> PublishedScore:
    return PublishedScore.parse(json.dumps({**ROW, **changes}))


def test_every_text_of_the_shipped_table_is_in_both_languages() -> None:
    def texts(value):
        if isinstance(value, dict):
            if value.keys() == {"en", "zh"}:
                yield value
            else:
                for child in value.values():
                    yield from texts(child)
        elif isinstance(value, list):
            for child in value:
                yield from texts(child)

    found = list(texts(json.loads(TABLE.read_text())))
    assert len(found) >= 15
    for text in found:
        assert text["en"].isascii()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text["zh"])


def test_rows_of_the_shipped_table_are_of_different_things() -> None:
    scores = score_table().scores
    keys = {(score.model, score.test, score.source, score.metric) for score in scores}
    assert len(keys) == len(scores)
    for source in score_table().sources.values():
        assert source.url.startswith("https://")


@pytest.mark.parametrize(
    ("published", "share", "rounding"),
    [("1.4", 0.014, 0.0005), ("66.92", 0.6692, 0.00005), ("85", 0.85, 0.005)],
)
def test_a_score_is_a_share_and_half_of_its_last_digit(published, share, rounding) -> None:
    score = parsed(published=published)
    assert score.share == pytest.approx(share, abs=1e-12)
    assert score.rounding == pytest.approx(rounding, abs=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"not_run": None},
        {"ours": OURS},
        {"ours": OURS, "not_run": None, "figure": None},
        {"ours": {**OURS, "num_right": 301}, "not_run": None},
        {"ours": {**OURS, "model_digest": "x"}, "not_run": None},
        {"published": "1.4%"},
        {"published": "1,4"},
        {"figure": "bleu"},
    ],
)
def test_a_row_without_its_reason_or_with_too_much_is_refused(changes) -> None:
    with pytest.raises(SpecError) as caught:
        parsed(**changes)
    assert caught.value.code == "spec.invalid"


def test_a_row_with_ours() -> None:
    score = parsed(ours=OURS, not_run=None)
    assert score.ours is not None
    assert (score.ours.num_right, score.ours.n) == (4, 300)


@pytest.mark.parametrize("key", ["model", "test", "source"])
def test_a_row_names_only_what_the_table_has(key: str) -> None:
    table = json.loads(TABLE.read_text())
    table["scores"][0][key] = "unknown"
    with pytest.raises(SpecError, match="nothing is called unknown"):
        ScoreTable.parse(json.dumps(table))


def test_ours_has_no_more_rows_than_the_test() -> None:
    table = json.loads(TABLE.read_text())
    table["scores"][0] |= {"ours": {**OURS, "n": 1_000_000}, "not_run": None}
    with pytest.raises(SpecError, match="more rows than"):
        ScoreTable.parse(json.dumps(table))
