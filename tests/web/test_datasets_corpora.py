"""Files of both corpora through the platform: its database holds the report that a run wrote.

`make test-postgres` runs the same on PostgreSQL, whose texts know no NUL and no half characters.
"""

import json
from collections import Counter
from fnmatch import fnmatchcase

import pytest

from bench.uploads.corpora import CORPORA, cases_of
from studio.accounts.models import Role
from studio.runs.paths import attempt_dir

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
NAMES = (
    "gbk_crlf_3.csv", "rare_characters_gb18030.csv", "emoji_escaped.jsonl", "shared_strings.xlsx",
    "line_nul.jsonl", "line_half_in_key.jsonl", "commands.csv", "parent.zip",
    "file_entity_in_sheet.xlsx", "layout_kto.jsonl",
)  # fmt: skip


def test_the_database_holds_the_report_of_each_file(factories, tmp_path) -> None:
    project = factories.make_project()
    expert = factories.make_user("lina", project=project, role=Role.EXPERT)
    cases = {case.name: case for corpus in CORPORA for case in cases_of(corpus)}
    for name in NAMES:
        case = cases[name]
        case.write(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        started = factories.start_import(
            project, expert, content, name, kind=case.kind, dataset_name=name
        )
        run = factories.execute(started.run)
        written = json.loads((attempt_dir(run.pk, 1) / "report.json").read_text(encoding="utf-8"))
        assert run.report == written, name
        results = written["results"]
        codes = Counter({each["code"]: each["count"] for each in results["errors_by_code"]})
        kept = results["num_rows"] if results["is_committed"] else 0
        assert any(
            kept == len(outcome.rows)
            and len(codes) == len(set(outcome.codes))
            and all(any(fnmatchcase(code, each) for each in outcome.codes) for code in codes)
            for outcome in case.outcomes
        ), (name, kept, codes)
