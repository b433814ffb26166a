"""Forms made from specs: what a person fills in is the spec that runs."""

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from django.urls import reverse
from django.utils import timezone
from pydantic import Field

from pipeline.contracts.base import SpecBase
from pipeline.contracts.decoding_spec import ArmBase, DraftModelArm
from pipeline.contracts.specs import parse_run_spec
from studio.accounts.models import Role
from studio.launch.choices import ProjectChoices
from studio.launch.forms import SpecForm
from studio.launch.labels import FIELD_LABELS
from studio.launch.part_builder import PartBuilder
from studio.registry.models import Checkpoint
from studio.runs.kinds import KINDS
from studio.runs.models import Plan, Run

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(client, factories, project):
    user = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return user


@pytest.fixture
def base_model(settings):
    directory = settings.STUDIO_DATA_DIR / "models" / "tiny-base"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text("{}")
    return directory


def launch_address(**query):
    return reverse("launch:run", args=["alpha"], query=query)


def filled(client, kind, **changes):
    """The form's own values with the changes of a person; names have `__` for dots."""
    form = client.get(launch_address(kind=kind)).context["form"]
    data = {field.html_name: field.value() for field in form if field.value() is not None}
    data = {name: value for name, value in data.items() if value is not False}
    return data | {name.replace("__", "."): value for name, value in changes.items()}


def cpt(client, **changes):
    return filled(
        client,
        "continual_pretrain",
        model="base:tiny-base",
        num_tokens="5000",
        optimizer__learning_rate="5e-5",
        sources__0__name="domain",
        sources__0__dataset="example:corpus_domain.zh",
        sources__0__weight="0.8",
        **changes,
    )


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.is_offered])
def test_every_field_has_a_name_for_people(kind, project) -> None:
    form = SpecForm(kind=kind, choices=ProjectChoices(project))
    assert len(form.fields) > 10
    for name in form.fields:
        parts = [part for part in name.split(".") if not part.isdigit()]
        is_named = parts[-1] in FIELD_LABELS or ".".join(parts[-2:]) in FIELD_LABELS
        assert is_named or name == "idempotency_key", name


def test_filled_form_is_the_spec_that_runs(client, engineer, project, base_model) -> None:
    data = cpt(
        client,
        # Row 1 stays empty: row 2 of the form is the second source of the spec.
        sources__2__name="replay",
        sources__2__dataset="example:corpus_general.zh",
        sources__2__weight="0.2",
        **{
            "sources.2.dataset.limit": "7",
            "sources.2.dataset.where.0.field": "meta.topic_group",
            "sources.2.dataset.where.0.values": "science, 3",
            "sources.2.dataset.where.0.keep": "drop",
            "batch.max_seq_length": "256",
        },
    )
    response = client.post(launch_address(kind="continual_pretrain"), data)
    run = Run.objects.get()
    assert response["Location"] == reverse("runs:detail", args=["alpha", run.pk])
    spec = parse_run_spec(json.dumps(run.spec))
    assert spec.model.path == str(base_model)
    assert (spec.num_tokens, spec.optimizer.learning_rate) == (5000, 5e-5)
    assert spec.batch.max_seq_length == 256
    assert spec.optimizer.beta2 == 0.95  # a default
    domain, replay = spec.sources
    assert (domain.name, domain.weight, domain.dataset.where) == ("domain", 0.8, ())
    assert domain.dataset.path.endswith("examples/soae_demo/corpus_domain.zh.jsonl")
    assert domain.dataset.digest is not None
    assert (replay.dataset.limit, replay.dataset.kind) == (7, "corpus")
    (where,) = replay.dataset.where
    assert (where.field, where.values, where.keep) == ("meta.topic_group", ("science", 3), False)


