"""From a file in a form to a version, step by step, and everything that can be wrong with it."""

import csv
import io
import os
import zipfile
from pathlib import Path
from typing import get_args

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from pipeline.contracts.import_specs import ReadingOptions
from pipeline.data.encodings import EncodingReason
from pipeline.data.table_forms import FormReason
from studio.accounts.models import AuditEvent, Role
from studio.datasets import services
from studio.datasets.models import (
    Dataset,
    DatasetVersion,
    Import,
    Preview,
    SavedMapping,
    Upload,
    uploads_dir,
)
from studio.datasets.preview_words import REASONS
from studio.datasets.unfinished import arriving_prefix
from studio.runs.models import Run
from studio.runs.services import run_clone

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
HOSTILE = "<script>alert(1)</script>"
LINE_CELL = '<th scope="row" class="text-end">'


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def expert(factories, project, client):
    user = factories.make_user("lina", project=project, role=Role.EXPERT)
    client.force_login(user)
    return user


def send(client, content, name="table.csv", language="en", **fields):
    data = content.encode() if isinstance(content, str) else content
    client.cookies["django_language"] = language
    form = {"kind": "domain_test", "file": SimpleUploadedFile(name, data), **fields}
    return client.post(reverse("datasets:upload", args=["alpha"]), form)


def look(client, factories, preview, language="en"):
    """The page of a preview whose run is executed first."""
    factories.execute(preview.run)
    return preview_page(client, preview, language)


def preview_page(client, preview, language="en"):
    client.cookies["django_language"] = language
    response = client.get(preview_url(preview))
    assert response.status_code == 200
    return response.content.decode()


def preview_url(preview):
    return reverse("datasets:preview", args=["alpha", preview.pk])


def go_on(client, preview, action="check", **fields):
    """The form beside the rows is sent with `fields` changed."""
    form = client.get(preview_url(preview)).context["form"]
    values = {name: form.initial.get(name, field.initial) for name, field in form.fields.items()}
    given = {name: value for name, value in values.items() if value not in (None, False)}
    return client.post(preview_url(preview), {**given, "action": action, **fields})


def bring_in(client, factories, content, name="table.csv", **fields):
    """A file on the way of a person, up to its report."""
    assert send(client, content, name=name, **fields).status_code == 302
    preview = Preview.objects.latest("pk")
    factories.execute(preview.run)
    assert go_on(client, preview).status_code == 302
    started = Import.objects.latest("pk")
    factories.execute(started.run)
    return started


def keep(client, started, **fields):
    return client.post(reverse("datasets:commit", args=["alpha", started.pk]), fields)


def report_page(client, started, language="en", **query):
    client.cookies["django_language"] = language
    response = client.get(reverse("datasets:report", args=["alpha", started.pk]), query)
    assert response.status_code == 200
    return response.content.decode()


