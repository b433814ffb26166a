"""The demonstration's project: made once, found again, never with a known password."""

import stat

import pytest

from studio.accounts.models import AuditEvent, Membership, Project, Role, User
from studio.datasets.models import DatasetVersion
from studio.demonstration.accounts import demonstration_project
from studio.demonstration.data import start_missing_imports
from studio.launch.method import method_plan

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path):
    settings.STUDIO_DATA_DIR = tmp_path
    (tmp_path / "uploads").mkdir()
    return tmp_path


def test_each_role_can_sign_in_and_a_second_start_changes_nothing(client, data_dir) -> None:
    project, sign_in = demonstration_project()
    assert sorted(Membership.objects.values_list("user__username", "role")) == [
        ("demo_admin", Role.ADMIN),
        ("demo_engineer", Role.ENGINEER),
        ("demo_expert", Role.EXPERT),
        ("demo_reviewer", Role.REVIEWER),
    ]
    for username in sign_in.usernames:
        assert client.login(username=username, password=sign_in.password), username
    path = data_dir / "demo/sign_in.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    num_events = AuditEvent.objects.count()
    assert demonstration_project() == (project, sign_in)
    assert AuditEvent.objects.count() == num_events


def test_a_lost_password_file_gives_a_new_password(data_dir) -> None:
    _, before = demonstration_project()
    (data_dir / "demo/sign_in.json").unlink()
    _, after = demonstration_project()
    assert after.password != before.password
    assert User.objects.get(username="demo_expert").check_password(after.password)


@pytest.mark.slow
def test_files_are_uploaded_once_and_become_what_the_plan_reads(factories, data_dir) -> None:
    demonstration_project()
    project, actor = Project.objects.get(), User.objects.get(username="demo_expert")
    runs = start_missing_imports(project=project, actor=actor, lang="zh")
    assert len(runs) == 7
    assert start_missing_imports(project=project, actor=actor, lang="zh") == runs
    for run in runs:
        factories.execute(run)
    assert start_missing_imports(project=project, actor=actor, lang="zh") == []
    versions = DatasetVersion.objects.all()
    assert sorted(str(version) for version in versions) == [
        "corpus_domain.zh v1",
        "corpus_general.zh v1",
        "domain_test.zh v1",
        "general_mcq.zh v1",
        "sft_expert.zh v1",
        "sft_weak.zh v1",
        "unseen_questions.zh v1",
    ]
    assert {version.num_rejected for version in versions} == {0}
    (data_dir / "base").mkdir()
    plan = method_plan(project, base_path=str(data_dir / "base"), lang="zh").spec
    cpt = next(step.spec for step in plan.steps if step.id == "cpt")
    paths = {str(version.rows_path) for version in versions}
    assert all(source.dataset.path in paths for source in cpt.sources)
