"""Runs and plans in the browser: lists, the page of a run, its live parts, what may be done."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from pipeline.contracts.reports import Output
from studio.accounts.models import Role
from studio.registry.models import Checkpoint
from studio.runs import lifecycle, presentation_metrics, services
from studio.runs.models import Run, RunEvent
from studio.runs.paths import attempt_dir
from studio.runs.states import RunState

pytestmark = pytest.mark.postgres

HOSTILE = "<script>alert(1)</script>"
SLOT = "machine/compute-0"
# Session, user, membership; the project switcher is a fourth on whole pages.
FRAGMENT_QUERIES = 4
POLL = {"X-Requested-With": "poll"}


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(client, factories, project):
    user = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.get("/p/alpha/")  # the first visit notes its time in the session
    return user


def address(name, *ids):
    return reverse(f"runs:{name}", args=["alpha", *ids])


def say(run, payloads, *, first_seq=1):
    """The run's child reports these payloads."""
    at = timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = [
        json.dumps(
            {
                "v": 1,
                "run_id": str(run.pk),
                "attempt": 1,
                "seq": first_seq + index,
                "at": at,
                "kind": payload["kind"],
                "payload": payload,
            }
        ).encode()
        for index, payload in enumerate(payloads)
    ]
    assert lifecycle.ingest_events(run.pk, 1, lines)


def logged(step, **metrics):
    return {"kind": "MetricsLogged", "step": step, "metrics": metrics}


def start(run):
    assert lifecycle.claim(run.pk, slot=SLOT, queue="compute")
    run.refresh_from_db()
    return run


def fail(run):
    start(run)
    lifecycle.finish_failed(
        run.pk, 1, code="data.empty", message=f"no rows {HOSTILE}", is_retryable=False,
        exit_status=3,
    )  # fmt: skip
    run.refresh_from_db()
    return run


# Lists


def test_empty_project_says_what_to_do(client, engineer) -> None:
    html = client.get(address("index")).content.decode()
    assert 'class="empty-state"' in html
    assert reverse("launch:method", args=["alpha"]) in html


def test_filter_is_in_the_address_and_says_when_nothing_matches(
    client, factories, project, engineer
) -> None:
    queued = factories.make_run(project, engineer, name="queued-one")
    failed = fail(factories.make_run(project, engineer, name="failed-one", seed=1))
    every = client.get(address("index")).content.decode()
    assert queued.name in every
    assert failed.name in every
    only_failed = client.get(address("index"), {"state": "failed"}).content.decode()
    assert failed.name in only_failed
    assert queued.name not in only_failed
    unfinished = client.get(address("index"), {"state": "unfinished"}).content.decode()
    assert queued.name in unfinished
    assert failed.name not in unfinished
    client.cookies["django_language"] = "en"
    nothing = client.get(address("index"), {"kind": "logit_distill"}).content.decode()
    assert "No run matches the filter." in nothing


@pytest.mark.slow
def test_pages_of_runs_neither_lose_nor_repeat_a_row(client, factories, project, engineer) -> None:
    names = {factories.make_run(project, engineer, name=f"run-{n:02d}-x").name for n in range(60)}
    Run.objects.update(created_at=timezone.now())  # equal times are the hard case
    first = client.get(address("index"))
    second = client.get(address("index") + first.context["page"].older_query)
    pages = [[run.name for run in response.context["page"].rows] for response in (first, second)]
    assert [len(page) for page in pages] == [50, 10]
    assert set(pages[0]) | set(pages[1]) == names
    back = client.get(address("index") + second.context["page"].newer_query)
    assert [run.name for run in back.context["page"].rows] == pages[0]


@pytest.mark.parametrize("name", ["index", "plans"])
def test_lists_cost_the_same_for_any_number_of_rows(
    client, factories, project, engineer, django_assert_num_queries, name
) -> None:
    for number in range(8):
        factories.make_run(project, engineer, seed=number)
        factories.make_plan(project, engineer)
    with django_assert_num_queries({"index": 7, "plans": 6}[name]):
        assert client.get(address(name)).status_code == 200


