"""The dashboards show what the reports hold, say why something is missing, and stay cheap."""

import json
import re
from html import escape, unescape

import pytest
from django.urls import reverse

from pipeline.contracts.gauge_margin import GAUGE_MARGIN
from studio.evaluations import stored_figures
from studio.measures.numbers import interval
from studio.measures.plots import plot_text
from studio.runs.models import Plan
from studio.runs.states import RunState
from tests.web import result_factory as results

ADDRESSES = {"published": "published:index"}
PAGES = ("index", "retention", "text_overlap", "speedup", "published")


@pytest.fixture
def recipe(project, engineer):
    return results.make_recipe(project, engineer)


@pytest.fixture
def show(client, project):
    """`show("retention", run=[...])` is the page's HTML."""

    def get(name, status=200, **query):
        response = client.get(
            reverse(ADDRESSES.get(name, f"evaluations:{name}"), args=[project.slug]), query
        )
        assert response.status_code == status
        return response.content.decode()

    return get


def figure(html, key):
    """The Plotly figure of a chart on the page."""
    found = re.search(rf'<script id="{key}-figure" type="application/json">(.*?)</script>', html)
    return json.loads(found[1])


def text_of(html):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_retention_is_the_reports(show, recipe) -> None:
    html = show("retention")
    retention = results.results_of(recipe["evaluate_sft_single_stage"]).retention.accuracy
    macro, flips = retention.macro, retention.flips
    text = text_of(html)
    assert f"{macro.adjusted_ratio.value:.3f}×" in text
    assert f"[{macro.adjusted_ratio.low:.3f}," in text
    assert retention.verdict == "FAIL"
    assert "FAIL" in text
    ratios = figure(html, "retention-ratio")
    assert ratios["data"][0]["x"][-1] == macro.adjusted_ratio.value
    lost = figure(html, "retention-flips")["data"][0]["y"]
    assert lost[-1] == -flips.regressed
    assert retention.worst_category + " (worst)" in text
    needed = results.results_of(recipe["evaluate_cpt"]).retention.accuracy.items_needed
    assert f"about {needed:,} questions" in text


@pytest.mark.parametrize(
    ("lost", "word"), [(1, "more than by itself"), (14, "no detectable forgetting")]
)
def test_flips_stand_beside_what_the_base_loses_by_itself(
    show, project, engineer, lost, word
) -> None:
    first = results.choices(120, accuracy=0.6, seed=1)
    base = results.make_evaluation(
        project, engineer, name="base", chosen=first, model="0" * 64,
        again=results.asked_again(first, lost=lost),
    )  # fmt: skip
    harmed = results.choices(120, accuracy=0.42, seed=4)
    run = results.make_evaluation(project, engineer, name="harmed", chosen=harmed, baseline=base)
    (null,) = results.results_of(run).retention.accuracy.flips.nulls
    assert null.rate.value == lost / 120
    text = text_of(show("retention", run=[base.pk, run.pk]))
    bounds = interval(null.rate, scale=100, digits=1)
    assert text.count(f"prompt {100 * lost / 120:.1f}% {bounds}, n = 120") == 2
    assert word in text
    assert "wording Question: … → Q: …" in text


def test_flips_of_rows_that_hold_no_null_stand_beside_a_dash(show, recipe) -> None:
    text = text_of(show("retention"))
    assert "no detectable forgetting" not in text
    assert "more than by itself" not in text
    assert "wording" not in text


