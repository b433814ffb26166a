"""The Chinese catalogs are complete, compiled and consistent."""

import pytest
from django.utils import translation

from studio.pages.catalogs import CatalogFiles, catalogs, problems, refresh

CATALOGS = {files.name: files for files in catalogs()}


@pytest.mark.parametrize("name", CATALOGS)
def test_catalog_is_complete_and_compiled(name: str) -> None:
    """`python manage.py messages` adds what is missing; the Chinese has to be written by hand."""
    assert list(problems(CATALOGS[name])) == []


def test_one_english_text_has_one_chinese_text() -> None:
    from babel.messages.pofile import read_po

    seen: dict[object, object] = {}
    for files in CATALOGS.values():
        if not files.po.exists():
            continue
        with files.po.open("rb") as file:
            for message in read_po(file):
                key = (message.context, message.id)
                if message.id:
                    assert seen.setdefault(key, message.string) == message.string


@pytest.fixture
def small(tmp_path) -> CatalogFiles:
    page = tmp_path / "page.html"
    page.write_text(
        '{% load i18n %}{% translate "Save" %}{% translate "May" context "month" %}'
        "{% blocktranslate count n=rows %}{{ n }} row{% plural %}{{ n }} rows"
        "{% endblocktranslate %}"
    )
    code = tmp_path / "code.py"
    code.write_text('from x import gettext as _\nlabel = _("Two " "parts of %(name)s")\n')
    files = CatalogFiles(name="small", sources=(page, code), directory=tmp_path / "locale")
    refresh(files)
    return files


def test_templates_and_code_are_read(small: CatalogFiles) -> None:
    assert sorted(problems(small)) == [
        "small: not translated: 'May'",
        "small: not translated: 'Save'",
        "small: not translated: 'Two parts of %(name)s'",
        "small: not translated: ('%(n)s row', '%(n)s rows')",
    ]


def test_translations_survive_a_refresh_and_reach_the_compiled_file(small: CatalogFiles) -> None:
    po = small.po.read_text().replace('msgid "Save"\nmsgstr ""', 'msgid "Save"\nmsgstr "保存"')
    small.po.write_text(po)
    assert "small: django.mo is older than django.po" in set(problems(small))
    refresh(small)
    assert "保存".encode() in small.mo.read_bytes()
    assert not [problem for problem in problems(small) if "Save" in problem or "older" in problem]


def test_lost_placeholder_is_found(small: CatalogFiles) -> None:
    empty = 'msgid "Two parts of %(name)s"\nmsgstr ""'
    po = small.po.read_text().replace(empty, empty[:-1] + '两部分"')
    small.po.write_text(po)
    assert any("placeholders differ" in problem for problem in problems(small))


def test_text_that_nobody_asks_for_is_found(small: CatalogFiles) -> None:
    small.po.write_text(small.po.read_text() + '\nmsgid "Gone"\nmsgstr "没了"\n')
    assert "small: nobody asks for: 'Gone'" in set(problems(small))


def test_chinese_is_the_default_and_english_is_the_source() -> None:
    from django.conf import settings

    assert settings.LANGUAGE_CODE == "zh-hans"
    with translation.override("zh-hans"):
        assert translation.gettext("Sign in") == "登录"
    with translation.override("en"):
        assert translation.gettext("Sign in") == "Sign in"