def test_list_is_polled_without_being_sent_twice(client, factories, project, engineer) -> None:
    factories.make_run(project, engineer)
    shown = client.get(address("index"), headers=POLL)
    assert shown.content.decode().lstrip().startswith("<table")
    again = client.get(address("index"), headers=POLL | {"If-None-Match": shown["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# The page of a run


def test_page_of_a_run_shows_what_it_did_with_hostile_text_escaped(
    client, factories, project, engineer, django_assert_num_queries
) -> None:
    run = start(factories.make_run(project, engineer, name=f"run {HOSTILE}"))
    say(
        run,
        [
            {"kind": "RunStarted", "spec_kind": "evaluate", "spec_digest": run.spec_digest},
            logged(1, **{f"loss{HOSTILE}": 2.5}),
            {"kind": "Progress", "stage": HOSTILE, "done": 3, "total": 12, "unit": "items"}
            | {"eta_seconds": 90.0},
            {"kind": "Warning", "code": "some.code", "message": HOSTILE},
        ],
    )
    directory = attempt_dir(run.pk, 1)
    directory.mkdir(parents=True)
    (directory / "stderr.log").write_text(f"first\nbar 1%\rbar 99%\n{HOSTILE}\x1b[31m\n")
    client.cookies["django_language"] = "en"
    with django_assert_num_queries(9):
        html = client.get(address("detail", run.pk)).content.decode()
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert 'value="25.0"' in html  # 3 of 12
    assert "1 min 30 s left" in html
    assert "bar 99%" in html
    assert "bar 1%" not in html
    assert "\x1b" not in html
    assert "2.5" in html


def test_failed_run_shows_its_error_and_can_be_resumed_once(
    client, factories, project, engineer
) -> None:
    run = fail(factories.make_run(project, engineer))
    html = client.get(address("detail", run.pk)).content.decode()
    assert "data.empty" in html
    assert HOSTILE not in html
    assert address("resume", run.pk) in html
    first = client.post(address("resume", run.pk))
    again = client.post(address("resume", run.pk))
    continuation = Run.objects.get(continues=run)
    assert first["Location"] == again["Location"] == address("detail", continuation.pk)
    assert address("resume", run.pk) not in client.get(address("detail", run.pk)).content.decode()


def test_queued_run_is_cancelled_and_a_running_one_is_asked_to_stop(
    client, factories, project, engineer
) -> None:
    queued = factories.make_run(project, engineer)
    running = start(factories.make_run(project, engineer, seed=1))
    for run, state in ((queued, RunState.CANCELLED), (running, RunState.CANCELLING)):
        assert address("cancel", run.pk) in client.get(address("detail", run.pk)).content.decode()
        client.post(address("cancel", run.pk))
        run.refresh_from_db()
        assert run.state == state
        assert run.cancel_requested_by == engineer


def test_clone_sent_twice_is_one_run(client, factories, project, engineer) -> None:
    run = factories.make_run(project, engineer)
    for _repeat in range(2):
        client.post(address("clone", run.pk), {"idempotency_key": "key-1"})
    clone = Run.objects.get(cloned_from=run)
    assert clone.spec == run.spec


def test_expert_sees_the_run_without_buttons(client, factories, project, engineer) -> None:
    run = factories.make_run(project, engineer)
    client.force_login(factories.make_user("expert", project=project, role=Role.EXPERT))
    html = client.get(address("detail", run.pk)).content.decode()
    assert run.name in html
    assert address("cancel", run.pk) not in html
    assert client.post(address("cancel", run.pk)).status_code == 403


def test_log_of_an_earlier_attempt_is_a_page_of_its_own(
    client, factories, project, engineer
) -> None:
    run = start(factories.make_run(project, engineer))
    lifecycle.attempt_lost(run.pk, 1, message="died")
    assert lifecycle.claim(run.pk, slot=SLOT, queue="compute").attempt == 2
    for attempt in (1, 2):
        directory = attempt_dir(run.pk, attempt)
        directory.mkdir(parents=True)
        lines = "".join(f"attempt {attempt} line {number}\n" for number in range(500))
        (directory / "stderr.log").write_text(lines)
    newest = client.get(address("detail", run.pk)).content.decode()
    assert "attempt 2 line 499" in newest
    assert "attempt 2 line 300" in newest
    assert "attempt 2 line 299" not in newest  # 200 lines
    earlier = client.get(address("detail", run.pk), {"attempt": "1"}).content.decode()
    assert "attempt 1 line 499" in earlier
    assert "attempt 2 line" not in earlier
    absurd = client.get(address("detail", run.pk), {"attempt": "../../etc"}).content.decode()
    assert "attempt 2 line 499" in absurd


def test_finished_import_links_to_its_version(client, factories, project, engineer) -> None:
    started = factories.make_import(project, engineer)
    html = client.get(address("detail", started.run_id)).content.decode()
    version = started.run.dataset_version
    assert reverse("datasets:version", args=["alpha", version.pk]) in html


def test_model_of_a_finished_run_links_to_its_checkpoint(
    client, factories, project, engineer
) -> None:
    run = start(factories.make_run(project, engineer))
    model = Output(path="checkpoints/final", digest="a" * 64)
    Run.objects.filter(pk=run.pk).update(
        state=RunState.SUCCEEDED, finished_at=timezone.now(), lease_expires_at=None, owner="",
        report=factories.make_report(run, outputs={"model": model}).model_dump(mode="json"),
    )  # fmt: skip
    checkpoint = Checkpoint.objects.create(
        project=project, name="trained", kind="curriculum_sft", run=run, attempt=1,
        path=f"runs/{run.pk}/attempt-1/checkpoints/final", created_by=engineer,
    )  # fmt: skip
    html = client.get(address("detail", run.pk)).content.decode()
    assert reverse("registry:checkpoint", args=["alpha", checkpoint.pk]) in html


@pytest.mark.parametrize(
    "report",
    [{"anything": 1}, {"v": 1, "kind": "evaluate", "metrics": {"text_overlap": {"n": 1}}}, []],
)
def test_a_report_that_cannot_be_read_is_said_to_be_absent(
    client, factories, project, engineer, report
) -> None:
    run = start(factories.make_run(project, engineer))
    Run.objects.filter(pk=run.pk).update(
        state=RunState.SUCCEEDED, finished_at=timezone.now(), lease_expires_at=None, owner="",
        report=report,
    )  # fmt: skip
    client.cookies["django_language"] = "en"
    html = client.get(address("detail", run.pk)).content.decode()
    assert "The report of this run cannot be read" in html


def test_home_counts_runs_for_those_who_start_them(client, factories, project, engineer) -> None:
    factories.make_run(project, engineer)
    fail(factories.make_run(project, engineer, seed=1))
    html = client.get("/p/alpha/").content.decode()
    for state in ("queued", "failed"):
        assert f'href="{address("index")}?state={state}"' in html
    client.force_login(factories.make_user("expert", project=project, role=Role.EXPERT))
    assert "?state=" not in client.get("/p/alpha/").content.decode()


# Live parts


@pytest.mark.parametrize("name", ["status", "metrics", "log"])
def test_unchanged_fragment_is_not_sent_again(
    client, factories, project, engineer, django_assert_num_queries, name
) -> None:
    run = start(factories.make_run(project, engineer))
    say(run, [logged(1, loss=2.0)])
    shown = client.get(address(name, run.pk))
    # Session, user and membership, then one query of the fragment's own.
    with django_assert_num_queries(FRAGMENT_QUERIES):
        again = client.get(address(name, run.pk), headers={"If-None-Match": shown["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    say(run, [logged(2, loss=1.0), progress(2)], first_seq=2)
    directory = attempt_dir(run.pk, 1)
    directory.mkdir(parents=True)
    (directory / "stderr.log").write_text("more\n")
    changed = client.get(address(name, run.pk), headers={"If-None-Match": shown["ETag"]})
    assert changed.status_code == 200


def progress(done):
    return {"kind": "Progress", "stage": "train", "done": done, "total": 9, "unit": "steps"}


def test_events_arrive_once_each_behind_the_cursor(
    client, factories, project, engineer, django_assert_num_queries
) -> None:
    run = start(factories.make_run(project, engineer))
    say(run, [{"kind": "Warning", "code": "a.first", "message": "m"}, progress(1), logged(1, x=1)])
    first = client.get(address("events", run.pk), {"after": "0.0"})
    assert "a.first" in first.content.decode()
    assert first["X-Next-Cursor"] == "1.1"
    with django_assert_num_queries(FRAGMENT_QUERIES):
        nothing = client.get(address("events", run.pk), {"after": "1.1"})
    assert nothing.status_code == 204
    say(run, [{"kind": "Warning", "code": "b.second", "message": HOSTILE}], first_seq=4)
    second = client.get(address("events", run.pk), {"after": "1.1"})
    assert "b.second" in second.content.decode()
    assert "a.first" not in second.content.decode()
    assert HOSTILE not in second.content.decode()
    assert second["X-Next-Cursor"] == "1.4"


def test_page_is_loaded_again_when_the_run_ends(client, factories, project, engineer) -> None:
    run = factories.make_run(project, engineer)
    assert "X-Poll-Reload" not in client.get(address("status", run.pk))
    fail(run)
    assert client.get(address("status", run.pk))["X-Poll-Reload"] == "1"
    assert "data-poll" not in client.get(address("detail", run.pk)).content.decode()


def test_long_curve_is_drawn_with_at_most_2000_points(
    client, factories, project, engineer, monkeypatch
) -> None:
    monkeypatch.setattr(presentation_metrics, "MAX_EVENTS", 2_500)
    run = start(factories.make_run(project, engineer))
    now = timezone.now()
    RunEvent.objects.bulk_create(
        RunEvent(run=run, attempt=1, seq=step, at=now, kind="MetricsLogged", payload=payload)
        for step in range(1, 5_001)
        for payload in [logged(step, loss=1 / step, other=1.0)]
    )
    chart = client.get(address("metrics", run.pk)).context["chart"]
    (line,) = chart.figure["data"]
    assert 1000 < len(line["x"]) <= 2000
    assert line["x"] == sorted(line["x"])
    assert len(chart.rows) == 50
    chosen = client.get(address("metrics", run.pk), {"metric": ["other", "no such"]})
    assert [line["name"] for line in chosen.context["chart"].figure["data"]] == ["other"]


def test_newest_attempt_wins_a_step(client, factories, project, engineer) -> None:
    run = start(factories.make_run(project, engineer))
    say(run, [logged(1, loss=3.0), logged(2, loss=9.0)])
    RunEvent.objects.create(
        run=run, attempt=2, seq=1, at=timezone.now(), kind="MetricsLogged",
        payload=logged(2, loss=2.0),
    )  # fmt: skip
    (line,) = client.get(address("metrics", run.pk)).context["chart"].figure["data"]
    assert (line["x"], line["y"]) == ([1, 2], [3.0, 2.0])


# Plans


def test_plan_page_shows_steps_in_order_with_needs_and_gates(
    client, factories, project, engineer, django_assert_num_queries
) -> None:
    plan = factories.make_plan(project, engineer, name=f"plan {HOSTILE}")
    with django_assert_num_queries(7):
        html = client.get(address("plan", plan.pk)).content.decode()
    assert HOSTILE not in html
    assert html.index("first step") < html.index("second step")
    assert 'href="#step-first"' in html
    assert "results.text_overlap.n \u2265 1" in html
    shown = client.get(address("plan_status", plan.pk))
    with django_assert_num_queries(FRAGMENT_QUERIES):
        again = client.get(
            address("plan_status", plan.pk), headers={"If-None-Match": shown["ETag"]}
        )
    assert again.status_code == 304


def test_plan_is_cancelled_and_restarted(client, factories, project, engineer) -> None:
    plan = factories.make_plan(project, engineer)
    client.post(address("plan_cancel", plan.pk))
    assert {run.state for run in plan.runs.all()} == {RunState.CANCELLED}
    html = client.get(address("plan", plan.pk)).content.decode()
    assert address("plan_restart", plan.pk) in html
    assert address("plan_cancel", plan.pk) not in html
    client.post(address("plan_restart", plan.pk))
    states = {run.step_id: run.state for run in plan.runs.current_steps()}
    assert states == {"first": RunState.QUEUED, "second": RunState.WAITING}
    assert services.plan_cancel(plan=plan, actor=engineer) is None