def test_the_gauge_is_the_primary_measure_of_retention(show, recipe) -> None:
    """Each word with its interval, margin, passages and what would settle it; not of the base."""
    html = show("retention")
    text = text_of(html)
    verdicts = {}
    for name in ("evaluate_cpt", "evaluate_sft_progressive", "evaluate_sft_single_stage"):
        judged = results.results_of(recipe[name]).gauge.judged
        estimate = judged.kl_bits_per_byte
        verdicts[name] = judged.verdict
        assert (
            f"KL(base || model) {estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
            " bits per byte"
        ) in text
    assert list(verdicts.values()) == ["PASS", "INCONCLUSIVE", "FAIL"]
    needed = results.results_of(recipe["evaluate_sft_progressive"]).gauge.judged.passages_needed
    assert f"about {needed:,} passages of this kind would settle it" in text
    assert f"margin {GAUGE_MARGIN:.3f} bits per byte, 24 texts of 24 passages" in text
    assert text.index("On text the base wrote") < text.index("On questions: the second witness")
    chart = figure(html, "gauge")
    assert [point is not None for point in chart["data"][0]["x"]] == [True] * 4
    assert chart["layout"]["shapes"][0]["x0"] == GAUGE_MARGIN


def test_an_evaluation_without_a_margin_shows_its_totals(show, recipe) -> None:
    run = recipe["evaluate_cpt"]
    del run.report["results"]["gauge"]["judged"]
    run.save()
    gauge = results.results_of(run).gauge
    text = text_of(show("retention", run=[run.pk]))
    assert f"{gauge.kl_nats_per_token:.4f} 24 / —" in text
    assert "KL(base || model) 0" not in text
    text = text_of(show("published"))
    assert "not measured in this plan: scores of single texts and a margin" in text
    assert "second witness" in text


def test_retention_links_to_the_questions_that_were_lost(show, client, recipe) -> None:
    html = show("retention")
    link = next(link for link in re.findall(r'href="([^"]+)"', html) if "outcome=a" in link)
    page = client.get(link.replace("&amp;", "&")).content.decode()
    flips = results.results_of(recipe["evaluate_cpt"]).retention.accuracy.flips
    assert f"of {flips.regressed}" in text_of(page)


def test_a_baseline_outside_the_selection_still_has_links(show, recipe) -> None:
    html = show("retention", run=[recipe["evaluate_cpt"].pk])
    assert str(recipe["evaluate_base"].pk) in html


def test_overlap_shows_report_values_with_intervals(show, recipe) -> None:
    html = show("text_overlap")
    overlap = results.results_of(recipe["evaluate_cpt"]).text_overlap
    bars = {trace["name"]: trace for trace in figure(html, "overlap")["data"]}
    measured = [overlap.figures[key] for key in ("rouge1", "rouge2", "rougeL", "bleu4")]
    assert bars["cpt"]["y"] == pytest.approx(measured)
    assert all(length > 0 for length in bars["cpt"]["error_y"]["array"])
    text = text_of(html)
    assert f"{overlap.brevity_penalty:.3f}" in text
    assert overlap.rouge_signature in text
    change = results.results_of(recipe["evaluate_cpt"]).text_overlap_vs_baseline["rouge1"]
    assert f"+{change.difference.value:.2f}" in text
    assert f"{change.improved} / {change.regressed} / {change.tied}" in text


def test_overlap_by_document_follows_the_chosen_measure(show, recipe) -> None:
    seen = figure(show("text_overlap", metric="bleu4"), "overlap-documents")["data"][0]["y"]
    found = [results.results_of(recipe[name]) for name in ("evaluate_base", "evaluate_cpt")]
    expected = [one.text_overlap.documents_seen.figures["bleu4"] for one in found]
    assert seen[:2] == pytest.approx(expected)


def test_speedup_stands_beside_prediction_and_bound(show, recipe) -> None:
    html = show("speedup")
    arm = results.results_of(recipe["speculative_decode"]).arms["distilled"]
    measured, predicted, bound = figure(html, "speedup")["data"]
    assert (measured["x"][0], predicted["x"][0], bound["x"][0]) == (
        arm.speedup.value,
        arm.predicted_speedup,
        arm.oracle_bound,
    )
    assert figure(html, "acceptance")["data"][0]["y"] == pytest.approx(
        [100 * share for share in arm.acceptance_per_position]
    )
    text = text_of(html)
    assert f"{100 * arm.break_even_acceptance:.1f}%" in text
    assert "Test CPU" in text
    assert "6 × 3" in text
    assert "NOT LOSSLESS" not in text