def workbook(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def archive(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


def test_an_upload_becomes_a_version_step_by_step(client, factories, project, expert) -> None:
    response = send(client, factories.TABLE, name="Funds", note="first")
    preview = Preview.objects.get()
    assert response["Location"] == preview_url(preview)
    assert preview.run.queue == "interactive"
    assert "Waiting for a free worker" in preview_page(client, preview)
    page = look(client, factories, preview)
    assert "The first rows, as they will be stored" in page
    assert "Q3" in page
    assert not Import.objects.exists()

    response = go_on(client, preview, dataset_name="Funds", kind="domain_test")
    started = Import.objects.get()
    checking = reverse("datasets:checking", args=["alpha", started.pk])
    report = reverse("datasets:report", args=["alpha", started.pk])
    assert response["Location"] == checking
    assert "Waiting for a free worker" in client.get(checking).content.decode()
    assert client.get(report)["Location"] == checking
    factories.execute(started.run)
    assert client.get(checking)["Location"] == report
    assert not DatasetVersion.objects.exists()
    page = report_page(client, started)
    assert "Nothing has become a version yet" in page
    assert "答案 is empty" in page
    assert "fill it in, or remove the row" in page
    assert "答案 为空" in report_page(client, started, "zh-hans")

    client.cookies["django_language"] = "en"
    refused = keep(client, started)
    assert refused.status_code == 400
    assert "Say first that the wrong rows are left out" in refused.content.decode()
    assert not DatasetVersion.objects.exists()
    kept = keep(client, started, accepts_rejected="on")
    version = DatasetVersion.objects.get()
    assert kept["Location"] == reverse("datasets:version", args=["alpha", version.pk])
    assert (str(version), version.num_rows, version.num_rejected) == ("Funds v1", 2, 1)
    assert version.rows_path.is_file()
    assert (version.note, version.created_by) == ("first", expert)
    assert "2 rows are Funds version 1" in report_page(client, started)
    actions = [
        "dataset.upload", "run.create", "dataset.preview", "run.create", "dataset.import",
        "dataset.publish",
    ]  # fmt: skip
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == actions


def test_a_second_upload_is_the_next_version(client, factories, project, expert) -> None:
    for number in (1, 2):
        keep(client, bring_in(client, factories, f"问题,答案\nQ{number},A\n", "Funds.csv"))
    versions = DatasetVersion.objects.order_by("number")
    assert [str(version) for version in versions] == ["Funds v1", "Funds v2"]
    assert Dataset.objects.count() == 1


def test_asking_twice_is_asking_once(client, factories, project, expert) -> None:
    """Two clicks, or two tabs with the same choices, meet in one run and one version."""
    for _click in range(2):
        send(client, factories.TABLE)
    preview = Preview.objects.get()
    factories.execute(preview.run)
    locations = {go_on(client, preview)["Location"] for _click in range(2)}
    started = Import.objects.get()
    assert locations == {reverse("datasets:checking", args=["alpha", started.pk])}
    factories.execute(started.run)
    pages = {keep(client, started, accepts_rejected="on")["Location"] for _click in range(2)}
    assert pages == {reverse("datasets:version", args=["alpha", DatasetVersion.objects.get().pk])}
    assert Run.objects.count() == 2
    # What failed is tried again.
    Run.objects.filter(pk=preview.run_id).update(state="failed")
    assert go_on(client, preview, action="show")["Location"] != preview_url(preview)


def test_other_choices_are_another_preview_and_the_way_back_keeps_them(
    client, factories, project, expert
) -> None:
    send(client, "标题\n问题,备注\nQ,A\n")
    first = Preview.objects.get()
    look(client, factories, first)
    response = go_on(client, first, "show", header_row="2", note="later", remembers="on")
    second = Preview.objects.latest("pk")
    assert response["Location"] == preview_url(second)
    assert second.run.spec["header_row"] == 2
    assert (second.note, second.remembers) == ("later", True)
    page = look(client, factories, second)
    assert 'value="2"' in page
    response = go_on(client, second, "show", column_1="output")
    third = Preview.objects.latest("pk")
    assert third.run.spec["columns_at"] == {"2": "output"}
    assert "A</td>" in look(client, factories, third)
    assert go_on(client, third).status_code == 302
    started = Import.objects.get()
    assert (started.run.spec["header_row"], started.run.spec["columns_at"]) == (2, {"2": "output"})
    factories.execute(started.run)
    assert preview_url(third) in report_page(client, started)
    assert 'value="2"' in preview_page(client, first) or first.run.spec["header_row"] is None
    # Every choice of the last preview is in its form, so that going on from there changes nothing.
    assert go_on(client, third)["Location"].endswith(f"/{started.pk}/checking/")


def test_every_reason_of_a_reading_has_words() -> None:
    expected = {f"encoding.{reason}" for reason in get_args(EncodingReason)}
    expected |= {f"encoding.{reason}_damaged" for reason in ("bom", "plausible")}
    for aspect in ("delimiter", "header_row"):
        expected |= {f"{aspect}.{reason}" for reason in get_args(FormReason)}
    assert {reason for reason in REASONS if not reason.startswith("sheets.")} - expected == {
        "header_row.found"
    }
    assert expected <= set(REASONS)


def test_a_mapping_is_remembered_for_the_next_file_and_forgotten_on_request(
    client, factories, project, expert
) -> None:
    send(client, "问题,备注\nQ,A\n")
    first = Preview.objects.get()
    look(client, factories, first)
    go_on(client, first, column_1="output", remembers="on")
    factories.execute(Preview.objects.latest("pk").run)
    factories.execute(Import.objects.get().run)
    saved = SavedMapping.objects.get()
    assert (saved.columns_at, saved.kind) == ({"2": "output"}, "domain_test")

    send(client, "问题,备注\nQ2,A2\n", "next.csv")
    following = Preview.objects.latest("pk")
    page = look(client, factories, following)
    assert "A file with the same columns was read like this by lina" in page
    assert "A2" in page
    assert go_on(client, following).status_code == 302
    assert Import.objects.latest("pk").run.spec["columns_at"] == {"2": "output"}

    client.post(reverse("datasets:forget", args=["alpha", following.pk]))
    assert not SavedMapping.objects.exists()
    assert "No column for output" in look(client, factories, Preview.objects.latest("pk"))


def test_the_same_file_is_recognised(client, factories, project, expert) -> None:
    good = "问题,答案\nQ,A\n"
    keep(client, bring_in(client, factories, good, name="Funds.csv"))
    response = send(client, good, name="Other name.csv")
    version = DatasetVersion.objects.get()
    assert response["Location"] == reverse("datasets:version", args=["alpha", version.pk])
    page = client.get(response["Location"]).content.decode()
    assert "This exact file is Funds v1 already, uploaded by lina" in page
    assert (Upload.objects.count(), Preview.objects.count()) == (1, 1)
    # As another kind it is another data set, but the file is stored once.
    send(client, good, kind="conversations", name="Talks.csv")
    assert (Upload.objects.count(), Preview.objects.count()) == (1, 2)


@pytest.mark.parametrize(
    ("name", "content", "english", "chinese"),
    [
        ("a.pdf", b"%PDF-1.7 x", "which is read as one document", "PDF 文档"),
        ("a.jsonl", b" \n\n", "The file holds no rows", "文件中没有数据行"),
        ("a.csv", "问题,备注\nQ,A\n", "No column for output", "缺少 output 列"),
        ("a.jsonl", b'{"instruction": "Q",}\n', "a key in double quotes", "缺少双引号括起的键"),
        ("a.csv", "问题,答案\n" + '"Q,A\n', "a double quote is not closed", "双引号未闭合"),
        (
            "a.csv",
            "问题,答案\nQ,锟斤拷\n".encode(),
            "left by a wrong conversion",
            "错误转码留下的",
        ),
        ("a.xlsx", workbook([["问题", "答案"], ["Q", "=1+1"]]), "is a formula", "B2 是公式"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "old .xls", "旧版 .xls"),
        ("a.bin", b"\x80\x02}q\x00" + bytes(60), "binary data", "二进制数据"),
        ("a.zip", archive({"../a.csv": "x"}), "leads out of the archive", "名称指向压缩包之外"),
        ("a.zip", archive({"a.csv": "0" * (9 << 20)}), "suspiciously larger", "倍数异常"),
        ("a.zip", archive({"README.md": "x"}), "no data file", "没有数据文件"),
        ("a.zip", archive({"a.csv": "x"})[:-9], "The file a.zip is damaged", "文件 a.zip 已损坏"),
    ],
)
def test_what_is_wrong_is_said_in_both_languages(
    client, factories, project, expert, name, content, english, chinese
) -> None:
    assert send(client, content, name=name).status_code == 302
    preview = Preview.objects.get()
    assert english in look(client, factories, preview)
    assert chinese in preview_page(client, preview, "zh-hans")
    assert go_on(client, preview).status_code == 302
    started = Import.objects.get()
    assert factories.execute(started.run).state == "succeeded"
    assert english in report_page(client, started)
    assert chinese in report_page(client, started, "zh-hans")
    assert keep(client, started, accepts_rejected="on").status_code == 400
    assert not DatasetVersion.objects.exists()


def test_an_archive_of_a_benchmark_becomes_a_version(client, factories, project, expert) -> None:
    header = "id,question,A,B,C,D"
    content = archive(
        {
            "val/law_val.csv": f"{header},answer\n0,题,甲,乙,丙,丁,A\n1,题二,甲,乙,丙,丁,B\n",
            "test/law_test.csv": f"{header}\n0,{HOSTILE},甲,乙,丙,丁\n",
            f"{HOSTILE}.md": "x",
        }
    )
    started = bring_in(client, factories, content, name="ceval-exam.zip", kind="multiple_choice")
    assert started.upload.path.suffix == ".zip"
    page = report_page(client, started)
    assert "Recognised as C-Eval" in page
    assert "test/law_test.csv:2" in page
    assert "C-Eval publishes some splits without answers" in page
    assert HOSTILE not in page
    page = report_page(client, started, "zh-hans")
    assert "识别为 C-Eval" in page
    assert "C-Eval 的部分数据不公布答案" in page
    response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
    rows = csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig")))
    (row,) = list(rows)
    assert (row["__file"], row["__line"]) == ("test/law_test.csv", "2")
    assert row["__row"] == f"0,{HOSTILE},甲,乙,丙,丁"

    keep(client, started, accepts_rejected="on")
    version = DatasetVersion.objects.get()
    assert (version.num_rows, version.num_rejected) == (2, 1)
    page = client.get(reverse("datasets:version", args=["alpha", version.pk])).content.decode()
    assert "val/law/1" in page
    assert "压缩包中的文件" in page


@pytest.mark.parametrize(
    ("language", "words"), [("en", "as one zip archive"), ("zh-hans", "打包为一个 zip")]
)
def test_the_form_says_what_is_recognised(client, project, expert, language, words) -> None:
    client.cookies["django_language"] = language
    page = client.get(reverse("datasets:upload", args=["alpha"])).content.decode()
    assert words in page
    for name in ("C-Eval", "CMMLU", "MMLU", "ARC", "HellaSwag", "AGIEval", "GSM8K", "LawBench"):
        assert name in page


def test_an_empty_file_is_refused_by_the_form(client, project, expert) -> None:
    assert "The submitted file is empty" in send(client, b"").content.decode()
    response = send(client, b"", language="zh-hans")
    assert response.status_code == 400
    assert "空文件" in response.content.decode()


def test_a_file_over_the_limit_is_refused_without_being_stored(
    client, project, expert, settings
) -> None:
    settings.STUDIO_MAX_UPLOAD_BYTES = 50_000
    response = send(client, b"x" * 60_000)
    assert response.status_code == 400
    assert "The file is larger than 48.8" in response.content.decode()
    assert "文件超过" in send(client, b"x" * 60_000, language="zh-hans").content.decode()
    assert not Upload.objects.exists()
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())


def test_no_file_and_no_kind_are_named(client, project, expert) -> None:
    client.cookies["django_language"] = "en"
    response = client.post(reverse("datasets:upload", args=["alpha"]), {})
    page = response.content.decode()
    assert response.status_code == 400
    assert "2 things to correct" in page


def test_the_name_of_the_file_is_only_shown(client, factories, project, expert) -> None:
    send(client, "问题,答案\nQ,A\n", name=f"{HOSTILE}\n\u202e../../etc/x.CSV")
    upload = Upload.objects.get()
    assert upload.path == uploads_dir() / f"{upload.pk}.csv"
    assert upload.path.is_file()
    assert "\n" not in upload.file_name
    assert HOSTILE not in look(client, factories, Preview.objects.get())


def test_a_data_set_keeps_its_kind(client, factories, project, expert) -> None:
    bring_in(client, factories, factories.TABLE, name="Funds.csv")
    response = send(client, "text\nhello\n", name="Funds.csv", kind="corpus")
    assert response.status_code == 400
    assert "holds Questions and answers" in response.content.decode()
    send(client, "text\nhello\n", name="Texts.csv", kind="corpus")
    preview = Preview.objects.latest("pk")
    factories.execute(preview.run)
    response = go_on(client, preview, dataset_name="Funds")
    assert response.status_code == 400
    assert "holds Questions and answers" in response.content.decode()


def test_an_import_that_no_person_started_waits_for_nobody(factories, project, expert) -> None:
    """The demonstration's, and those of scripts: the policy says what becomes of wrong rows."""
    started = factories.start_import(project, expert, policy="all_or_nothing")
    factories.execute(started.run)
    assert not DatasetVersion.objects.exists()
    factories.execute(factories.start_import(project, expert).run)
    assert DatasetVersion.objects.get().num_rejected == 1


def test_an_import_of_before_is_looked_at_and_kept_by_the_same_steps(
    client, factories, project, expert
) -> None:
    started = factories.start_import(project, expert, policy="all_or_nothing")
    factories.execute(started.run)
    again = reverse("datasets:again", args=["alpha", started.pk])
    assert again in report_page(client, started)
    response = client.post(again)
    preview = Preview.objects.get()
    assert response["Location"] == preview_url(preview)
    look(client, factories, preview)
    go_on(client, preview)
    following = Import.objects.latest("pk")
    factories.execute(following.run)
    assert not DatasetVersion.objects.exists()
    keep(client, following, accepts_rejected="on")
    assert DatasetVersion.objects.get().num_rejected == 1


def test_training_data_needs_no_tick(client, factories, project, expert) -> None:
    lines = '{"text": "one"}\n{"text": ""}\n'
    started = bring_in(client, factories, lines, "a.jsonl", kind="corpus")
    assert "accepts_rejected" not in report_page(client, started)
    keep(client, started)
    assert DatasetVersion.objects.get().num_rejected == 1


def test_a_run_that_was_repeated_waits_as_the_first_did(client, factories, project, expert) -> None:
    """Its rows are kept from a report of its own."""
    started = bring_in(client, factories, factories.TABLE)
    factories.execute(run_clone(run=started.run, actor=expert))
    assert not DatasetVersion.objects.exists()
    repeated = Import.objects.latest("pk")
    assert (repeated.needs_commit, repeated.preview) == (True, started.preview)
    keep(client, repeated, accepts_rejected="on")
    assert DatasetVersion.objects.get().run == repeated.run


def test_two_columns_cannot_mean_the_same(client, factories, project, expert) -> None:
    preview = factories.start_preview(project, expert, "问题,备注\nQ,A\n")
    look(client, factories, preview)
    response = go_on(client, preview, column_0="instruction", column_1="instruction")
    assert response.status_code == 400
    page = response.content.decode()
    assert "问题 means the same already" in page
    # What was chosen stays chosen.
    assert page.count('<option value="instruction" selected>') == 2


def test_an_encoding_is_chosen(client, factories, project, expert) -> None:
    content = "问题,答案\n甲,乙\n".encode("gb18030")
    preview = factories.start_preview(
        project, expert, content, options=ReadingOptions(encoding="utf-8")
    )
    assert "按 GB18030 编码读取" in look(client, factories, preview, "zh-hans")
    go_on(client, preview, "show", encoding="gb18030")
    chosen = Preview.objects.latest("pk")
    assert "甲" in look(client, factories, chosen)
    go_on(client, chosen)
    started = Import.objects.get()
    factories.execute(started.run)
    keep(client, started)
    assert DatasetVersion.objects.get().manifest["source"]["encoding"] == "gb18030"


def test_the_wrong_rows_come_back_with_their_columns(client, factories, project, expert) -> None:
    content = '编号,问题,答案\n1,=cmd(),\n1,"two\nlines",A\n1,Q,A\n2,Q,A,too many\n'
    started = factories.start_import(project, expert, content)
    factories.execute(started.run)
    client.cookies["django_language"] = "zh-hans"
    response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
    text = b"".join(response.streaming_content).decode()
    assert text.startswith("\ufeff编号,问题,答案,__line,__column,__code,__message,__hint,__row")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["__line"] for row in rows] == ["2", "5", "6"]
    assert rows[0]["问题"] == "'=cmd()"
    assert rows[0]["__message"] == "答案 为空"
    assert rows[1]["__message"] == "id “1”已在第 3 行使用"
    assert (rows[2]["问题"], rows[2]["__row"]) == ("", "2,Q,A,too many")