def test_form_sent_twice_is_one_run(client, engineer, project, base_model) -> None:
    data = cpt(client)
    first, second = (client.post(launch_address(kind="continual_pretrain"), data) for _ in "12")
    assert first["Location"] == second["Location"]
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"num_tokens": "0"}, "num_tokens", "1 or more"),
        ({"num_tokens": "many"}, "num_tokens", "whole number"),
        ({"optimizer.learning_rate": ""}, "optimizer.learning_rate", "required"),
        ({"optimizer.warmup_fraction": "0.9"}, "optimizer.warmup_fraction", "must not exceed 1"),
        ({"sources.0.name": "Domain"}, "sources.0.name", "lower-case"),
        ({"sources.0.weight": ""}, "sources.0.weight", "needed"),
        ({"sources.0.dataset": "version:999999"}, "sources.0.dataset", "valid choice"),
        ({"sources.0.dataset": "example:sft_weak.zh"}, "sources.0.dataset", "valid choice"),
        ({"model": "/etc/passwd"}, "model", "valid choice"),
    ],
)
def test_error_stands_at_its_field(
    client, engineer, project, base_model, changes, field, words
) -> None:
    response = client.post(launch_address(kind="continual_pretrain"), cpt(client) | changes)
    assert response.status_code == 400
    form = response.context["form"]
    assert words in " ".join(form.errors[field])
    assert list(form.errors) == [field]
    assert Run.objects.count() == 0
    html = response.content.decode()
    assert f'id="id_{field}_error"' in html
    assert f'href="#id_{field}"' in html


def test_row_numbers_of_errors_are_those_of_the_form(client, engineer, project, base_model) -> None:
    data = cpt(client) | {"sources.2.name": "x y", "sources.2.weight": "1"}
    form = client.post(launch_address(kind="continual_pretrain"), data).context["form"]
    assert set(form.errors) == {"sources.2.name", "sources.2.dataset"}


def test_no_source_at_all_is_said_at_the_first_row(client, engineer, project, base_model) -> None:
    data = cpt(client) | dict.fromkeys(("sources.0.name", "sources.0.dataset"), "")
    data["sources.0.weight"] = ""
    form = client.post(launch_address(kind="continual_pretrain"), data).context["form"]
    assert list(form.errors) == ["sources.0.name"]


def test_errors_are_chinese_for_chinese_readers(client, engineer, project, base_model) -> None:
    data = cpt(client) | {"num_tokens": "0"}
    client.cookies["django_language"] = "zh-hans"
    form = client.post(launch_address(kind="continual_pretrain"), data).context["form"]
    assert form.errors["num_tokens"] == ["不能小于 1。"]


def test_optional_measure_is_left_out_when_its_choice_is_empty(
    client, engineer, project, base_model
) -> None:
    both = {"model": "base:tiny-base", "base": "base:tiny-base"}
    empty = client.post(launch_address(kind="evaluate"), filled(client, "evaluate", **both))
    assert "at least one" in str(empty.context["form"].errors)
    data = filled(client, "evaluate", gauge__prompts="example:corpus_general.en", **both)
    assert client.post(launch_address(kind="evaluate"), data).status_code == 302
    spec = Run.objects.get().spec
    assert spec["text_overlap"] is None
    assert spec["gauge"]["num_samples"] == 40


@pytest.mark.parametrize(("given", "cap"), [("", None), ("40", 40)])
def test_a_cap_that_is_left_empty_follows_from_the_references(
    client, engineer, project, base_model, given, cap
) -> None:
    asked = {"model": "base:tiny-base", "base": "base:tiny-base"}
    asked["text_overlap__dataset"] = "example:domain_test.en"
    form = client.get(launch_address(kind="evaluate")).context["form"]
    field = form["text_overlap.max_new_tokens"]
    assert field.value() is None
    assert "left empty: as long as the references" in field.help_text
    data = filled(client, "evaluate", text_overlap__max_new_tokens=given, **asked)
    assert client.post(launch_address(kind="evaluate"), data).status_code == 302
    assert Run.objects.get().spec["text_overlap"]["max_new_tokens"] == cap


def benchmark(client, **changes):
    return filled(
        client,
        "speculative_decode",
        target="base:tiny-base",
        prompts="example:domain_test.zh",
        **changes,
    )


