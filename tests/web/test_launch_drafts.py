"""The forms that train a draft and measure drafting: their defaults are those of the contracts."""

import json
from typing import get_args

import pytest
from django.urls import reverse

from pipeline.contracts.decoding_spec import SpeculativeArm
from pipeline.contracts.distillation_spec import EarlyStop, LogitDistillSpec
from pipeline.contracts.specs import parse_run_spec
from studio.accounts.models import Role
from studio.launch.choices import ProjectChoices
from studio.launch.forms import SpecForm
from studio.runs.models import Run


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(client, factories, project, settings):
    user = factories.make_user("engineer", project=project, role=Role.ENGINEER)
    client.force_login(user)
    client.cookies["django_language"] = "en"
    directory = settings.STUDIO_DATA_DIR / "models" / "tiny-base"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text("{}")
    return user


def address(**query):
    return reverse("launch:run", args=["alpha"], query=query)


def shown(client, **query):
    """What a browser would send of the form as it stands."""
    form = client.get(address(**query)).context["form"]
    values = {field.html_name: field.value() for field in form}
    return {name: value for name, value in values.items() if value not in (None, False)}


def started(client, data, **query):
    """The spec of the run that the form starts."""
    response = client.post(address(**query), data)
    assert response.status_code == 302, response.context["form"].errors
    return parse_run_spec(json.dumps(Run.objects.latest("created_at").spec))


NEEDED = {
    "target": "base:tiny-base",
    "answers.prompts": "example:sft_weak.zh",
    "answers.num_tokens": "1000",
}


def test_the_form_of_a_draft_has_the_defaults_of_its_kind(client, engineer) -> None:
    """The kind's own learning rate and batch, which are not those of any other training."""
    spec = started(client, shown(client, kind="logit_distill") | NEEDED, kind="logit_distill")
    fields = LogitDistillSpec.model_fields
    assert spec.optimizer == fields["optimizer"].default
    assert spec.batch == fields["batch"].default
    assert spec.early_stop is None
    form = client.get(address(kind="logit_distill")).context["form"]
    assert form["batch.gradient_accumulation_steps"].help_text.endswith("default 1")


def test_an_emptied_field_means_the_default_of_its_kind(client, engineer) -> None:
    data = shown(client, kind="logit_distill") | NEEDED
    data["batch.gradient_accumulation_steps"] = ""
    spec = started(client, data, kind="logit_distill")
    assert spec.batch.gradient_accumulation_steps == 1


def test_early_stop_is_switched_on_and_stays_on_in_a_run_made_from_it(client, engineer) -> None:
    data = shown(client, kind="logit_distill") | NEEDED
    data |= {"early_stop": "on", "early_stop.patience": "7"}
    spec = started(client, data, kind="logit_distill")
    assert spec.early_stop == EarlyStop(patience=7)
    again = {"from": Run.objects.latest("created_at").pk}
    assert started(client, shown(client, **again), **again).early_stop == EarlyStop(patience=7)
    data = shown(client, **again)
    del data["early_stop"]
    assert started(client, data, **again).early_stop is None


def test_each_field_of_an_arm_names_the_methods_that_have_it(project) -> None:
    form = SpecForm(kind="speculative_decode", choices=ProjectChoices(project))
    arms = {
        arm.model_fields["method"].default: arm.model_fields for arm in get_args(SpeculativeArm)
    }
    names = {name for fields in arms.values() for name in fields} - {"method"}
    for name in names:
        whose = form.fields[f"arms.0.{name}"].widget.attrs["data-for"].split()
        assert set(whose) == {method for method, fields in arms.items() if name in fields}
    assert "data-alternatives" in form.fields["arms.0.method"].widget.attrs
    assert form.fields["arms.0.dataset.limit"].widget.attrs["data-for"] == "store combined"
