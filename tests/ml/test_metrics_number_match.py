"""Numbers in generated answers, against the harness's own filters and metric."""

import random
from pathlib import Path

import pytest

from pipeline.metrics.number_match import (
    NOT_FOUND,
    flexible_number,
    is_number_match,
    strict_number,
)


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("He pays 3 + 4 = 7.\n#### 7", "7", "7"),
        ("#### 1,500", "1,500", "1,500"),
        ("#### -12.", "-12.", "-12."),
        ("#### $40", NOT_FOUND, "$40"),
        ("The answer is 18 dollars, not 20", NOT_FOUND, "20"),
        ("so 7.\n#### 7\nQuestion: 2+2?\n#### 4", "7", "4"),
        ("####7", NOT_FOUND, "7"),
        ("none", NOT_FOUND, NOT_FOUND),
        ("", NOT_FOUND, NOT_FOUND),
        ("a - b", NOT_FOUND, NOT_FOUND),
        ("costs $1.", NOT_FOUND, "$1."),
        ("x...", NOT_FOUND, "..."),
    ],
)
def test_extraction(answer: str, strict: str, flexible: str) -> None:
    assert strict_number(answer) == strict
    assert flexible_number(answer) == flexible


@pytest.mark.parametrize(
    ("extracted", "reference", "is_match"),
    [
        ("7", "3 + 4 = <<3+4=7>>7\n#### 7", True),
        ("1500", "#### 1,500", True),
        ("$1,500.", "#### 1500", True),
        ("7.0", "#### 7", False),
        ("-7", "#### 7", False),
        (NOT_FOUND, "#### 7", False),
    ],
)
def test_comparison(extracted: str, reference: str, is_match: bool) -> None:
    assert is_number_match(extracted, reference) == is_match


def generated_answers(count: int) -> list[str]:
    """Answers as models write them: right, wrong, cut, repeated, in all kinds of notation."""
    rng = random.Random(20261128)
    pieces = (
        "####", "#### ", "\n#### ", "####  ", "#### -", "$", ",", ".", "-", " ", "\n", "7", "12",
        "1,500", "3.50", "1,2,3", "..", "$-4", "-$4", "x = 3", "the answer is ", "\u56db", "\uff17",
        "\u0667", "[invalid]", "Question:", "=", "%", "1e3", "\r\n", "\u2028", "\u2212" "5",
    )  # fmt: skip
    return ["".join(rng.choices(pieces, k=rng.randrange(12))) for _ in range(count)]


@pytest.mark.slow
def test_every_answer_is_scored_as_the_harness_scores_it() -> None:
    """10,000 generated answers through the filters and the metric of its task file."""
    import lm_eval.tasks
    import yaml
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    tasks = Path(lm_eval.tasks.__file__).parent
    task = yaml.safe_load((tasks / "gsm8k/gsm8k.yaml").read_text())
    (metric,) = task["metric_list"]
    settings = {
        name: metric[name] for name in ("ignore_case", "ignore_punctuation", "regexes_to_ignore")
    }
    filters = {
        described["name"]: {
            key: value
            for key, value in described["filter"][0].items()
            if key in {"regex_pattern", "group_select"}
        }
        for described in task["filter_list"]
    }
    answers = generated_answers(10_000)
    references = ["so.\n#### 7", "#### 1,500", "12\n#### -12", "#### 3.50"]
    num_matches = 0
    for name, extract in (("strict-match", strict_number), ("flexible-extract", flexible_number)):
        filtered = RegexFilter(**filters[name]).apply([[answer] for answer in answers], [])
        expected = [found for (found,) in filtered]
        assert [extract(answer) for answer in answers] == expected
        for index, found in enumerate(expected):
            reference = references[index % len(references)]
            score = exact_match_hf_evaluate(
                predictions=[found], references=[reference], **settings
            )["exact_match"]
            assert is_number_match(found, reference) == bool(score), (answers[index], reference)
            num_matches += bool(score)
    assert 100 < num_matches < 10_000
