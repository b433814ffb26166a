"""Quality of a version: the check, its flags, a cleaner version, and the token preview's pages."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.urls import reverse
from django.utils.translation import override

from pipeline.contracts.reports import Output
from pipeline.contracts.token_preview import PreviewTokensResults
from studio.accounts.models import AuditEvent, Role
from studio.datasets.models import DatasetVersion
from studio.quality.models import QualityCheck
from studio.quality.reasons import reason
from studio.quality.services import check_start, preview_start
from studio.quality.summaries import quality_summary
from studio.quality.token_rows import read_token_rows
from studio.runs import lifecycle
from studio.runs.paths import attempt_dir

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

QUESTION = "国资委监管企业的负责人经营业绩考核分为年度考核和任期考核两种"
ROWS = [
    {"id": "a", "instruction": "问一", "output": "答：张三的手机是13812345678，请联系。"},
    {"id": "b", "instruction": "问二", "output": "答二"},
    {"id": "c", "instruction": "问 二", "output": "答二"},
    {"id": "d", "instruction": "<b>问四</b>", "output": QUESTION},
]


def version_of(factories, project, user, rows, name) -> DatasetVersion:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    started = factories.start_import(
        project, user, content, f"{name}.jsonl", dataset_name=name, policy="all_or_nothing"
    )
    factories.execute(started.run)
    return DatasetVersion.objects.get(run=started.run)


@pytest.fixture
def world(factories, client):
    class World:
        project = factories.make_project()
        expert = factories.make_user("expert", project=project, role=Role.EXPERT)

    World.data = version_of(factories, World.project, World.expert, ROWS, "问答")
    test = [{"id": "t", "instruction": f"{QUESTION}？", "output": "是"}]
    World.test = version_of(factories, World.project, World.expert, test, "测试")
    client.force_login(World.expert)
    return World


def page(name: str, world, *arguments: object) -> str:
    return reverse(f"quality:{name}", args=[world.project.slug, *arguments])


def test_a_version_is_checked_shown_and_cleaned(world, client, factories) -> None:
    data, test = world.data, world.test
    assert quality_summary(data, [test]).unchecked_tests == (test,)
    card = client.get(reverse("datasets:version", args=["alpha", data.pk])).content.decode()
    assert page("quality", world, data.pk) in card

    client.post(page("check", world, data.pk), {"tests": [test.pk]})
    check = QualityCheck.objects.get()
    assert quality_summary(data).is_working
    assert "data-poll" in client.get(page("quality", world, data.pk)).content.decode()
    assert factories.execute(check.run).state == "succeeded"

    found = quality_summary(data, [test, data])
    assert found.unchecked_tests == (data,)
    assert {check.code: check.num_rows for check in found.checks} == {
        "duplicate.exact": 1,
        "overlap.test_set": 1,
        "personal.mobile_phone": 1,
    }
    assert [shown.version for shown in found.blocking_tests] == [test]
    shown = client.get(page("quality", world, data.pk)).content.decode()
    assert str(test) in shown
    assert "t</code>" in shown
    flags = client.get(page("flags", world, data.pk), {"check": "duplicate.exact"}).content.decode()
    assert reverse("datasets:row", args=["alpha", data.pk, 1]) in flags
    assert "13812345678" not in client.get(page("flags", world, data.pk)).content.decode()

    client.post(
        page("clean", world, data.pk),
        {
            "personal": ["mobile_phone"],
            "style": "name",
            "drop": ["duplicate.exact"],
            "note": "脱敏",
        },
    )
    cleaned = factories.execute(data.cleanings.get().run).dataset_version
    assert (cleaned.number, cleaned.num_rows, cleaned.note) == (2, 3, "脱敏")
    assert cleaned.dataset == data.dataset
    assert cleaned.description.source == data.description.source
    revises = cleaned.description.revises
    assert (revises.author, revises.reason, revises.rows_sha256) == ("expert", "脱敏", data.digest)
    assert (revises.num_kept, revises.num_changed, revises.num_deleted) == (2, 1, 1)
    rows = (
        client.get(reverse("datasets:rows", args=["alpha", cleaned.pk, "jsonl"]))
        .getvalue()
        .decode()
    )
    assert [json.loads(line)["id"] for line in rows.splitlines()] == ["a", "b", "d"]
    assert "手机是[手机号]，请" in rows
    assert str(cleaned) in client.get(page("quality", world, data.pk)).content.decode()
    story = client.get(reverse("datasets:version", args=["alpha", cleaned.pk])).content.decode()
    assert "手机号：替换 1 处" in story
    assert "与前面的数据相同：去掉 1 行" in story
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"quality.check", "quality.clean", "quality.publish"} <= actions


def test_tests_with_the_same_rows_each_have_their_line(world, client, factories) -> None:
    rows = [{"id": "t", "instruction": f"{QUESTION}？", "output": "是"}]
    twin = version_of(factories, world.project, world.expert, rows, "测试（副本）")
    assert twin.digest == world.test.digest
    client.post(page("check", world, world.data.pk), {"tests": [world.test.pk, twin.pk]})
    factories.execute(QualityCheck.objects.get().run)
    shown = [one.version for one in quality_summary(world.data).tests]
    assert sorted(shown, key=lambda one: one.pk) == [world.test, twin]


def test_reasons_name_fields_and_languages_in_words() -> None:
    with override("zh-hans"):
        short = reason(
            "length.short", {"field": "messages", "length": 1, "shortest": 9, "longest": 90}, 1.0,
            kind="conversations", test_names=[],
        )  # fmt: skip
        other = reason(
            "language.differs", {"declared": "zh", "found": "en", "share": 0.9}, 0.9,
            kind="corpus", test_names=[],
        )  # fmt: skip
        phone = reason(
            "personal.mobile_phone", {"field": "meta.电话", "value": "138", "count": 2}, 2.0,
            kind="corpus", test_names=[],
        )  # fmt: skip
    assert "messages" not in short
    assert other == "标注为中文，但 90% 的内容是英语"
    assert "附加信息：电话" in phone


def test_rows_are_dropped_only_by_flags(world, client) -> None:
    response = client.post(
        page("clean", world, world.data.pk), {"style": "name", "drop": ["duplicate.exact"]}
    )
    assert response.status_code == 400
    assert not world.data.cleanings.exists()


def test_a_failed_check_is_told_and_figures_of_the_one_before_stay(
    world, client, factories
) -> None:
    first = check_start(version=world.data, actor=world.expert)
    factories.execute(first.run)
    second = check_start(version=world.data, actor=world.expert)
    claim = lifecycle.claim(second.run.pk, slot="test/9", queue="interactive")
    lifecycle.finish_failed(
        second.run.pk, claim.attempt, code="data.not_found", message="gone", is_retryable=False,
        exit_status=4,
    )  # fmt: skip
    found = quality_summary(world.data)
    assert found.has_failed
    assert found.check == first
    assert "data.not_found" in client.get(page("quality", world, world.data.pk)).content.decode()


def test_a_preview_shows_what_is_trained_by_more_than_colour(world, client, factories) -> None:
    engineer = factories.make_user("engineer", project=world.project, role=Role.ENGINEER)
    checkpoint, _run = factories.make_checkpoint(world.project, engineer)
    preview = preview_start(
        version=world.data, checkpoint=checkpoint, actor=world.expert,
        start=0, num_rows=1, max_seq_length=8,
    )  # fmt: skip
    address = page("token_preview", world, preview.pk)
    assert "data-poll" in client.get(address).content.decode()
    claim = lifecycle.claim(preview.run.pk, slot="test/9", queue="interactive")
    directory = attempt_dir(preview.run.pk, claim.attempt)
    directory.mkdir(parents=True)
    piece = {"num_tokens": 1, "is_trained": False, "is_special": False}
    row = {
        "row": 0, "id": "a", "num_tokens": 9, "num_trained_tokens": 3, "num_lost_tokens": 4,
        "parts": [[{**piece, "text": "<b>问"},
                   {"text": "答", "num_tokens": 3, "is_trained": True, "is_special": False}]],
        "lost": [{**piece, "text": "尾"}], "error": "",
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row]), directory / "tokens.parquet")
    results = PreviewTokensResults(
        num_rows=1, num_tokens=9, num_trained_tokens=3, num_cut_rows=1, num_lost_tokens=4,
        num_unusable_rows=0, has_chat_template=True,
    )  # fmt: skip
    outputs = {"tokens": Output(path="tokens.parquet", digest="0" * 64)}
    report = factories.make_report(preview.run, results, outputs=outputs)
    assert lifecycle.finish_succeeded(preview.run.pk, claim.attempt, report)
    [shown] = read_token_rows(directory / "tokens.parquet", size=50)
    assert shown.num_hidden_tokens == 9 - 1 - 3 - 1
    html = client.get(address).content.decode()
    assert "&lt;b&gt;问" in html
    assert '<mark class="token token-trained" title="3' in html
    assert "token-cut" in html