def test_errors_are_paged_and_filtered(client, factories, project, expert) -> None:
    lines = [f"Q{i},{'' if i % 2 else 'A'}" for i in range(240)] + ["a,b,c"]
    started = factories.start_import(project, expert, "问题,答案\n" + "\n".join(lines) + "\n")
    factories.execute(started.run)
    first = report_page(client, started)
    assert first.count(LINE_CELL) == 50
    assert "start=50#errors" in first
    last = report_page(client, started, start="100")
    assert last.count(LINE_CELL) == 21
    filtered = report_page(client, started, code="csv.columns")
    assert filtered.count(LINE_CELL) == 1
    assert "the row has 3 columns, the header 2" in filtered
    assert report_page(client, started, start="99999999").count(LINE_CELL) == 0


def test_row_content_is_text_everywhere(client, factories, project, expert) -> None:
    content = f"问题,答案,{HOSTILE}\n{HOSTILE},,x\n{HOSTILE},{HOSTILE},x\n"
    preview = factories.start_preview(project, expert, content)
    assert HOSTILE not in look(client, factories, preview)
    started = factories.start_import(project, expert, content)
    factories.execute(started.run)
    assert HOSTILE not in report_page(client, started)
    version = DatasetVersion.objects.get()
    for page in (
        reverse("datasets:version", args=["alpha", version.pk]),
        reverse("datasets:row", args=["alpha", version.pk, 0]),
        preview_url(preview),
    ):
        html = client.get(page).content.decode()
        assert HOSTILE not in html
        assert "&lt;script&gt;" in html


