"""Checkpoints: published by runs, linked to their parents, imported after inspection, deleted."""

import json
import re
import shutil
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import translation

from pipeline.contracts.documents import read_run_spec
from pipeline.contracts.reports import Output
from pipeline.errors import ModelError, SpecError
from studio.accounts.models import AuditEvent, Role
from studio.registry import services
from studio.registry.candidates import import_candidates
from studio.registry.error_texts import ERROR_TEXTS, UNKNOWN, error_text
from studio.registry.models import BASE, Checkpoint, CheckpointParent
from studio.runs import lifecycle
from studio.runs.models import Run
from studio.runs.services import run_cancel, run_create

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


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    from pipeline.modeling.tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def imports(settings, tmp_path):
    """The folder from which models may be imported."""
    settings.STUDIO_IMPORT_DIRS = [tmp_path / "imports"]
    (tmp_path / "imports").mkdir()
    return tmp_path / "imports"


@pytest.fixture
def finish(factories):
    """Makes a run succeed with a model, as a supervisor would report it."""

    def finish(run, *, digest=None, facts=None):
        claim = lifecycle.claim(run.pk, slot=f"test/{uuid.uuid4()}", queue=run.queue)
        output = Output(path="model", digest=digest or "a" * 64, facts=facts)
        report = factories.make_report(run, outputs={"model": output})
        assert lifecycle.finish_succeeded(run.pk, claim.attempt, report)
        return Checkpoint.objects.filter(run=run).first()

    return finish


@pytest.fixture
def train(finish, settings):
    """Makes a finished fine-tuning of what lies at `parent_path`."""

    def train(project, user, parent_path, dataset=None, digest=None, name="sft", **report):
        model = {"path": str(parent_path)}
        if digest is not None:
            model["digest"] = digest
        data = dataset or {
            "path": str(settings.STUDIO_DATA_DIR / "models" / "sft.jsonl"),
            "kind": "conversations",
        }
        spec = {
            "kind": "curriculum_sft",
            "name": name,
            "model": model,
            "optimizer": {"learning_rate": 1e-4},
            "stages": [{"name": "one", "datasets": [data], "num_tokens": 100}],
        }
        run = run_create(project=project, actor=user, spec=read_run_spec(json.dumps(spec)))
        return finish(run, **report)

    return train


@pytest.fixture
def base_path(settings):
    return settings.STUDIO_DATA_DIR / "models" / "smollm2"


def test_a_run_publishes_its_model_with_its_parent(project, engineer, base_path, train) -> None:
    facts = {"num_parameters": 134_515_008, "model_type": "llama"}
    first = train(project, engineer, base_path, facts=facts, digest=None)
    base = Checkpoint.objects.get(kind=BASE.name)
    assert (base.name, base.run) == ("smollm2", None)
    assert (first.kind, first.num_parameters) == ("curriculum_sft", 134_515_008)
    assert first.path == f"runs/{first.run_id}/attempt-1/model"
    assert [(link.parent, link.role) for link in first.parent_links.all()] == [(base, "model")]
    second = train(project, engineer, first.model_path, name="second")
    assert second.parent_links.get().parent == first
    assert Checkpoint.objects.filter(kind=BASE.name).count() == 1
    assert AuditEvent.objects.filter(action="checkpoint.register").count() == 3


def test_a_parent_is_found_by_its_digest(project, engineer, base_path, settings, train) -> None:
    first = train(project, engineer, base_path)
    first.digest = "b" * 64
    first.save()
    copy = settings.STUDIO_DATA_DIR / "models" / "copy"
    second = train(project, engineer, copy, digest="b" * 64)
    assert second.parent_links.get().parent == first


def test_other_runs_publish_no_checkpoint(project, engineer, factories, finish) -> None:
    run = factories.make_run(project, engineer)
    assert finish(run) is None
    assert not Checkpoint.objects.exists()


def test_the_card_shows_facts_inputs_lineage_and_measurements(
    client, project, engineer, factories, base_path, settings, train
) -> None:
    version = factories.make_import(project, engineer).run.dataset_version
    facts = {
        "architecture": "LlamaForCausalLM", "num_parameters": 134_515_008, "num_layers": 30,
        "hidden_size": 576, "vocab_size": 49_152, "max_position_embeddings": 8_192,
        "format": "safetensors", "dtype": "F32", "has_tokenizer": True, "has_chat_template": False,
    }  # fmt: skip
    found = train(project, engineer, base_path, dataset=version.reference(), facts=facts)
    model = {"path": str(found.model_path)}
    factories.make_run(project, engineer, name="how good is it", model=model)
    url = reverse("registry:checkpoint", args=["alpha", found.pk])
    page = client.get(url).content.decode()
    for words in (
        "LlamaForCausalLM", "134,515,008", "49,152", found.digest, "Table v1", "how good is it",
        "trained_tokens", "smollm2", found.run.spec_digest,
        reverse("runs:detail", args=["alpha", found.run_id]),
    ):  # fmt: skip
        assert words in page
    client.cookies["django_language"] = "zh-hans"
    assert "隐藏层宽度" in client.get(url).content.decode()


