"""The Chinese catalogs: what the sources ask for, what is translated, what is compiled.

English stands in the sources. Each app has its own catalog for its Python files and its folder in
templates/, so that two people rarely edit the same one; `studio/locale` has the rest. Babel reads
and writes them, so nobody needs the gettext programs.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import apps as django_apps
from django.conf import settings
from django.utils.translation.template import templatize

LOCALE = "zh_Hans"
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
# What Django's `templatize` turns template tags into: a call with literal arguments.
_LITERAL = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_TEMPLATE_CALL = re.compile(
    rf"\b(_|gettext|ngettext|pgettext|npgettext)\(\s*({_LITERAL}(?:\s*,\s*{_LITERAL})*)"
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%[sd]")

# One message, or a singular and its plural.
MessageId = str | tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogFiles:
    """One catalog and the sources it covers."""

    name: str
    sources: tuple[Path, ...]
    directory: Path
    more: tuple[str, ...] = ()
    """Messages whose English stands outside the platform."""

    @property
    def po(self) -> Path:
        return self.directory / LOCALE / "LC_MESSAGES" / "django.po"

    @property
    def mo(self) -> Path:
        return self.po.with_suffix(".mo")


def catalogs() -> list[CatalogFiles]:
    """Every catalog of the platform."""
    studio: Path = settings.STUDIO
    templates: Path = settings.ROOT / "templates"
    apps = sorted(path.parent for path in studio.glob("*/apps.py"))
    configs = {config.label: config for config in django_apps.get_app_configs()}
    app_names = {app.name for app in apps}
    of_apps = [
        CatalogFiles(
            name=app.name,
            sources=tuple(sorted([*app.rglob("*.py"), *(templates / app.name).rglob("*.html")])),
            directory=app / "locale",
            more=tuple(getattr(configs[app.name], "catalog_messages", tuple)()),
        )
        for app in apps
    ]
    shared = [
        path
        for path in templates.rglob("*.html")
        if path.relative_to(templates).parts[0] not in app_names
    ]
    return [
        *of_apps,
        CatalogFiles(
            name="studio",
            sources=tuple(sorted([*studio.glob("*.py"), *shared])),
            directory=studio / "locale",
        ),
    ]


def source_messages(files: CatalogFiles) -> dict[tuple[str | None, MessageId], None]:
    """The messages that the sources of `files` ask for, as ordered keys."""
    found: dict[tuple[str | None, MessageId], None] = {}
    for path in files.sources:
        messages = _of_template(path) if path.suffix == ".html" else _of_python(path)
        found.update(dict.fromkeys(messages))
    found.update(dict.fromkeys((None, message) for message in files.more))
    return found


def refresh(files: CatalogFiles) -> None:
    """The .po has exactly the sources' messages, with the translations it had, and the .mo too."""
    old = _read(files.po)
    new = Catalog(locale=LOCALE, charset="utf-8", fuzzy=False)
    for context, message_id in source_messages(files):
        known = old.get(_singular(message_id), context)
        new.add(message_id, known.string if known else "", context=context)
    if not len(new):
        return
    files.po.parent.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    write_po(content, new, omit_header=True, sort_output=True, width=100)
    header = (
        'msgid ""\nmsgstr ""\n"Language: zh_Hans\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
    )
    files.po.write_bytes(header.encode() + content.getvalue())
    # The compiled form holds the time it was made, so it is written only when it says otherwise.
    if (fresh := _newer_mo(files, _read(files.po))) is not None:
        files.mo.write_bytes(fresh)


def problems(files: CatalogFiles) -> Iterator[str]:
    """What is wrong with the catalog; nothing when it is complete and fresh."""
    catalog = _read(files.po)
    wanted = source_messages(files)
    present = {(message.context, message.id): message for message in catalog if message.id}
    for _context, message_id in wanted.keys() - present.keys():
        yield f"{files.name}: not in the catalog: {message_id!r}"
    for _context, unwanted_id in present.keys() - wanted.keys():
        yield f"{files.name}: nobody asks for: {unwanted_id!r}"
    for message in present.values():
        yield from (f"{files.name}: {problem}" for problem in _message_problems(message))
    if present and _newer_mo(files, catalog) is not None:
        yield f"{files.name}: {files.mo.name} is older than {files.po.name}"


def _newer_mo(files: CatalogFiles, catalog: Catalog) -> bytes | None:
    """The catalog compiled; None where the .mo has the same entries already."""
    compiled = BytesIO()
    write_mo(compiled, catalog)
    content = compiled.getvalue()
    if files.mo.exists() and _entries(files.mo.read_bytes()) == _entries(content):
        return None
    return content


def _message_problems(message: Message) -> Iterator[str]:
    strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
    if message.fuzzy:
        yield f"fuzzy: {message.id!r}"
    if not strings or not all(strings):
        yield f"not translated: {message.id!r}"
        return
    plural = message.id if isinstance(message.id, str) else message.id[-1]
    expected = sorted(_PLACEHOLDER.findall(plural))
    for string in strings:
        if sorted(_PLACEHOLDER.findall(string)) != expected:
            yield f"placeholders differ: {message.id!r} -> {string!r}"


def _of_python(path: Path) -> Iterator[tuple[str | None, MessageId]]:
    for _line, message_id, _comments, context in extract_from_file(
        "python", path, keywords=_KEYWORDS
    ):
        yield context, message_id if isinstance(message_id, str) else tuple(message_id)


def _of_template(path: Path) -> Iterator[tuple[str | None, MessageId]]:
    for call, arguments in _TEMPLATE_CALL.findall(templatize(path.read_text())):
        values = [ast.literal_eval(value) for value in re.findall(_LITERAL, arguments)]
        context = values.pop(0) if call.startswith(("p", "np")) else None
        yield context, (values[0], values[1]) if "n" in call.split("gettext")[0] else values[0]


def _singular(message_id: MessageId) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


def _read(po: Path) -> Catalog:
    if not po.exists():
        return Catalog(locale=LOCALE)
    with po.open("rb") as file:
        return read_po(file, locale=LOCALE)


def _entries(mo: bytes) -> dict[object, str]:
    entries: dict[object, str] = vars(gettext.GNUTranslations(BytesIO(mo)))["_catalog"]
    return {key: value for key, value in entries.items() if key != ""}