def test_lone_surrogates_and_nul_reach_no_page_as_an_error(
    client, factories, project, expert
) -> None:
    content = b'{"\\ud800": 1, "a\\u0000b": 2}\n{"instruction": "\\ud800", "output": "\\u0000"}\n'
    started = factories.start_import(project, expert, content, name="a.jsonl")
    assert factories.execute(started.run).state == "succeeded"
    assert "half of a character" in report_page(client, started)
    response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
    assert b"".join(response.streaming_content)


def test_an_upload_is_discarded_when_nobody_reads_it(client, factories, project, expert) -> None:
    started = factories.start_import(project, expert)
    url = reverse("datasets:discard", args=["alpha", started.pk])
    client.cookies["django_language"] = "en"
    page = client.post(url, follow=True).content.decode()
    assert "is still being read" in page
    assert started.upload.path.is_file()
    factories.execute(started.run)
    client.post(url)
    started.upload.refresh_from_db()
    assert started.upload.discarded_at is not None
    # The version was made of it and stays.
    assert DatasetVersion.objects.get().rows_path.is_file()
    assert "was discarded" in report_page(client, started)
    response = client.post(reverse("datasets:again", args=["alpha", started.pk]), follow=True)
    assert "not there any more" in response.content.decode()


def test_what_was_discarded_becomes_no_version(client, factories, project, expert) -> None:
    started = bring_in(client, factories, factories.TABLE)
    preview = started.preview
    assert client.post(reverse("datasets:preview_discard", args=["alpha", preview.pk])).url
    client.cookies["django_language"] = "en"
    response = keep(client, started, accepts_rejected="on")
    assert response.status_code == 400
    assert not DatasetVersion.objects.exists()
    assert "The uploaded file was discarded" in preview_page(client, preview)
    response = go_on(client, preview, "show", note="changed")
    assert response.status_code == 400
    assert "not there any more" in response.content.decode()