def test_the_drawing_goes_from_left_to_right_and_has_a_table(
    client, project, engineer, base_path, train
) -> None:
    first = train(project, engineer, base_path, name="first")
    train(project, engineer, first.model_path, name="国资央企知识问答领域模型第二阶段微调")
    page = client.get(reverse("registry:lineage", args=["alpha"])).content.decode()
    corners = [int(x) for x in re.findall(r'<rect x="(\d+)"', page)]
    assert corners == sorted(set(corners))
    assert page.count('class="lineage-edge"') == 2
    assert "国资央企知识问答领域模型第二阶段微调" in page
    assert "..." in page
    assert page.count('<th scope="row">') == 2
    # The card draws the family only.
    train(project, engineer, base_path.with_name("other"), name="stranger")
    card = client.get(reverse("registry:checkpoint", args=["alpha", first.pk])).content.decode()
    assert "stranger" not in card


def test_names_in_the_drawing_are_text(client, project, engineer, base_path, train) -> None:
    hostile = '</text><script>alert("x")</script>'
    train(project, engineer, base_path, name=hostile)
    page = client.get(reverse("registry:lineage", args=["alpha"])).content.decode()
    assert "<script>alert" not in page


def test_lists_and_cards_have_a_constant_number_of_queries(
    client, project, engineer, base_path, django_assert_num_queries, train
) -> None:
    found = train(project, engineer, base_path)
    client.get(reverse("registry:index", args=["alpha"]))
    for number in range(3):
        for name, count in (("index", 7), ("lineage", 7), ("checkpoint", 11)):
            arguments = ["alpha", *([found.pk] if name == "checkpoint" else [])]
            with django_assert_num_queries(count):
                assert client.get(reverse(f"registry:{name}", args=arguments)).status_code == 200
        found = train(project, engineer, found.model_path, name=f"sft {number}")


def test_the_empty_pages_say_what_to_do(client, project, engineer, imports) -> None:
    page = client.get(reverse("registry:index", args=["alpha"])).content.decode()
    assert "There is no checkpoint yet" in page
    assert "Import a model" in page
    page = client.get(reverse("registry:import", args=["alpha"])).content.decode()
    assert "There is no model to import" in page
    assert str(imports) in page


# --- import ---------------------------------------------------------------------------------


def send_import(client, token, **fields):
    url = reverse("registry:import", args=["alpha"])
    return client.post(url, {"model": token, "license_note": "Apache-2.0", **fields})


def test_a_model_is_imported_after_inspection(
    client, project, engineer, factories, imports, tiny_model
) -> None:
    shutil.copytree(tiny_model, imports / "team" / "tiny")
    assert "team/tiny" in client.get(reverse("registry:import", args=["alpha"])).content.decode()
    response = send_import(client, "0:team/tiny")
    run = Run.objects.get()
    assert (run.queue, run.name) == ("interactive", "tiny")
    status = response["Location"]
    assert "Waiting for a free worker" in client.get(status).content.decode()
    progress = reverse("registry:import_progress", args=["alpha", run.pk])
    assert "X-Poll-Reload" not in client.get(progress)
    factories.execute(run)
    assert client.get(progress)["X-Poll-Reload"] == "1"
    found = Checkpoint.objects.get()
    assert (found.kind, found.license_note) == ("imported", "Apache-2.0")
    assert found.facts["model_type"] == "llama"
    assert (found.model_path / "model.safetensors").is_file()
    assert not found.parent_links.exists()
    page = client.get(status).content.decode()
    assert reverse("registry:checkpoint", args=["alpha", found.pk]) in page


@pytest.mark.parametrize(
    ("name", "content", "english", "chinese"),
    [
        ("modeling_tiny.py", b"import os", "could run code", "可能执行代码的内容"),
        ("pytorch_model.bin", b"\x80\x02}q\x00.", "could run code", "可能执行代码的内容"),
        ("model.safetensors", b"\x00", "is damaged", "已损坏"),
        ("config.json", b'{"model_type": "gpt_oss"}', "not supported", "不支持此类模型"),
    ],
)
def test_a_refused_model_is_explained_in_both_languages(
    client, project, engineer, factories, imports, tiny_model, name, content, english, chinese
) -> None:
    shutil.copytree(tiny_model, imports / "tiny")
    (imports / "tiny" / name).write_bytes(content)
    status = send_import(client, "0:tiny")["Location"]
    assert factories.execute(Run.objects.get()).state == "failed"
    page = client.get(status).content.decode()
    assert english in page
    assert name in page
    client.cookies["django_language"] = "zh-hans"
    assert chinese in client.get(status).content.decode()
    assert not Checkpoint.objects.exists()