def test_each_row_of_a_benchmark_is_the_arm_it_says(client, engineer, project, base_model) -> None:
    data = benchmark(
        client,
        arms__0__method="ngram",
        arms__0__max_ngram="5",
        # Row 1 stays empty: row 2 of the form is the second arm.
        arms__2__method="draft_model",
        arms__2__name="small",
        arms__2__model="base:tiny-base",
    )
    response = client.post(launch_address(kind="speculative_decode"), data)
    assert response.status_code == 302, response.context["form"].errors
    lookup, draft = parse_run_spec(json.dumps(Run.objects.get().spec)).arms
    assert (lookup.method, lookup.name, lookup.max_ngram) == ("ngram", "ngram", 5)
    assert (draft.method, draft.name, draft.model.path) == ("draft_model", "small", str(base_model))
    form = client.get(launch_address(**{"from": Run.objects.get().pk})).context["form"]
    assert [form[f"arms.{i}.method"].value() for i in (0, 1, 2)] == ["ngram", "draft_model", ""]


@pytest.mark.parametrize(
    ("arm", "field", "words"),
    [
        ({}, "arms.0.method", "At least 1"),
        ({"name": "small"}, "arms.0.method", "needed"),
        ({"method": "draft_model", "name": "small"}, "arms.0.model", "needed"),
        ({"method": "draft_model", "model": "base:tiny-base"}, "arms.0.name", "needed"),
        ({"method": "ngram", "min_ngram": "4"}, "arms.0.min_ngram", "must not be longer"),
        ({"method": "ngram", "model": "base:tiny-base"}, "arms.0.model", "no such setting"),
        ({"method": "guess"}, "arms.0.method", "valid choice"),
    ],
)
def test_error_of_an_arm_stands_at_its_field(
    client, engineer, project, base_model, arm, field, words
) -> None:
    data = benchmark(client) | {f"arms.0.{name}": value for name, value in arm.items()}
    response = client.post(launch_address(kind="speculative_decode"), data)
    assert response.status_code == 400
    form = response.context["form"]
    assert list(form.errors) == [field]
    assert words in " ".join(form.errors[field])
    assert Run.objects.count() == 0


def test_new_alternative_needs_no_change_of_the_form(project) -> None:
    """What the contract adds to a union is offered under its own names until it has labels."""

    class ToyArm(ArmBase):
        method: Literal["toy_method"] = "toy_method"
        look_back: int = 4

    class ToySpec(SpecBase):
        kind: Literal["toy"] = "toy"
        arms: tuple[Annotated[DraftModelArm | ToyArm, Field(discriminator="method")], ...]

    stored = {"arms": [{"method": "toy_method", "name": "toy", "look_back": 7}]}
    root = PartBuilder(ProjectChoices(project)).model(ToySpec, "", stored)
    fields = dict(root.form_fields())
    assert ("toy_method", "toy_method") in fields["arms.0.method"].choices
    assert fields["arms.0.look_back"].label == "look back"
    cleaned = {name: field.initial for name, field in fields.items()}
    assert root.read(cleaned, "", {})["arms"] == stored["arms"]


def test_form_filled_from_a_run_of_an_earlier_version(client, factories, engineer, project) -> None:
    golden = Path(__file__).parents[1] / "contract/golden/v1/speculative_decode.spec.json"
    run = factories.make_run(project, engineer)
    spec = json.loads(golden.read_bytes())
    Run.objects.filter(pk=run.pk).update(kind="speculative_decode", spec=spec)
    form = client.get(launch_address(**{"from": run.pk})).context["form"]
    names = [form[f"arms.{index}.name"].value() for index in range(4)]
    assert names == ["distilled", "control_target_text", "control_gold", "ngram"]
    assert form["arms.0.model"].value().startswith("kept:")


def test_form_filled_from_a_run_gives_the_same_spec(
    client, factories, engineer, project, base_model
) -> None:
    client.post(
        launch_address(kind="continual_pretrain"),
        cpt(client) | {"sources.0.dataset.where.0.field": "id"}
        | {"sources.0.dataset.where.0.values": '"3",true'},
    )  # fmt: skip
    original = Run.objects.get()
    page = client.get(launch_address(**{"from": original.pk}))
    form = page.context["form"]
    data = {f.html_name: f.value() for f in form if f.value() not in (None, False)}
    client.post(launch_address(**{"from": original.pk}), data)
    copy = Run.objects.get(cloned_from=original)
    assert copy.spec == original.spec
    assert copy.spec["sources"][0]["dataset"]["where"][0]["values"] == ["3", True]
    kept = factories.make_run(project, engineer)  # its model is none of the choices
    form = client.get(launch_address(**{"from": kept.pk})).context["form"]
    assert form["model"].value().startswith("kept:")


