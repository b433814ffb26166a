"""Versions made of versions: what a person collects in the browser, and what becomes of it."""

import csv
import io
import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from studio.accounts.models import Role
from studio.datasets.exports import csv_line
from studio.datasets.models import DatasetVersion, Import
from studio.datasets.parquet_pages import iter_rows
from studio.datasets.reports import read_report
from studio.datasets.services import upload_discard
from studio.datasets.workbook_stream import stream_workbook
from studio.revisions.models import PendingChange, Revision

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def expert(factories, project, client):
    user = factories.make_user("li", project=project, role=Role.EXPERT)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture
def started(factories, project, expert):
    """Rows Q1 and Q3 are a version; Q2, on line 3, has no answer."""
    return factories.make_import(project, expert)


def post(client, page, *arguments, follow=False, **data):
    return client.post(
        reverse(f"revisions:{page}", args=["alpha", *arguments]), data, follow=follow
    )


def rows_of(version):
    return list(iter_rows(version.rows_path))


def apply(client, factories, version, reason="checked"):
    """The newest version after the collected changes were made one."""
    response = post(client, "changes", version.pk, reason=reason)
    assert response.status_code == 302, response.content.decode()
    revision = Revision.objects.latest("pk")
    factories.execute(revision.run)
    return revision, DatasetVersion.objects.filter(run=revision.run).first()


def test_an_expert_corrects_rows_and_makes_a_version(client, factories, started, expert) -> None:
    version = started.run.dataset_version
    before = rows_of(version)
    page = client.get(reverse("revisions:edit", args=["alpha", version.pk, 0])).content.decode()
    assert "Q1" in page
    sent = {"instruction": "Q1", "output": "= new\r\nline", "lang": "en", "input": "", "source": "",
            "license": ""}  # fmt: skip
    post(client, "edit", version.pk, 0, **sent, reason="typo")
    post(client, "remove", version.pk, 1, reason="asked twice")
    post(client, "repair", started.pk, 0, cell_0="Q2", cell_1="A2")
    page = client.get(reverse("revisions:changes", args=["alpha", version.pk])).content.decode()
    assert "3 changes" in page
    assert "asked twice" in page
    revision, newest = apply(client, factories, version)
    assert newest.number == 2
    assert newest.created_by == expert
    assert newest.manifest["revises"]["author"] == "li"
    assert newest.manifest["revises"]["reason"] == "checked"
    rows = rows_of(newest)
    assert [(row["instruction"], row["output"]) for row in rows] == [
        ("Q1", "= new\nline"), ("Q2", "A2"),
    ]  # fmt: skip
    assert rows[1]["id"] == "line-3"
    assert rows_of(version) == before
    assert not PendingChange.objects.exists()
    page = client.get(reverse("revisions:status", args=["alpha", revision.pk])).content.decode()
    assert "version 2 was made" in page
    page = client.get(reverse("datasets:version", args=["alpha", newest.pk])).content.decode()
    assert "Made of" in page


def test_a_text_that_nobody_touched_keeps_its_line_ends(client, factories, project, expert) -> None:
    content = json.dumps({"instruction": "a\r\nb\rc", "output": " x\n"}) + "\n"
    started = factories.start_import(project, expert, content, name="a.jsonl")
    factories.execute(started.run)
    version = started.run.dataset_version
    sent = {"instruction": "a\r\nb\r\nc", "output": " x\r\n", "lang": "en", "input": "new",
            "source": "", "license": ""}  # fmt: skip
    post(client, "edit", version.pk, 0, **sent)
    _revision, newest = apply(client, factories, version)
    (row,) = rows_of(newest)
    assert (row["instruction"], row["output"], row["input"]) == ("a\r\nb\rc", " x\n", "new")