def test_the_discarded_file_leaves_the_disk(
    factories, project, expert, django_capture_on_commit_callbacks
) -> None:
    started = factories.make_import(project, expert)
    with django_capture_on_commit_callbacks(execute=True):
        services.upload_discard(upload=started.upload, actor=expert)
    assert not started.upload.path.exists()


def test_others_cannot_act_on_an_upload(client, factories, project, expert) -> None:
    started = factories.make_import(project, expert)
    preview = factories.make_preview(project, expert)
    for role in (Role.EXPERT, Role.ENGINEER, Role.REVIEWER):
        client.force_login(factories.make_user(f"other-{role}", project=project, role=role))
        for page in ("commit", "discard"):
            url = reverse(f"datasets:{page}", args=["alpha", started.pk])
            assert client.post(url).status_code == 403
        assert "Discard" not in report_page(client, started)
        assert client.post(preview_url(preview), {"action": "check"}).status_code == 403
        assert (
            client.post(reverse("datasets:forget", args=["alpha", preview.pk])).status_code == 403
        )
        assert "Discard" not in preview_page(client, preview)


def test_progress_is_shown_until_the_run_ends(client, factories, project, expert) -> None:
    started = factories.start_import(project, expert)
    url = reverse("datasets:progress", args=["alpha", started.pk])
    Run.objects.filter(pk=started.run.pk).update(progress_done=5000, progress_total=20000)
    client.cookies["django_language"] = "en"
    response = client.get(url)
    assert "X-Poll-Reload" not in response
    factories.execute(started.run)
    assert client.get(url)["X-Poll-Reload"] == "1"


