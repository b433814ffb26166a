"""Quality and tokens of a version in a real browser: started by hand, shown, accessible."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from pipeline.contracts.reports import Output
from pipeline.contracts.token_preview import PreviewTokensResults
from studio.accounts.models import Role
from studio.quality.models import QualityCheck
from studio.quality.services import check_start, clean_start, preview_start
from studio.runs import lifecycle
from studio.runs.paths import attempt_dir

pytestmark = pytest.mark.browser
SENTENCE = "国资委监管企业的负责人经营业绩考核分为年度考核和任期考核两种"


@pytest.fixture
def project(transactional_db, factories):
    return factories.make_project(name="国资央企知识问答")


@pytest.fixture
def expert(project, factories):
    return factories.make_user("lina", project=project, role=Role.EXPERT)


@pytest.fixture
def versions(project, expert, factories):
    """A version with faults, and a test that it overlaps with."""

    def make(rows, name):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        started = factories.start_import(
            project, expert, content, f"{name}.jsonl", dataset_name=name
        )
        return factories.execute(started.run).dataset_version

    data = [
        {"instruction": "怎样联系", "output": "张三，手机13812345678，身份证11010519491231002X。"},
        {"instruction": "考核分几种", "output": SENTENCE},
        {"instruction": "考核分几种", "output": f"{SENTENCE} "},
        {"instruction": "什么是国有资产", "output": "国家对企业各种形式的出资所形成的权益"},
    ]
    return make(data, "问答"), make([{"instruction": SENTENCE, "output": "是"}], "考核测试")


def make_preview(factories, project, expert, version):
    engineer = factories.make_user("wang", project=project, role=Role.ENGINEER)
    checkpoint, _run = factories.make_checkpoint(project, engineer)
    preview = preview_start(
        version=version, checkpoint=checkpoint, actor=expert,
        start=0, num_rows=2, max_seq_length=64,
    )  # fmt: skip
    claim = lifecycle.claim(preview.run.pk, slot="test/9", queue="interactive")
    directory = attempt_dir(preview.run.pk, claim.attempt)
    directory.mkdir(parents=True)

    def pieces(text, *, is_trained=False, is_special=False):
        return [
            {"text": t, "num_tokens": 1, "is_trained": is_trained, "is_special": is_special}
            for t in text
        ]

    part = [
        *pieces(["<|im_start|>"], is_special=True), *pieces(["user", "\n"]), *pieces("考核分几种"),
        *pieces(["<|im_end|>"], is_special=True), *pieces("\n"),
        *pieces(["<|im_start|>"], is_special=True), *pieces(["assistant", "\n"]),
        *pieces(SENTENCE, is_trained=True),
        *pieces(["<|im_end|>"], is_trained=True, is_special=True),
    ]  # fmt: skip
    row = {"row": 0, "id": "line-1", "num_tokens": 60, "num_trained_tokens": 33,
           "num_lost_tokens": 0, "parts": [part], "lost": [], "error": ""}  # fmt: skip
    cut = {**row, "row": 1, "id": "line-2", "num_lost_tokens": 8, "lost": pieces("任期考核两种。"),
           "error": ""}  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row, cut]), directory / "tokens.parquet")
    results = PreviewTokensResults(
        num_rows=2, num_tokens=120, num_trained_tokens=66, num_cut_rows=1, num_lost_tokens=8,
        num_unusable_rows=0, has_chat_template=True,
    )  # fmt: skip
    report = factories.make_report(
        preview.run, results, outputs={"tokens": Output(path="tokens.parquet", digest="0" * 64)}
    )
    assert lifecycle.finish_succeeded(preview.run.pk, claim.attempt, report)
    return preview


def test_a_check_is_started_by_keyboard_and_appears_by_itself(
    page: Page, expert, versions, factories, sign_in
) -> None:
    data, _test = versions
    sign_in(expert)
    page.goto(f"/p/alpha/datasets/versions/{data.pk}/")
    page.get_by_role("link", name="检查此版本").focus()
    page.keyboard.press("Enter")
    page.get_by_label("考核测试 v1").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="检查", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("正在等待空闲的工作进程")).to_be_visible()
    factories.execute(QualityCheck.objects.get().run)
    expect(page.get_by_role("cell", name="不应用于评测")).to_be_visible()
    page.get_by_role("link", name="与前面的数据相同").click()
    expect(page.get_by_role("cell", name="与 line-2 内容相同")).to_be_visible()


@pytest.mark.accessibility
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("zh-hans", "light", 1280), ("en", "dark", 390)]
)
def test_pages_are_accessible_and_never_scroll_sideways(
    page: Page, project, expert, versions, factories, sign_in, assert_accessible, language, theme,
    width,
) -> None:  # fmt: skip
    data, test = versions
    sign_in(expert, language=language, theme=theme)
    page.set_viewport_size({"width": width, "height": 900})

    def look(path: str) -> None:
        page.goto(f"/p/alpha/datasets/{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert_accessible()

    look(f"versions/{data.pk}/quality/")
    check = check_start(version=data, actor=expert, test_versions=[test])
    factories.execute(check.run)
    check.refresh_from_db()
    cleaning = clean_start(
        version=data, actor=expert, personal=["mobile_phone"], style="name", check=check,
        drop=["duplicate.exact"],
    )  # fmt: skip
    look(f"versions/{data.pk}/quality/")
    page.goto("about:blank")  # the page would load itself again when the run ends
    factories.execute(cleaning.run)
    preview = make_preview(factories, project, expert, data)
    for path in (
        f"versions/{data.pk}/",
        f"versions/{data.pk}/quality/",
        f"versions/{data.pk}/quality/flags/",
        f"versions/{data.pk}/quality/flags/?check=duplicate.exact",
        f"versions/{data.pk}/tokens/",
        f"tokens/{preview.pk}/",
    ):
        look(path)