def test_things_of_other_projects_are_no_choices(factories, engineer, project) -> None:
    other = factories.make_project("other", "Other")
    admin = factories.make_user("a", project=other, role=Role.ADMIN)
    version = factories.make_import(other, admin).run.dataset_version
    token = f"version:{version.pk}"
    assert token in {c.token for c in ProjectChoices(other).datasets(("domain_test",))}
    assert token not in {c.token for c in ProjectChoices(project).datasets(("domain_test",))}


@pytest.fixture
def register(engineer):
    """`register(project, "name", kind="draft")` makes a checkpoint without files."""

    def make(owner, name, kind="imported", **columns):
        return Checkpoint.objects.create(
            project=owner, name=name, path=f"models/{name}", digest="b" * 64, kind=kind,
            created_by=engineer, **columns,
        )  # fmt: skip

    return make


def test_checkpoints_of_the_project_are_the_models_to_choose(
    factories, engineer, project, register
) -> None:
    mine = register(project, "mine")
    register(factories.make_project("other", "Other"), "theirs")
    gone = {"deleted_at": timezone.now(), "deleted_by": engineer}
    register(project, "gone", **gone)
    choices = ProjectChoices(project).outputs("model")
    (choice,) = (choice for choice in choices if choice.token.startswith("checkpoint:"))
    assert choice.token == f"checkpoint:{mine.pk}"
    assert choice.reference() == mine.reference()


def test_the_method_is_offered_what_nothing_trained_first(project, base_model, register) -> None:
    for name, kind in (("mine", "imported"), ("cpt", "continual_pretrain"), ("small", "draft")):
        register(project, name, kind)
    names = [choice.path.name for choice in ProjectChoices(project).bases()]
    assert names == ["mine", "tiny-base", "cpt"]


def test_foreign_run_is_no_template(client, factories, engineer, project) -> None:
    other = factories.make_project("other", "Other")
    run = factories.make_run(other, factories.make_user("a", project=other, role=Role.ADMIN))
    assert client.get(launch_address(**{"from": run.pk})).status_code == 404
    assert client.get(launch_address(**{"from": "x"})).status_code == 404


def test_json_is_the_second_way_and_keeps_what_was_written(
    client, factories, engineer, project
) -> None:
    address = launch_address(kind="evaluate")
    broken = client.post(address, {"document": f'{{"a": "{HOSTILE}"}}', "document_key": "k"})
    assert broken.status_code == 400
    assert HOSTILE not in broken.content.decode()
    outside = factories.evaluation_spec(model={"path": "/etc"})
    refused = client.post(address, {"document": json.dumps(outside), "document_key": "k"})
    assert "name the object" in refused.content.decode()
    good = json.dumps(factories.evaluation_spec())
    assert client.post(address, {"document": good, "document_key": "k"}).status_code == 302


@pytest.mark.parametrize(
    ("document", "chinese", "english"),
    [
        ('{"kind": "evaluate", "speling": 1}', "speling: 没有这个设置项", "no such setting"),
        ('{"kind": "evaluate"}', "model: 此项必填。", "model: This is needed."),
        ('{"kind": "evaluate", "seed": "x"}', "seed: 必须是整数。", "seed: It must be a whole"),
        ('{"kind": "bake"}', "没有类型 bake", "There is no kind bake"),
        ("{}", "请写明类型（kind）。", "The document must name its kind."),
        ('{"kind": ', "不是有效的 JSON", "This is not JSON"),
    ],
)
def test_what_is_wrong_with_json_is_said_in_both_languages(
    client, engineer, project, document, chinese, english
) -> None:
    client.force_login(engineer)
    address = "/p/alpha/runs/launch/?kind=evaluate"
    for language, words in (("zh-hans", chinese), ("en", english)):
        client.cookies["django_language"] = language
        response = client.post(address, {"document": document, "document_key": "k"})
        assert response.status_code == 400
        assert words in response.content.decode()
    assert not Run.objects.exists()


