"""Comparing evaluations: comparability before numbers, direction, missing items, parameters."""

import dataclasses
import re
from html import unescape

import pytest
from django.urls import reverse

from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from pipeline.metrics.decisions import family_level
from studio.evaluations import stored_figures
from studio.evaluations.results import evaluation_of
from studio.evaluations.stored_figures import family_figures
from studio.measures.judgements import Status
from studio.measures.labels import set_measures
from tests.web import result_factory as results


@pytest.fixture
def evaluate(project, engineer):
    """`evaluate("name", quality=0.5)` is a finished evaluation of the first questions."""

    def make(name, *, quality=0.5, seed=0, items=None, accuracy=0.55, num_choices=90, **options):
        return results.make_evaluation(
            project,
            engineer,
            name=name,
            answered=results.answers(
                results.domain_items("zh", 30) if items is None else items,
                quality=quality,
                seed=seed,
            ),
            chosen=results.choices(num_choices, accuracy=accuracy, seed=seed),
            **options,
        )

    return make


@pytest.fixture
def compare(client, project):
    """`compare(a, b)` is the summary's text; `page=` another page, `html=True` the markup."""

    def get(*runs, page="index", status=200, html=False, **query):
        url = reverse(f"comparisons:{page}", args=[project.slug])
        response = client.get(url, {"run": [run.pk for run in runs]} | query)
        assert response.status_code == status
        content = response.content.decode()
        return content if html else text_of(content)

    return get


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def row_of(html, label):
    """The text of a measure's row in the summary table."""
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", html, re.S)
    return text_of(next(row for row in rows if row.startswith(label)))


def test_checks_come_before_numbers(evaluate, compare) -> None:
    text = compare(evaluate("a", quality=0.4), evaluate("b", quality=0.6, seed=1))
    assert text.index("May they be compared?") < text.index("In short") < text.index("ROUGE-1")
    assert "questions of b paired with the baseline's : 30 of 30" in text


def test_differences_are_those_of_the_pipeline(evaluate, compare) -> None:
    baseline = evaluate("a", quality=0.4)
    candidate = evaluate("b", quality=0.6, seed=1, baseline=baseline)
    html = compare(baseline, candidate, html=True)
    expected = results.results_of(candidate).text_overlap_vs_baseline
    rouge = row_of(html, "ROUGE-L")
    figure = expected["rougeL"]
    assert f"+{figure.difference.value:.2f}" in rouge
    single = f"[{figure.difference.low:.2f}, {figure.difference.high:.2f}]"
    assert f"95% interval of this difference alone: {single}" in rouge
    assert f"{figure.improved} better, {figure.regressed}" in rouge
    assert f"+{expected['bleu4'].difference.value:.2f}" in row_of(html, "BLEU-4")
    assert "▲ better" in rouge
    assert results.results_of(candidate).retention.accuracy.verdict in text_of(html)


def test_the_retention_verdict_is_only_shown_against_its_own_baseline(evaluate, compare) -> None:
    baseline, other = evaluate("a", quality=0.4), evaluate("other", quality=0.3, seed=5)
    candidate = evaluate("b", quality=0.6, seed=1, baseline=baseline)
    assert "general ability kept, margin 5.0%" in compare(baseline, candidate)
    assert "general ability kept, margin" not in compare(other, candidate)


def test_the_gauge_comes_first_and_only_against_the_base_itself(evaluate, compare) -> None:
    base = evaluate("a", model="0" * 64, gauge=(0.981, 0.0))
    cpt = evaluate("b", seed=1, baseline=base, gauge=(1.08, 2 * GAUGE_MARGIN))
    other = evaluate("c", seed=2, model="2" * 64, gauge=(1.0, 0.5 * GAUGE_MARGIN))
    estimate = results.results_of(cpt).gauge.judged.kl_bits_per_byte
    shown = f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
    text = compare(base, cpt)
    said = f"kept on text the base wrote, margin {GAUGE_MARGIN:.3f} bits per byte {shown} FAIL"
    assert text.index(said) < text.index("general ability kept, margin 5.0%")
    text = compare(other, cpt)
    assert "kept on text the base wrote, margin" not in text
    assert "KL from its base, bits per byte [95% CI] 0.0100 [0.00" in text
    assert shown in text
    assert "Kept of its base PASS at a margin of 0.020 bits per byte" in text