def test_the_command_that_serves_an_arm_can_be_copied(show, project, engineer) -> None:
    run = results.make_benchmark(project, engineer, name="bench")
    assert "Serve the target" not in show("speedup")  # a report from before has no command
    command = "vllm serve '/models/<t>' --speculative-config '{\"method\": \"ngram\"}'"
    run.report["results"]["serve_commands"] = {"ngram": command}
    run.save()
    html = show("speedup")
    assert "Serve the target with an arm on vLLM" in text_of(html)
    assert f'id="serve-1" value="{escape(command)}"' in html
    assert 'data-copy="serve-1"' in html


def test_what_was_predicted_stands_beside_what_was_measured(show, project, engineer) -> None:
    run = results.make_benchmark(project, engineer, name="bench")
    interval = {"value": 0.857, "low": 0.81, "high": 0.92, "level": 0.95, "n": 8, "num_units": 8}
    prediction = {
        "speedup": interval,
        "verdict": "does_not_pay",
        "speedup_by_length": {"1": 0.85, "2": 0.857},
        "tokens_per_round": 1.2,
        "round_cost": 1.4,
        "needed_c": None,
        "needed_v": 0.9,
        "mean_v": 1.1,
        "oracle_bound": 1.1,
    }
    run.report["results"]["arms"]["distilled"] |= {
        "prediction": prediction,
        "measured_over_predicted": 1.034,
    }
    run.save()
    html = show("speedup")
    _measured, predicted, _bound = figure(html, "speedup")["data"]
    assert predicted["x"][0] == 0.857
    text = text_of(html)
    assert "0.86× [0.81, 0.92]" in text
    assert "1.034×" in text
    words = "0.86× [0.81, 0.92] (few units: 8), does not pay; as fast as plain decoding with one of"
    assert f"Said before timing: {words}: 1.40 tokens a round instead of 1.20," in text
    assert "v of 0.900 instead of 1.100" in text


def test_each_arm_says_whether_it_pays_and_on_which_answers(show, recipe) -> None:
    html = show("speedup")
    arm = results.results_of(recipe["speculative_decode"]).arms["distilled"]
    low, high = arm.speedup.low, arm.speedup.high
    assert low > 1
    text = text_of(html)
    measured = f"{arm.speedup.value:.2f}× [{low:.2f}, {high:.2f}] (few units: 6)"
    assert f"distilled draft pays Measured: {measured}, the whole interval lies above 1" in text
    every, varied, end_to_end = figure(html, "answers")["data"]
    assert (every["x"][0], varied["x"][0], end_to_end["x"][0]) == (
        arm.speedup.value,
        arm.speedup_without_repetitive_answers.value,
        arm.end_to_end_speedup.value,
    )
    milliseconds = 1000 / arm.tokens_per_second
    seconds = arm.prefill_seconds + arm.decode_seconds
    figures = (
        f"{arm.prefill_seconds:.3f} {milliseconds:.1f} {seconds:.2f} {arm.tokens_per_second:.1f}"
    )
    assert f"distilled draft {figures}" in text
    first, second = arm.acceptance_per_position[:2]
    assert f"{100 * second:.1f}% ({1 + first + second:.2f})" in text


def test_a_benchmark_that_is_not_lossless_says_so(show, project, engineer) -> None:
    results.make_benchmark(project, engineer, name="bench", is_lossless=False)
    assert "NOT LOSSLESS" in text_of(show("speedup"))


def test_an_engine_without_costs_or_logits_is_shown(show, project, engineer) -> None:
    """vLLM: no step costs, no losslessness gate, arms not interleaved."""
    run = results.make_benchmark(project, engineer, name="vllm")
    stored = run.report["results"]
    stored |= {"losslessness": None, "interleaved": False}
    for arm in stored["arms"].values():
        for name in ("costs", "predicted_speedup", "oracle_bound", "break_even_acceptance"):
            arm.pop(name, None)
    run.save()
    text = text_of(show("speedup"))
    assert "cannot be measured from outside" in text
    assert "not interleaved" in text
    assert "not checked" in text