def test_changes_that_cannot_be_made_stay_collected(client, factories, started) -> None:
    version = started.run.dataset_version
    post(client, "repair", started.pk, 0, cell_0="Q2", cell_1=" ")
    post(client, "trim", version.pk)
    revision, newest = apply(client, factories, version)
    assert newest is None
    page = client.get(reverse("revisions:status", args=["alpha", revision.pk])).content.decode()
    assert "output is empty" in page
    assert PendingChange.objects.count() == 2
    # Corrected, it goes in.
    post(client, "repair", started.pk, 0, cell_0="Q2", cell_1="A2")
    assert PendingChange.objects.count() == 2
    _revision, newest = apply(client, factories, version)
    assert newest.num_rows == 3


def test_a_value_is_mapped_in_every_row(client, factories, started) -> None:
    version = started.run.dataset_version
    sent = {"which": json.dumps(["lang", "en"]), "to": "zh"}
    assert post(client, "map_value", version.pk, **sent).status_code == 302
    _revision, newest = apply(client, factories, version)
    assert {row["lang"] for row in rows_of(newest)} == {"zh"}
    post(client, "map_value", version.pk, which=json.dumps(["id", "x"]), to="y")
    assert not PendingChange.objects.exists()


def test_a_run_that_sees_only_the_rows_knows_what_they_were_read_from(
    client, factories, started
) -> None:
    version = started.run.dataset_version
    post(client, "map_value", version.pk, which=json.dumps(["lang", "en"]), to="zh")
    version.rows_path.with_name("manifest.json").unlink()  # a confined run may not read it
    _revision, newest = apply(client, factories, version)
    assert newest.description.source == version.description.source


def test_each_person_has_changes_of_their_own(client, factories, started, project) -> None:
    version = started.run.dataset_version
    post(client, "trim", version.pk)
    other = factories.make_user("zhao", project=project, role=Role.ENGINEER)
    client.force_login(other)
    page = client.get(reverse("revisions:changes", args=["alpha", version.pk])).content.decode()
    assert "No change was collected yet" in page
    assert post(client, "take_back", version.pk, PendingChange.objects.get().pk).status_code == 302
    assert PendingChange.objects.count() == 1