def test_missing_questions_are_counted_and_never_pass(evaluate, compare) -> None:
    items = results.domain_items("zh", 30)
    html = compare(
        evaluate("a", quality=0.3), evaluate("b", quality=0.8, items=items[:26]), html=True
    )
    assert "26 of 30; 4 are missing on one side and do not pass" in text_of(html)
    rouge = row_of(html, "ROUGE-1")
    assert "? not decided: 4 missing" in rouge
    assert "▲" not in rouge


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (
            {
                "text_overlap": {
                    "dataset": {"path": "/data/domain.jsonl", "kind": "domain_test"},
                    "max_new_tokens": 512,
                }
            },
            "Decoding: greedy, token limit : a: 96 tokens; b: 512 tokens",
        ),
    ],
)
def test_other_decoding_settings_leave_nothing_to_conclude(
    evaluate, compare, spec, shown: str
) -> None:
    html = compare(evaluate("a", quality=0.3), evaluate("b", quality=0.8, spec=spec), html=True)
    assert shown in text_of(html)
    assert "not decided: the results are not comparable" in row_of(html, "ROUGE-1")
    assert "not comparable" not in row_of(html, "Accuracy")


def test_other_hardware_is_a_note(evaluate, compare) -> None:
    candidate = evaluate("b", quality=0.8)
    candidate.report["environment"]["processor"] = "Another CPU"
    candidate.save()
    html = compare(evaluate("a", quality=0.3), candidate, html=True)
    assert "a: Test CPU, cpu, float32; b: Another CPU, cpu, float32" in text_of(html)
    assert "▲ better" in row_of(html, "ROUGE-1")


def test_evaluations_of_different_questions_share_nothing(evaluate, compare) -> None:
    zh, en = results.domain_items("zh", 5), results.domain_items("en", 5)
    text = compare(evaluate("a", items=zh, num_choices=0), evaluate("b", items=en, num_choices=0))
    assert "Nothing can be compared" in text
    assert "0 of 10; 10 are missing" in text


def test_a_lost_file_is_said_in_place_of_numbers(evaluate, compare) -> None:
    a, b = evaluate("a"), evaluate("b", seed=1)
    results.samples_path(b).unlink()
    for page in ("index", "samples", "sample"):
        assert "are gone from the data directory" in compare(a, b, page=page, item="t1-q01-zh")


def flipped(*, losses, wins, n=64, seed=0):
    """Two sets of answers to the same questions that differ by these flips."""
    before = results.choices(n, accuracy=0.7, seed=seed)
    after = list(before)
    for wanted, number in ((True, losses), (False, wins)):
        rows = [row for row, one in enumerate(before) if one.is_correct == wanted][:number]
        for row in rows:
            one = before[row]
            best = (one.answer + wanted) % 4
            after[row] = dataclasses.replace(
                one,
                log_likelihoods=tuple(-1.0 if choice == best else -3.0 for choice in range(4)),
            )
    return before, after


@pytest.fixture
def compare_choices(project, engineer, compare):
    """`compare_choices(losses=4, wins=0)` is the summary of two results that differ so."""

    def show(**options):
        spec = options.pop("spec", None)
        runs = [
            results.make_evaluation(project, engineer, name=name, chosen=chosen, spec=spec)
            for name, chosen in zip("ab", flipped(**options), strict=True)
        ]
        return compare(*runs, html=True)

    return show


def test_four_losses_to_no_win_are_not_decided(compare_choices) -> None:
    """McNemar p = 0.125: the page once called this WORSE."""
    accuracy = row_of(compare_choices(losses=4, wins=0), "Accuracy")
    assert "0 better, 4 worse, 60 tied" in accuracy
    assert "? not decided" in accuracy
    assert "▼" not in accuracy


def test_thirty_losses_to_no_win_are_worse(compare_choices) -> None:
    html = compare_choices(losses=30, wins=0)
    assert "▼ worse" in row_of(html, "Accuracy")
    conclusion = text_of(html.split('class="conclusions"')[1].split("</ul>")[0])
    assert conclusion.index("▼ worse") < conclusion.index("?") if "?" in conclusion else True


def test_equivalent_is_only_said_within_a_margin_fixed_before_the_runs(compare_choices) -> None:
    wide = {"margins": {"is_correct": 0.2}}
    assert "= equivalent within the margin" in row_of(
        compare_choices(losses=3, wins=3, n=240, spec=wide), "Accuracy"
    )
    none = {"margins": {"is_correct": None}}
    accuracy = row_of(compare_choices(losses=3, wins=3, n=240, spec=none), "Accuracy")
    assert "equivalent" not in accuracy
    assert "not decided: the interval holds 0, and no margin was fixed" in accuracy


def test_specs_stored_before_there_were_margins_never_read_equivalent(
    project, engineer, compare
) -> None:
    runs = []
    for name, chosen in zip("ab", flipped(losses=2, wins=2, n=600), strict=True):
        run = results.make_evaluation(project, engineer, name=name, chosen=chosen)
        run.spec = {key: value for key, value in run.spec.items() if key != "margins"} | {
            "schema_version": 1
        }
        run.save()
        runs.append(run)
    text = text_of(compare(*runs, html=True))
    assert "= equivalent" not in text
    assert "no margin was fixed before the runs" in text.lower()