def test_published_ratios_stand_beside_ours(show, recipe) -> None:
    html = show("published")
    assert '<a href="/p/alpha/evaluations/" aria-current="page">' in html  # below Dashboards
    text = text_of(html)
    assert text.count("definition not published") == 6
    compared = results.results_of(recipe["evaluate_cpt"]).text_overlap_vs_baseline
    gauge = results.results_of(recipe["evaluate_cpt"]).gauge.judged
    divergence = gauge.kl_bits_per_byte
    assert f"{divergence.value:.4f} bits per byte" in text
    assert f"95% [{divergence.low:.4f}, {divergence.high:.4f}]" in text
    ours = figure(html, "published")["data"][0]["x"]  # ratios only
    assert ours[:2] == pytest.approx([compared[key].ratio.value for key in ("rouge1", "bleu4")])
    arms = results.results_of(recipe["speculative_decode"]).arms
    assert ours[4] == arms["distilled"].speedup.value
    progressive, single = (
        results.results_of(recipe[f"evaluate_sft_{mode}"]).text_overlap.figures
        for mode in ("progressive", "single_stage")
    )
    assert ours[2] == pytest.approx(progressive["rouge1"] / single["rouge1"])
    assert ours[3] == pytest.approx(progressive["bleu4"] / single["bleu4"])
    assert f"{single['bleu4']:.2f} → {progressive['bleu4']:.2f}" in text


def test_a_plan_without_the_control_says_what_is_missing(show, recipe) -> None:
    control = recipe["evaluate_sft_single_stage"]
    control.plan, control.step_id = None, ""
    control.save()
    text = text_of(show("published"))
    assert "not measured in this plan: an evaluation of the single-stage control" in text
    assert text.count("not measured") == 2


def test_published_results_come_from_the_newest_plan_that_has_any(
    show, recipe, project, engineer
) -> None:
    Plan.objects.create(
        project=project, name="empty", spec={}, spec_digest="0" * 64, created_by=engineer
    )
    results.make_evaluation(
        project, engineer, name="loose", chosen=results.choices(20, accuracy=0.5)
    )
    assert figure(show("published"), "published")["data"][0]["x"][1] is not None


def test_the_plan_in_the_address_decides(show, recipe, project, engineer) -> None:
    older = recipe["evaluate_base"].plan
    plan = Plan.objects.create(
        project=project, name="newer", spec={}, spec_digest="0" * 64, created_by=engineer
    )
    chosen = results.choices(20, accuracy=0.5)
    results.make_evaluation(
        project, engineer, name="only-one", plan=plan, chosen=chosen, model="7" * 64
    )
    assert "only-one" in show("retention")
    assert "only-one" not in show("retention", plan=older.pk)


@pytest.mark.parametrize("name", PAGES)
def test_without_results_the_page_says_why(show, project, engineer, name: str) -> None:
    text = text_of(show(name))
    assert "No evaluation" in text or "no finished result" in text


def test_an_empty_dashboard_counts_what_is_still_running(show, recipe) -> None:
    for run in recipe.values():
        run.state, run.report, run.finished_at = RunState.QUEUED, None, None
        run.save()
    assert "5 measurements are queued or running" in text_of(show("retention"))


@pytest.mark.parametrize(
    "query", [{"run": "not-an-id"}, {"plan": "x"}, {"run": "0" * 32}, {"plan": "0" * 32}]
)
@pytest.mark.parametrize("name", ["retention", "speedup", "rows", "prepare"])
def test_addresses_that_name_nothing_are_not_found(show, engineer, name, query) -> None:
    show(name, status=404 if name != "prepare" or "run" in query else 204, **query)


def test_results_of_another_project_do_not_exist_here(show, factories, engineer, recipe) -> None:
    foreign = results.make_evaluation(
        factories.make_project("foreign"),
        engineer,
        name="secret",
        chosen=results.choices(20, accuracy=0.5),
    )
    for name in ("retention", "text_overlap", "published", "rows", "prepare"):
        assert "secret" not in show(name, status=404, run=[foreign.pk])
    assert "secret" not in show("index")


