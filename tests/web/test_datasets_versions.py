"""Versions: their rows, who may read them in a run, and their end."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import translation

from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_error_phrases import KIND_NAMES
from pipeline.contracts.row_errors import ROW_ERROR_TEXTS
from pipeline.data.columns import ALIASES, IGNORE
from pipeline.data.datasets import read_rows
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import DomainItem
from pipeline.errors import SpecError
from studio.accounts.models import Role
from studio.datasets import services
from studio.datasets.downloads import EXAMPLE_FORMATS, example_file
from studio.datasets.fields import field_choices
from studio.datasets.models import DatasetKind, DatasetVersion
from studio.datasets.parquet_pages import read_matching_page, read_page
from studio.datasets.row_error_texts import describe, shown_error
from studio.runs.models import Plan, Run
from studio.runs.services import run_cancel, run_clone, run_create

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(factories, project, client):
    user = factories.make_user("wei", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture
def version(factories, project, engineer):
    return factories.make_import(project, engineer).run.dataset_version


def evaluation_of(version, settings, **changes):
    """A spec that reads the version."""
    model = {"path": str(settings.STUDIO_DATA_DIR / "models" / "base")}
    overlap = {"dataset": version.reference()}
    return json.dumps(
        {"kind": "evaluate", "model": model, "base": model, "text_overlap": overlap, **changes}
    )


def test_the_reference_of_a_version_reads_its_rows(version) -> None:
    rows = read_rows(DatasetRef.model_validate(version.reference()), DomainItem)
    assert [row.instruction for row in rows] == ["Q1", "Q3"]


@pytest.mark.slow
def test_rows_are_paged(client, factories, project, engineer) -> None:
    lines = "".join(f'{{"text": "document {i}"}}\n' for i in range(4_030))
    started = factories.start_import(project, engineer, lines, name="a.jsonl", kind="corpus")
    factories.execute(started.run)
    version = DatasetVersion.objects.get()
    url = reverse("datasets:version", args=["alpha", version.pk])
    first = client.get(url).content.decode()
    assert ">document 0<" in first
    assert ">document 24<" in first
    assert ">document 25<" not in first
    last = client.get(url, {"start": "4025"}).content.decode()
    assert ">document 4029<" in last
    assert "start=4000#rows" in last
    # A page over the edge of two row groups.
    assert ">document 2000<" in client.get(url, {"start": "1990"}).content.decode()
    for start in ("99999", "-1", "x", "9" * 30):
        assert client.get(url, {"start": start}).status_code == 200
    assert "document 7" in client.get(f"{url}rows/7/").content.decode()
    assert client.get(f"{url}rows/4030/").status_code == 404


def test_pages_of_a_file_are_its_rows(version) -> None:
    whole = read_page(version.rows_path, start=0, size=10)
    assert [index for index, _row in whole.rows] == [0, 1]
    assert (whole.previous_start, whole.next_start) == (None, None)
    second = read_page(version.rows_path, start=1, size=1)
    assert second.rows == whole.rows[1:]
    matching = read_matching_page(
        version.rows_path, column="instruction", value="Q3", start=0, size=10
    )
    assert matching.rows == whole.rows[1:]


def test_a_download_can_be_uploaded_again(client, version, tmp_path) -> None:
    response = client.get(reverse("datasets:rows", args=["alpha", version.pk, "jsonl"]))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(response.streaming_content))
    again = read_rows(DatasetRef(path=str(path), kind="domain_test"), DomainItem)
    assert again == read_rows(DatasetRef.model_validate(version.reference()), DomainItem)


def test_a_version_in_use_is_not_deleted(client, version, project, engineer, settings) -> None:
    run = run_create(
        project=project, actor=engineer, spec=read_run_spec(evaluation_of(version, settings))
    )
    url = reverse("datasets:delete", args=["alpha", version.pk])
    page = client.post(url, follow=True).content.decode()
    assert "is in use by the run evaluate" in page
    version.refresh_from_db()
    assert version.deleted_at is None
    run_cancel(run=run, actor=engineer)
    assert "was deleted" in client.post(url, follow=True).content.decode()


def test_a_version_of_an_unfinished_plan_is_not_deleted(version, project, engineer) -> None:
    """The steps that wait do not name its path yet."""
    plan = Plan.objects.create(
        project=project, name="p", spec={}, spec_digest="", created_by=engineer
    )
    Run.objects.filter(pk=version.run_id).update(plan=plan, step_id="first")
    Run.objects.create(
        project=project, kind="evaluate", name="second", spec={}, spec_digest="", queue="compute",
        state="waiting", created_by=engineer, plan=plan, step_id="second",
    )  # fmt: skip
    with pytest.raises(ValidationError, match="second"):
        services.version_delete(version=version, actor=engineer)


def test_a_run_on_a_deleted_version_is_refused_in_both_languages(
    client, version, project, engineer, settings, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.version_delete(version=version, actor=engineer)
    assert not version.rows_path.exists()
    spec = evaluation_of(version, settings)
    for language, words in (("en", "was deleted by wei"), ("zh-hans", "被 wei 删除")):
        with translation.override(language), pytest.raises(SpecError, match=words) as caught:
            run_create(project=project, actor=engineer, spec=read_run_spec(spec))
        assert caught.value.code == "spec.input_deleted"
        assert "text_overlap.dataset.path" in str(caught.value)
    page = client.get(reverse("datasets:version", args=["alpha", version.pk]))
    assert "Deleted by wei" in page.content.decode()
    for name in ("rows", "row"):
        arguments = ["alpha", version.pk, 0 if name == "row" else "csv"]
        assert client.get(reverse(f"datasets:{name}", args=arguments)).status_code == 404


def test_data_of_another_project_is_not_read(version, factories, engineer, settings) -> None:
    other = factories.make_project("other", "Other")
    with pytest.raises(SpecError) as caught:
        run_create(
            project=other, actor=engineer, spec=read_run_spec(evaluation_of(version, settings))
        )
    assert caught.value.code == "spec.path_not_allowed"
    upload = {"path": str(version.upload.path)}
    spec = {
        "kind": "import_dataset", "source": upload, "file_name": "x", "dataset_kind": "corpus",
    }  # fmt: skip
    with pytest.raises(SpecError) as caught:
        run_create(project=other, actor=engineer, spec=read_run_spec(json.dumps(spec)))
    assert caught.value.code == "spec.path_not_allowed"


def test_a_deleted_version_is_not_recognised_in_a_new_upload(version, project, engineer) -> None:
    DatasetVersion.objects.update(num_rejected=0)
    wanted = {"project": project, "sha256": version.upload.sha256, "kind": "domain_test"}
    assert services.known_version(**wanted) == version
    services.version_delete(version=version, actor=engineer)
    assert services.known_version(**wanted) is None


def test_a_clone_of_an_import_is_the_next_version(version, factories, engineer) -> None:
    factories.execute(run_clone(run=version.run, actor=engineer))
    numbers = version.dataset.versions.values_list("number", flat=True)
    assert sorted(numbers) == [1, 2]


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("file_format", EXAMPLE_FORMATS)
@pytest.mark.parametrize("kind", DatasetKind.values)
def test_every_example_is_valid(kind, file_format, lang, tmp_path) -> None:
    path = tmp_path / f"example.{file_format}"
    path.write_bytes(example_file(DatasetKind(kind), file_format, lang=lang))
    rows = list(scan_rows(path, Reading(kind=kind)))
    assert [row.lang for row in rows] == [lang] * 3


def test_an_unknown_example_does_not_exist(client, engineer, project) -> None:
    url = reverse("datasets:example", args=["alpha"])
    assert client.get(url, {"kind": "corpus", "format": "exe"}).status_code == 404
    assert client.get(url, {"kind": "../x"}).status_code == 404


@pytest.mark.parametrize("kind", DatasetKind.values)
def test_columns_can_be_given_every_meaning_the_reader_knows(kind) -> None:
    known = set(ALIASES[kind].values()) - {IGNORE, "meta", "other_answers"}
    offered = {name for name, _label in field_choices(kind)}
    assert known <= offered
    assert offered - known <= set("ABCDEFGH")


def test_kinds_are_called_the_same_in_errors_and_forms() -> None:
    with translation.override("en"):
        assert {str(kind): str(label) for kind, label in DatasetKind.choices} == dict(KIND_NAMES)


def test_errors_of_a_time_before_archives_are_shown() -> None:
    row = {
        "line": 2, "column": "answer", "code": "row.required_empty", "params": "{}",
        "value_excerpt": "", "cells": ["Q", ""], "row": "",
    }  # fmt: skip
    assert shown_error(row, {}).file == ""


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("code", ROW_ERROR_TEXTS)
def test_every_row_error_has_words(code, language) -> None:
    class Params(dict):
        def __missing__(self, key):
            return f"<{key}>"

    with translation.override(language):
        message, hint = describe(code, {"value": "v"}, {})
        if message == code:  # needs params: the words are there all the same
            texts = ROW_ERROR_TEXTS[code]
            message = translation.gettext(texts.message).format_map(Params())
            hint = translation.gettext(texts.hint).format_map(Params())
    assert message != code
    assert hint
    is_chinese = any("\u4e00" <= c <= "\u9fff" for c in message)
    assert is_chinese == (language == "zh-hans")


def test_a_code_of_another_version_of_the_pipeline_is_shown_as_it_is() -> None:
    assert describe("row.unheard_of", {}, {}) == ("row.unheard_of", "")


def test_words_inside_an_error_are_translated() -> None:
    params = {"field": "answer", "found": "a list", "expected": "text", "value": "x"}
    with translation.override("zh-hans"):
        message, _hint = describe("row.type", params, {})
    assert message == "answer 是列表，应为文本"