def test_the_family_is_written_and_its_interval_is_the_one_shown(evaluate, compare) -> None:
    runs = [evaluate(name, quality=quality, seed=index) for index, (name, quality) in
            enumerate([("a", 0.4), ("b", 0.6), ("c", 0.5)])]  # fmt: skip
    html = compare(*runs, html=True)
    num_measures = len([one for one in set_measures() if one.direction != "neutral"])
    assert (
        f"{2 * num_measures} differences are judged together: {num_measures} measures, 2 candidates"
        in text_of(html)
    )
    pair = evaluation_of(runs[0]), evaluation_of(runs[1])
    stored = family_figures([pair], 2 * num_measures)[pair[0].id, pair[1].id].figures
    figure = stored.figure("text_overlap", "rougeL").difference
    assert figure.level == pytest.approx(family_level(2 * num_measures))
    rouge = row_of(html, "ROUGE-L")
    assert f"[{figure.low:.2f}, {figure.high:.2f}]" in rouge
    assert "95% interval of this difference alone" in rouge


def test_a_candidate_that_is_added_widens_every_interval(evaluate, compare) -> None:
    runs = [evaluate(name, quality=0.4 + index / 10, seed=index) for index, name in
            enumerate("abc")]  # fmt: skip
    widths = []
    for chosen in (runs[:2], runs):
        rouge = row_of(compare(*chosen, html=True), "ROUGE-L")
        low, high = re.search(r"\[(−?[\d.]+), (−?[\d.]+)\]", rouge).groups()
        widths.append(float(high.replace("−", "-")) - float(low.replace("−", "-")))
    assert widths[0] < widths[1]


def test_a_family_waits_until_all_of_it_is_computed(evaluate, compare, client, monkeypatch) -> None:
    """A part of a family has no size to correct for: no word before the last interval is there."""
    runs = [evaluate("a", quality=0.3), evaluate("b", quality=0.8, seed=1)]
    monkeypatch.setattr(stored_figures, "MAX_INLINE_ITEMS", 10)
    asked = []
    while (found := re.search(r'data-poll="([^"]+)"', html := compare(*runs, html=True))) and (
        len(asked) < 5
    ):
        asked.append(unescape(found[1]))
        assert "▲ better" not in text_of(html)
        assert client.get(asked[-1])["X-Poll-Reload"] == "1"
    assert len(asked) == 2
    assert asked[1].endswith("tests=9")
    assert "▲ better" in row_of(html, "ROUGE-L")


@pytest.mark.parametrize("tests", ["0", "x", "201", "1e2", "9" * 9])
def test_no_page_asks_for_such_a_family(evaluate, client, tests: str) -> None:
    runs = [evaluate(name, items=results.domain_items("zh", 2), num_choices=4) for name in "ab"]
    url = reverse("evaluations:prepare", args=[runs[0].project.slug])
    query = {"run": [run.pk for run in runs], "tests": tests}
    assert client.get(url, query).status_code == 404


def test_few_units_are_marked_wherever_an_interval_stands(evaluate, compare) -> None:
    items = results.domain_items("zh", 30)
    runs = [
        evaluate(name, quality=quality, items=items[:12], num_choices=90)
        for name, quality in (("a", 0.3), ("b", 0.8))
    ]
    html = compare(*runs, html=True)
    num_units = len({item["meta"]["doc_id"] for item in items[:12]})
    rouge = row_of(html, "ROUGE-L")
    assert f"n = 12 , {num_units} units (few units: {num_units})" in rouge
    assert f"not decided: {num_units} units are too few, 20 are needed" in rouge
    assert "few units" not in row_of(html, "Accuracy")


def test_a_measure_that_only_describes_belongs_to_no_family(evaluate, compare) -> None:
    html = compare(evaluate("a", quality=0.4), evaluate("b", quality=0.6, seed=1), html=True)
    length = row_of(html, "Answer length")
    assert "of this difference alone" not in length
    assert "higher" in length


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_words_in_both_languages(compare_choices, client, language: str) -> None:
    client.cookies["django_language"] = language
    html = compare_choices(losses=30, wins=0)
    word = "▼ worse" if language == "en" else "▼ 退化"
    assert word in text_of(html)


def test_a_status_is_a_symbol_and_a_word() -> None:
    assert len({status.symbol for status in Status}) == len(Status)
    assert len({str(status.label) for status in Status}) == len(Status)