def test_names_that_are_markup_stay_text(show, project, engineer) -> None:
    name = '<img src=x onerror=alert(1)>&amp;"'
    items = results.domain_items("zh", 4)
    hostile = [results.HOSTILE, results.HOSTILE, "", "国资委"]
    run = results.make_evaluation(
        project,
        engineer,
        name=name,
        answered=results.answer_samples(items, hostile),
        chosen=results.choices(20, accuracy=0.5, categories=("<b>c</b>",)),
    )
    for page in ("index", "retention", "text_overlap", "rows"):
        html = show(page, run=[run.pk])
        assert "<img" not in html
        assert "<script>alert" not in html
        assert "<b onmouseover" not in html
    assert figure(show("text_overlap"), "overlap")["data"][0]["name"] == (
        '&lt;img src=x onerror=alert(1)&gt;&amp;amp;"'
    )


def test_plotly_labels_are_cut_before_they_are_escaped() -> None:
    assert plot_text("<" * 100, 10) == "&lt;" * 9 + "…"


def test_rows_are_paged_by_item(show, recipe) -> None:
    run = recipe["evaluate_cpt"].pk
    first = show("rows", run=[run], task="general_ability")
    assert "Rows 1 to 50 of 120" in text_of(first)
    link = re.search(r'rel="next" href="\?([^"]+)"', first)[1].replace("&amp;", "&")
    after = dict(part.split("=") for part in link.split("&"))["after"]
    second = show("rows", run=[run], task="general_ability", after=after)
    assert "Rows 51 to 100 of 120" in text_of(second)
    assert after in first
    assert f"<code>{after}</code>" not in second


def test_rows_in_order_of_score(show, recipe) -> None:
    html = show("rows", run=[recipe["evaluate_cpt"].pk], sort="low", metric="rouge1")
    scores = [float(score) for score in re.findall(r'<td class="nowrap">([\d.]+)</td>', html)]
    assert len(scores) == 40
    assert scores == sorted(scores)


def test_a_lost_file_leaves_the_reports_figures(show, recipe) -> None:
    results.samples_path(recipe["evaluate_cpt"]).unlink()
    html = show("text_overlap")
    assert "are gone from the data directory" in text_of(html)
    overlap = results.results_of(recipe["evaluate_cpt"]).text_overlap
    assert f"{overlap.figures['rougeL']:.2f}" in text_of(html)
    assert "are gone from the data directory" in text_of(
        show("rows", run=[recipe["evaluate_cpt"].pk])
    )


@pytest.mark.slow
def test_large_results_are_prepared_apart(show, client, recipe, monkeypatch) -> None:
    monkeypatch.setattr(stored_figures, "MAX_INLINE_ITEMS", 10)
    for _attempt in range(4):
        html = show("text_overlap")
        url = re.search(r'data-poll="([^"]+)"', html)[1].replace("&amp;", "&")
        answer = client.get(url)
        assert (answer.status_code, answer["X-Poll-Reload"]) == (204, "1")
    assert "data-poll" not in show("text_overlap")


# Session, user, membership and project switcher are four.
NUM_QUERIES = {"index": 8, "retention": 10, "text_overlap": 11, "speedup": 8, "published": 13}


@pytest.mark.slow
@pytest.mark.parametrize("name", NUM_QUERIES)
def test_number_of_queries_does_not_grow_with_the_results(
    show, recipe, project, engineer, django_assert_num_queries, name: str
) -> None:
    show(name)  # fills the cache of bootstrapped figures
    with django_assert_num_queries(NUM_QUERIES[name]):
        show(name)
    plan = recipe["evaluate_base"].plan
    for number in range(3):
        chosen = results.choices(20, accuracy=0.5, seed=number)
        results.make_evaluation(project, engineer, name="more", plan=plan, chosen=chosen)
    show(name)
    with django_assert_num_queries(NUM_QUERIES[name]):
        show(name)
