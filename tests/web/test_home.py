"""The home page: what waits, and the newest checkpoints with their figures."""

import pytest

from studio.accounts.models import Role
from studio.datasets.services import upload_discard
from studio.evaluations.recent_checkpoints import recent_checkpoints
from studio.registry.models import Checkpoint
from tests.web import result_factory as results

pytestmark = pytest.mark.django_db
NUM_QUERIES = 12


@pytest.fixture
def project(factories):
    return factories.make_project()


@pytest.fixture
def engineer(factories, project):
    return factories.make_user("chenwei", project=project, role=Role.ENGINEER)


@pytest.fixture
def recipe(project, engineer, settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path
    return results.make_recipe(project, engineer, num_items=6, num_choices=12)


def test_checkpoints_show_their_newest_figures(client, project, engineer, recipe) -> None:
    rows = {row.checkpoint.name: row for row in recent_checkpoints(project)}
    cpt = rows["cpt"]
    assert cpt.evaluated is not None
    assert cpt.evaluated.evaluation.run == recipe["evaluate_cpt"]
    judged = results.results_of(recipe["evaluate_cpt"]).gauge.judged
    assert f"{judged.kl_bits_per_byte.value:.4f} [" in cpt.evaluated.kept
    assert rows["cpt"].speedup == ""
    client.force_login(engineer)
    page = client.get("/p/alpha/").content.decode()
    assert cpt.headline_texts[0] in page
    assert cpt.evaluated.kept in page
    assert f'href="/p/alpha/runs/{recipe["evaluate_cpt"].pk}/"' in page


def test_number_of_queries_does_not_grow_with_the_checkpoints(
    client, project, engineer, recipe, django_assert_num_queries
) -> None:
    client.force_login(engineer)
    client.get("/p/alpha/")
    with django_assert_num_queries(NUM_QUERIES):
        client.get("/p/alpha/")
    for number in range(5):
        Checkpoint.objects.create(
            project=project, name=f"more-{number}", kind="draft", path=f"more-{number}",
            digest=f"{number}" * 64, created_by=engineer,
        )  # fmt: skip
    with django_assert_num_queries(NUM_QUERIES):
        client.get("/p/alpha/")


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.EXPERT, "/p/alpha/datasets/upload/"),
        (Role.REVIEWER, "/p/alpha/comparisons/"),
        (Role.ENGINEER, "/p/alpha/runs/recipe/"),
    ],
)
def test_the_first_button_is_the_roles_own(client, factories, project, role, expected) -> None:
    client.force_login(factories.make_user("somebody", project=project, role=role))
    page = client.get("/p/alpha/").content.decode()
    main = page[page.index("<main") :]
    assert f'<a class="btn btn-primary" href="{expected}"' in main


def test_an_upload_that_became_no_version_waits_for_the_expert_until_it_is_kept(
    client, factories, project
) -> None:
    expert = factories.make_user("lina", project=project, role=Role.EXPERT)
    client.force_login(expert)
    words = "个上传已检查"
    assert words not in client.get("/p/alpha/").content.decode()
    started = factories.start_import(project, expert, "问题,备注\nQ,A\n", dataset_name="Refused")
    factories.execute(started.run)
    assert words in client.get("/p/alpha/").content.decode()
    upload_discard(upload=started.upload, actor=expert)
    assert words not in client.get("/p/alpha/").content.decode()