def test_repaired_rows_are_added_to_their_version(client, factories, project, started) -> None:
    """The way back: the file of rejected rows, repaired, becomes part of the version."""
    version = started.run.dataset_version
    response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    rows[0]["答案"] = "A2"
    repaired = io.StringIO()
    writer = csv.DictWriter(repaired, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    second = factories.start_import(
        project, started.created_by, repaired.getvalue(), name="repaired.csv"
    )
    factories.execute(second.run)
    page = client.get(reverse("revisions:append", args=["alpha", second.pk])).content.decode()
    assert "Table v1" in page
    sent = {"version": version.pk, "same_id": "refuse", "reason": "r", "idempotency_key": "k"}
    assert post(client, "append", second.pk, **sent).status_code == 302
    # The second click is the first one's.
    assert post(client, "append", second.pk, **sent).status_code == 302
    revision = Revision.objects.get()
    Import.objects.filter(pk=second.pk).update(needs_commit=True)
    DatasetVersion.objects.filter(run=second.run).delete()
    with pytest.raises(ValidationError, match="still being read"):
        upload_discard(upload=second.upload, actor=started.created_by)
    factories.execute(revision.run)
    newest = DatasetVersion.objects.get(run=revision.run)
    assert [row["instruction"] for row in rows_of(newest)] == ["Q1", "Q3", "Q2"]
    assert newest.upload == second.upload


@pytest.mark.parametrize(("name", "kind"), [("a.jsonl", "json"), ("a.csv", "csv")])
def test_rejected_rows_come_back_byte_for_byte(
    client, factories, project, expert, tmp_path, name, kind
) -> None:
    cells = ["- 甲", "'=SUM(A1)", "=1", "@x", "＝全角", "' quoted", "a;b", '"q"']
    if kind == "json":
        lines = [f'{{ "instruction":{json.dumps(cell)},  "output": ""}}' for cell in cells]
        content = "\n".join([*lines, '{"instruction": broken']) + "\n"
    else:
        table = io.StringIO()
        csv.writer(table, delimiter=";").writerows(
            [["问题", "答案", "备注"], *([cell, "", cell] for cell in cells)]
        )
        content = table.getvalue().encode("gb18030")
    started = factories.start_import(project, expert, content, name=name)
    factories.execute(started.run)
    response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
    sent = b"".join(response.streaming_content)
    if kind == "json":
        assert response["Content-Disposition"].endswith('.jsonl"')
        own = [line for line in sent.decode().splitlines() if not line.startswith('{"__line')]
        assert own == content.splitlines()
    else:
        assert sent.decode("gb18030").startswith("问题;答案;备注;__line")
    repaired = tmp_path / name
    repaired.write_bytes(
        sent.replace(b'"output": ""', b'"output": "A"')
        if kind == "json"
        else sent.decode("gb18030").replace(";;", ";A;").encode("gb18030")
    )
    found = list(scan_rows(repaired, Reading(kind="domain_test")))
    assert [row.instruction for row in found if hasattr(row, "instruction")] == cells
    if kind == "json":
        assert found[-1].code == "json.syntax"
    else:
        assert [row.meta["备注"] for row in found] == cells


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_file_of_rejected_rows_that_is_rejected_again_has_the_same_cells(
    client, factories, project, expert, suffix
) -> None:
    cells = ["- 甲", "'=SUM(A1)", "''@x", "=1", "＋", "' x", "000001", "a\nb", "_x000D_"]
    table = [["问题", "答案", "备注"], *([cell, "", cell] for cell in cells)]
    content = (
        b"".join(stream_workbook(table)) if suffix == "xlsx" else "".join(map(csv_line, table))
    )

    def rejected(content):
        started = factories.start_import(project, expert, content, name=f"a.{suffix}")
        factories.execute(started.run)
        report = read_report(started)
        found = [row["cells"][:3] for row in iter_rows(report.errors_path)]
        response = client.get(reverse("datasets:rejects", args=["alpha", started.pk]))
        return found, b"".join(response.streaming_content)

    first, given_out = rejected(content)
    second, _given_out = rejected(given_out)
    assert first == second == table[1:]


def test_versions_are_compared_row_by_row(client, factories, started) -> None:
    version = started.run.dataset_version
    sent = {"instruction": "Q1", "output": "B1", "lang": "en", "input": "", "source": "",
            "license": ""}  # fmt: skip
    post(client, "edit", version.pk, 0, **sent)
    post(client, "remove", version.pk, 1, reason="x")
    post(client, "repair", started.pk, 0, cell_0="Q2", cell_1="A2")
    _revision, newest = apply(client, factories, version)
    response = post(client, "compare", version.dataset_id, older=newest.pk, newer=version.pk)
    from studio.revisions.models import Comparison

    comparison = Comparison.objects.get()
    assert (comparison.older, comparison.newer) == (version, newest)
    factories.execute(comparison.run)
    page = client.get(response["Location"]).content.decode()
    for words in ("Changed: 1", "Added: 1", "Taken out: 1", "Unchanged: 0", ">A1<", ">B1<"):
        assert words in page
    assert ">A2<" in client.get(response["Location"], {"change": "added"}).content.decode()
    assert ">A3<" in client.get(response["Location"], {"change": "removed"}).content.decode()
    # Asked again, the answer is there.
    assert (
        post(client, "compare", version.dataset_id, older=version.pk, newer=newest.pk)["Location"]
        == response["Location"]
    )


def test_tags_and_remarks_say_something_of_a_version(client, started) -> None:
    version = started.run.dataset_version
    digest = version.digest
    post(client, "tag", version.pk, name="已审核")
    post(client, "tag", version.pk, name="已审核")
    page = post(client, "remark", version.pk, text="由法规处复核", follow=True).content.decode()
    assert "已审核" in page
    assert "由法规处复核" in page
    tag = version.tags.get()
    post(client, "untag", version.pk, tag.pk)
    assert not version.tags.exists()
    version.refresh_from_db()
    assert version.digest == digest