def test_a_task_of_the_harness_is_named_and_its_rows_are_a_folder_of_the_installation(
    client, engineer, project, base_model, settings
) -> None:
    folder = settings.STUDIO_DATA_DIR / "benchmarks" / "piqa"
    folder.mkdir(parents=True, exist_ok=True)
    both = {"model": "base:tiny-base", "base": "base:tiny-base"}
    task = {"harness_tasks__0__task": "piqa", "harness_tasks__0__files": "task_files:piqa"}
    sent = filled(client, "evaluate", **both, **task, harness_tasks__0__limit="50")
    assert client.post(launch_address(kind="evaluate"), sent).status_code == 302
    run = Run.objects.get()
    assert run.spec["harness_tasks"] == [
        {"task": "piqa", "num_few_shot": None, "limit": 50, "chat_template": False,
         "files": run.spec["harness_tasks"][0]["files"]}
    ]  # fmt: skip
    assert run.spec["harness_tasks"][0]["files"]["path"] == str(folder)
    document = {
        "kind": "evaluate", "schema_version": 2, "model": {"object": "base:tiny-base"},
        "base": {"object": "base:tiny-base"},
        "harness_tasks": [{"task": "piqa", "files": {"object": "task_files:piqa"}}],
    }  # fmt: skip
    typed = {"document": json.dumps(document), "document_key": "k"}
    assert client.post(launch_address(kind="evaluate"), typed).status_code == 302
    # A folder of rows is no model, and no other folder is one of rows.
    for node in ({"object": "task_files:other"}, {"path": str(folder.parent)},
                 {"path": f"{folder}/"}, {"path": str(base_model)}):  # fmt: skip
        document["harness_tasks"][0]["files"] = node
        typed = {"document": json.dumps(document), "document_key": "k"}
        assert client.post(launch_address(kind="evaluate"), typed).status_code == 400
    document |= {"harness_tasks": [{"task": "piqa"}], "model": {"path": str(folder)}}
    typed = {"document": json.dumps(document), "document_key": "k"}
    assert client.post(launch_address(kind="evaluate"), typed).status_code == 400
    sent = filled(client, "evaluate", **both, harness_tasks__0__task="../mine.yaml")
    refused = client.post(launch_address(kind="evaluate"), sent)
    assert refused.status_code == 400
    assert Run.objects.count() == 2


@pytest.mark.slow
def test_whole_method_is_one_plan_made_by_the_program(
    client, factories, engineer, project, base_model, settings
) -> None:
    content = (settings.ROOT / "examples/soae_demo/sft_expert.en.jsonl").read_text()
    started = factories.start_import(project, engineer, content, "sft_expert.en.jsonl")
    factories.execute(started.run)
    data = {"base": "base:tiny-base", "lang": "en", "idempotency_key": "once"}
    address = reverse("launch:method", args=["alpha"])
    first = client.post(address, data)
    plan = Plan.objects.get()
    assert first["Location"] == client.post(address, data)["Location"]
    assert Plan.objects.count() == 1
    steps = {step["id"]: step["spec"] for step in plan.spec["steps"]}
    assert steps["cpt"]["model"]["path"] == str(base_model)
    # The version that was made from this very file stands for it, with the same filters.
    version = started.run.dataset_version
    prompts = steps["distill"]["answers"]["prompts"]
    assert (prompts["path"], prompts["digest"]) == (str(version.rows_path), version.digest)
    assert prompts["where"][0]["field"] == "meta.doc_id"
    assert plan.runs.filter(state="queued").exists()


def test_navigation_says_that_one_is_at_the_runs(client, engineer, project) -> None:
    for page in ("/p/alpha/runs/launch/", "/p/alpha/runs/recipe/", "/p/alpha/runs/plans/"):
        assert '<a href="/p/alpha/runs/" aria-current="page">' in client.get(page).content.decode()