def test_a_run_that_failed_says_why(client, factories, project, expert) -> None:
    started = factories.start_import(project, expert)
    started.upload.path.unlink()
    assert factories.execute(started.run).state == "failed"
    page = report_page(client, started)
    assert "could not be read to its end" in page
    assert "data.not_found" in page


def test_the_number_of_queries_does_not_depend_on_the_rows(
    client, factories, project, expert, django_assert_num_queries
) -> None:
    imports = [factories.make_import(project, expert) for _ in range(2)]
    client.get(reverse("datasets:index", args=["alpha"]))
    for number in range(3):
        factories.start_import(
            project, expert, f"问题,答案\nQ{number},A\n", dataset_name=f"d{number}"
        )
    dataset = Dataset.objects.get(name="Table")
    version = imports[0].run.dataset_version
    for name, argument, count in (
        ("index", None, 8),
        ("dataset", dataset.pk, 9),
        ("report", imports[0].pk, 7),
        ("progress", imports[0].pk, 4),
        ("version", version.pk, 10),
        ("row", version.pk, 6),
    ):
        arguments = ["alpha", *([] if argument is None else [argument])]
        arguments += [0] if name == "row" else []
        with django_assert_num_queries(count):
            assert client.get(reverse(f"datasets:{name}", args=arguments)).status_code == 200