def test_the_baseline_is_leftmost_and_can_be_changed(evaluate, compare, client) -> None:
    a, b, c = (evaluate(name, seed=index) for index, name in enumerate("abc"))
    html = compare(c, a, b, html=True)
    assert re.findall(r'token-letter">(\w)</span>\s*<span class="token-name">(\w)', html) == [
        ("A", "c"),
        ("B", "a"),
        ("C", "b"),
    ]
    links = re.findall(r'href="(\?[^"]+)">[^/]*?/?.*?as baseline', html, re.S)
    assert links
    swapped = f"run={a.pk}&amp;run={c.pk}&amp;run={b.pk}"
    assert f'href="?{swapped}"' in html


def test_a_list_with_tick_boxes_takes_the_oldest_as_baseline(evaluate, compare) -> None:
    older, newer = evaluate("older"), evaluate("newer", seed=1)
    assert "Difference to older" in compare(newer, older, first="oldest")
    assert "Difference to newer" in compare(newer, older)


def test_too_few_and_too_many_are_explained(evaluate, compare) -> None:
    runs = [
        evaluate(f"e{index}", seed=index, num_choices=20, items=results.domain_items("zh", 2))
        for index in range(7)
    ]
    assert "Choose at least one more evaluation." in compare(runs[0])
    assert "7 are chosen; at most 6" in compare(*runs)
    assert "Difference to e0" in compare(*runs[:6])
    html = compare(runs[3], html=True)
    assert re.findall(r'value="([\w-]+)" checked', html) == [str(runs[3].pk)]


@pytest.mark.parametrize("page", ["index", "samples", "sample", "parameters"])
def test_foreign_and_unfinished_runs_do_not_exist(
    evaluate, compare, factories, engineer, page: str
) -> None:
    ours = evaluate("ours")
    foreign = results.make_evaluation(
        factories.make_project("foreign"),
        engineer,
        name="secret",
        chosen=results.choices(20, accuracy=0.5),
    )
    assert "secret" not in compare(ours, foreign, page=page, status=404)
    training = results.make_training(
        ours.project, engineer, "continual_pretrain", "5" * 64, name="training"
    )
    compare(ours, training, page=page, status=404)


def test_parameters_show_what_differs_and_count_the_rest(evaluate, compare, engineer) -> None:
    a, b = evaluate("a", model="a" * 64), evaluate("b", seed=1, model="b" * 64)
    for name, model in (("cpt-1", "a" * 64), ("cpt-2", "b" * 64)):
        run = results.make_training(a.project, engineer, "continual_pretrain", model, name=name)
        run.spec["optimizer"]["learning_rate"] = 1e-5 if name == "cpt-1" else 5e-5
        run.save()
    text = compare(a, b, page="parameters")
    assert "training.optimizer.learning_rate 1e-05 5e-05" in text
    assert "training.num_tokens" not in text
    hidden = int(re.search(r"(\d+) equal ones are hidden", text)[1])
    everything = compare(a, b, page="parameters", show="all", html=True)
    assert "training.num_tokens" in everything
    assert everything.count("<tr") - 1 == hidden + everything.count("is-different")


def test_a_model_that_was_not_trained_here_is_one_difference(evaluate, compare, engineer) -> None:
    base, cpt = evaluate("base", model="0" * 64), evaluate("cpt", seed=1, model="a" * 64)
    results.make_training(base.project, engineer, "continual_pretrain", "a" * 64, name="training")
    text = compare(base, cpt, page="parameters")
    assert "training_run" in text
    assert "training.num_tokens" not in text


def test_paths_do_not_show_where_the_data_directory_is(evaluate, compare, settings) -> None:
    a = evaluate("a")
    b = evaluate("b", seed=1, baseline=a)
    text = compare(a, b, page="parameters", show="all")
    assert f"runs/{a.pk}/attempt-1/samples.parquet" in text
    assert str(settings.STUDIO_DATA_DIR) not in text


# Session, user, membership and project switcher are four.
NUM_QUERIES = {"index": 9, "samples": 7, "sample": 7, "parameters": 7}


@pytest.mark.slow
@pytest.mark.parametrize("page", NUM_QUERIES)
def test_number_of_queries_does_not_grow_with_the_evaluations(
    evaluate, compare, django_assert_num_queries, page: str
) -> None:
    items = results.domain_items("zh", 4)
    runs = [evaluate(f"e{index}", seed=index, items=items, num_choices=20) for index in range(6)]
    for number in (2, 6):
        compare(*runs[:number], page=page, item="t1-q01-zh")  # fills the cache
        with django_assert_num_queries(NUM_QUERIES[page]):
            compare(*runs[:number], page=page, item="t1-q01-zh")