def test_only_models_inside_the_folders_are_offered(
    client, project, engineer, imports, tiny_model, tmp_path
) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(tiny_model, outside)
    (imports / "link").symlink_to(outside)
    (imports / "loop").symlink_to(imports)
    (imports / "a" / "b" / "c" / "d").mkdir(parents=True)
    (imports / "a" / "b" / "c" / "d" / "config.json").write_text("{}")
    (imports / "x.gguf").write_bytes(b"GGUF")
    (imports / "notes.txt").write_text("no model")
    assert [candidate.label for candidate in import_candidates()] == ["x.gguf"]
    for token in ("0:../outside", "0:link", str(outside), "1:x.gguf", ""):
        response = send_import(client, token)
        assert response.status_code == 400, token
    assert not Run.objects.exists()


def test_experts_and_reviewers_do_not_import(client, factories, project, imports) -> None:
    for role in (Role.EXPERT, Role.REVIEWER):
        client.force_login(factories.make_user(str(role), project=project, role=role))
        assert client.get(reverse("registry:import", args=["alpha"])).status_code == 403


def test_every_error_of_a_model_has_words_in_both_languages() -> None:
    assert ModelError.codes - ERROR_TEXTS.keys() == {
        # Only a run that loads two models, or chats, can meet these.
        "model.vocabulary_mismatch",
        "model.no_chat_template",
    }
    for text in (*ERROR_TEXTS.values(), UNKNOWN):
        for words in text:
            with translation.override("zh-hans"):
                assert any("\u4e00" <= c <= "\u9fff" for c in str(words))
            with translation.override("en"):
                assert str(words).isascii()
    assert error_text("run.crashed") == UNKNOWN


# --- deletion -------------------------------------------------------------------------------


def test_a_checkpoint_in_use_is_not_deleted(
    client, project, engineer, factories, base_path, train
) -> None:
    found = train(project, engineer, base_path)
    run = factories.make_run(project, engineer, model={"path": str(found.model_path)})
    url = reverse("registry:delete", args=["alpha", found.pk])
    assert "is in use by the run evaluation" in client.post(url, follow=True).content.decode()
    run_cancel(run=run, actor=engineer)
    assert "was deleted" in client.post(url, follow=True).content.decode()


def test_a_run_whose_document_nobody_can_read_keeps_what_it_names(
    client, project, engineer, factories, base_path, train
) -> None:
    found = train(project, engineer, base_path)
    run = factories.make_run(project, engineer)
    later = {"kind": "of a later version", "parts": [{"path": str(found.model_path)}]}
    Run.objects.filter(pk=run.pk).update(spec=later)
    url = reverse("registry:delete", args=["alpha", found.pk])
    assert "is in use by the run evaluation" in client.post(url, follow=True).content.decode()


def test_a_deleted_checkpoint_keeps_its_card_and_no_run_starts_from_it(
    client, project, engineer, factories, base_path, django_capture_on_commit_callbacks, train
) -> None:
    found = train(project, engineer, base_path)
    found.model_path.mkdir(parents=True)
    with django_capture_on_commit_callbacks(execute=True):
        services.checkpoint_delete(checkpoint=found, actor=engineer)
    assert not found.model_path.exists()
    page = client.get(reverse("registry:checkpoint", args=["alpha", found.pk])).content.decode()
    assert "Deleted by wei" in page
    for language, words in (("en", "was deleted by wei"), ("zh-hans", "被 wei 删除")):
        with translation.override(language), pytest.raises(SpecError, match=words) as caught:
            factories.make_run(project, engineer, model={"path": str(found.model_path)})
        assert caught.value.code == "spec.input_deleted"


def test_a_base_model_of_the_installation_is_not_deleted(
    project, engineer, base_path, train
) -> None:
    train(project, engineer, base_path)
    base = Checkpoint.objects.get(kind=BASE.name)
    with pytest.raises(ValidationError) as caught:
        services.checkpoint_delete(checkpoint=base, actor=engineer)
    assert caught.value.code == "shared"


def test_only_its_maker_and_administrators_delete_a_checkpoint(
    client, factories, project, engineer, base_path, train
) -> None:
    found = train(project, engineer, base_path)
    client.force_login(factories.make_user("other", project=project, role=Role.ENGINEER))
    url = reverse("registry:delete", args=["alpha", found.pk])
    assert client.post(url).status_code == 403
    client.force_login(factories.make_user("boss", project=project, role=Role.ADMIN))
    assert client.post(url).status_code == 302
    assert CheckpointParent.objects.count() == 1


def test_a_model_whose_size_is_not_known_has_a_dash(client, project, engineer, factories) -> None:
    checkpoint, _run = factories.make_checkpoint(project, engineer)
    type(checkpoint).objects.filter(pk=checkpoint.pk).update(num_parameters=None)
    page = client.get(reverse("registry:index", args=[project.slug])).content.decode()
    assert '<td class="text-end">-</td>' in page
    assert "None" not in page