def test_a_report_that_cannot_be_read_is_said_to_be_absent(
    client, factories, project, expert
) -> None:
    started = factories.make_import(project, expert)
    Run.objects.filter(pk=started.run_id).update(report={"v": 9})
    assert "The report of this import cannot be read" in report_page(client, started)
    assert client.get(reverse("datasets:rejects", args=["alpha", started.pk])).status_code == 404
    assert client.post(reverse("datasets:again", args=["alpha", started.pk])).status_code == 302


@pytest.mark.parametrize("whose", ["USER", "PROJECT"])
@pytest.mark.parametrize("cap", [(3, 10**9), (100, 3000)], ids=["number", "bytes"])
@pytest.mark.parametrize("num_arriving", [0, 1, 2])
def test_unfinished_uploads_are_capped(
    client, project, expert, factories, settings, whose: str, cap, num_arriving: int
) -> None:
    """Three fit, of which some still arrive; finishing one makes room."""
    setattr(settings, f"STUDIO_MAX_UNFINISHED_PER_{whose}", cap)
    sender = expert
    if whose == "PROJECT":  # what others have sent counts for the project, not for the person
        sender = factories.make_user("other", project=project, role=Role.EXPERT)
    uploads = [
        factories.make_upload(project, sender, f"{number}".rjust(1000, "x"))
        for number in range(3 - num_arriving)
    ]
    prefix = arriving_prefix(project=project, uploader=sender, num_bytes=1000)
    arriving = [
        Path(settings.FILE_UPLOAD_TEMP_DIR) / f"{prefix}{number}.upload"
        for number in range(num_arriving)
    ]
    for path in arriving:
        path.touch()
    response = send(client, factories.TABLE)
    assert response.status_code == 400
    text = "The project has its fill" if whose == "PROJECT" else "You have your fill"
    assert text in response.content.decode()
    assert sorted(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == sorted(arriving)
    if arriving:  # its process was killed
        os.utime(arriving[0], (0, 0))
    else:
        services.upload_discard(upload=uploads[0], actor=sender)
    assert send(client, factories.TABLE).status_code == 302
    for path in arriving:
        path.unlink()


def test_an_upload_that_became_a_version_is_finished(
    client, project, expert, factories, settings
) -> None:
    settings.STUDIO_MAX_UNFINISHED_PER_USER = (1, 10**9)
    started = factories.make_import(project, expert)
    assert started.upload in Upload.objects.filter(versions__isnull=False)
    assert send(client, "Q,A\n1,2\n").status_code == 302
