"""Documents that mean harm or are damaged: one clear error, in seconds and little memory."""

import io
import os
import resource
import signal
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest

from pipeline.contracts.row_error_phrases import ROW_ERROR_PHRASES
from pipeline.contracts.row_errors import RowError
from pipeline.data.documents import bounded, word_package
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Document
from pipeline.errors import StoppedAtCheckpoint
from tests.ml.document_files import (
    docx,
    docx_of,
    packed,
    page_content,
    paragraph,
    part,
    pdf,
    pdf_file,
    relations,
    stream,
    written,
)

MAX_SECONDS = 5


def seconds_of_work() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def outcome(path: Path) -> RowError | Document:
    before = seconds_of_work()
    (item,) = scan_rows(path, Reading(kind="corpus"))
    assert seconds_of_work() - before < MAX_SECONDS
    if isinstance(item, RowError):
        assert item.is_about_file
        assert item.message
        assert item.hint
        assert item.params.get("reason", ROW_ERROR_PHRASES[0]) in ROW_ERROR_PHRASES
        return item
    assert isinstance(item, Document)
    return item


def code_of(path: Path) -> str:
    item = outcome(path)
    assert isinstance(item, RowError), item
    return item.code


def entities(text: str) -> str:
    return (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        + part("document", f"<w:body>{paragraph(text)}</w:body>").split("?>", 1)[1]
    )


def with_flag(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def overlapping(content: bytes) -> bytes:
    changed = bytearray(content)
    second = changed.rindex(b"PK\x01\x02")
    changed[second + 42 : second + 46] = struct.pack("<L", 0)
    return bytes(changed)


def with_members(**members: str) -> bytes:
    parts = {"[Content_Types].xml": "<Types/>", "word/document.xml": part("document", "")}
    return packed(parts | {name.replace("__", "/"): text for name, text in members.items()})


DEEP = "<w:tbl><w:tr><w:tc>" * 100 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 100
STYLE_CIRCLE = (
    '<w:style w:styleId="a"><w:basedOn w:val="b"/></w:style>'
    '<w:style w:styleId="b"><w:basedOn w:val="a"/></w:style>'
)
WORD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "entities": (lambda: docx_of(entities("&x;")), "file.document_unsafe"),
    "bomb": (lambda: docx(paragraph("0" * (8 << 20))), "file.document_unsafe"),
    "deep": (lambda: docx(DEEP), "file.document_unsafe"),
    "macros": (lambda: with_members(**{"word__vbaProject.bin": "x"}), "file.word_macro"),
    "password": (lambda: with_flag(docx(paragraph("x"))), "file.document_encrypted"),
    "overlap": (lambda: overlapping(docx(paragraph("x"))), "file.document_unsafe"),
    "old": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "file.word_old"),
    "rich text": (lambda: b"{\\rtf1\\ansi x}", "file.type"),
    "leads outside": (
        lambda: with_members(**{"_rels__.rels": relations(officeDocument="../../etc/passwd")}),
        "file.document_damaged",
    ),
    "no xml": (lambda: docx_of(b"\xff\xfe"), "file.document_damaged"),
    "not closed": (lambda: docx_of("<a><b></a>"), "file.document_damaged"),
    "no text": (lambda: docx(""), "file.empty"),
    "many elements": (
        lambda: docx("".join(f"<w:p><w:r{n % 97}/></w:p>" for n in range(50_000))), "file.empty",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WORD_FILES)
def test_a_hostile_word_document_is_one_error(case: str, tmp_path: Path) -> None:
    make, code = WORD_FILES[case]
    assert code_of(written(tmp_path / "a.docx", make())) == code


def test_styles_that_go_in_a_circle_and_parts_that_are_missing_do_no_harm(tmp_path: Path) -> None:
    style = '<w:pStyle w:val="a"/><w:numPr><w:numId w:val="7"/></w:numPr>'
    body = paragraph("甲", style) + '<w:p><w:r><w:footnoteReference w:id="9"/></w:r></w:p>'
    item = outcome(written(tmp_path / "a.docx", docx(body, {"styles": STYLE_CIRCLE})))
    assert isinstance(item, Document)
    assert item.text == "甲\n[^9]"


def test_a_large_part_is_refused_by_what_it_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.docx", docx(paragraph("一二三")))
    assert isinstance(outcome(path), Document)
    monkeypatch.setattr(word_package, "MAX_PART_BYTES", 100)
    assert code_of(path) == "file.document_unsafe"


def catalog(**objects: bytes) -> bytes:
    return pdf_file(
        {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
        | {int(name[1:]): content for name, content in objects.items()}
    )


def locked(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf([["一二三"]])))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def forms(depth: int, fan: int) -> bytes:
    """Forms that show the next one several times: fan ** depth of them for a page."""
    names = range(20, 20 + depth)
    objects = {
        number: stream(
            b"/X Do " * fan,
            b"/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << /XObject << /X %d 0 R >>"
            b" >>" % (number + 1),
        )
        for number in names
    }
    objects[20 + depth] = stream(page_content(["底"]), b"/Type /XObject /Subtype /Form")
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R "
        b"/Resources << /XObject << /X 20 0 R >> >> >>"
    )
    return catalog(
        n2=b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", n3=page, n4=stream(b"/X Do " * fan),
        **{f"n{number}": content for number, content in objects.items()},
    )  # fmt: skip


def filtered(content: bytes, times: int) -> bytes:
    """A page whose drawing is packed several times over."""
    data = content
    for _ in range(times):
        data = zlib.compress(data, 9)
    names = b"/FlateDecode " * times
    return catalog(
        n2=b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        n3=b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R "
        b"/Resources << /Font << >> >> >>",
        n4=b"<< /Length %d /Filter [%s] >>\nstream\n%s\nendstream" % (len(data), names, data),
    )


def damaged_stream(content: bytes) -> bytes:
    place = content.index(b"stream\n", content.index(b"10 0 obj")) + 20
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


PDF_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "pages that hold themselves": (
        lambda: catalog(n2=b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"), "file.document_damaged",
    ),
    "pages in a circle": (
        lambda: catalog(
            n2=b"<< /Type /Pages /Kids [3 0 R] /Count 9 >>",
            n3=b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R 2 0 R] /Count 9 >>",
        ), "file.document_damaged",
    ),
    "tables that lead to themselves": (
        lambda: pdf([["x"]]).replace(b"/Info 5 0 R", b"/Prev 9     "), "",
    ),
    "no pages": (
        lambda: catalog(n2=b"<< /Type /Pages /Kids [] /Count 0 >>"), "file.document_damaged",
    ),
    "a missing page": (
        lambda: catalog(n2=b"<< /Type /Pages /Kids [3 0 R 7 0 R] /Count 2 >>"),
        "file.document_damaged",
    ),
    "forms in forms": (lambda: forms(12, 12), "file.document_"),
    "a large stream": (lambda: filtered(bytes(120 << 20), 1), "file.document_unsafe"),
    "a stream packed twice": (lambda: filtered(bytes(120 << 20), 2), "file.document_unsafe"),
    "many operators": (lambda: filtered(b"(x) Tj " * 700_000, 1), "file.document_unsafe"),
    "a password": (lambda: locked("secret"), "file.document_encrypted"),
    "a damaged stream": (
        lambda: damaged_stream(pdf([["一二三四五六七八九十" * 20]])), "file.document_damaged",
    ),
    "only a beginning": (lambda: b"%PDF-1.7\n%%EOF", "file.document_damaged"),
    "shapes without letters": (
        lambda: pdf([["\ue001\ue002\ue003" * 20]]), "file.document_damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PDF_FILES)
def test_a_hostile_pdf_is_one_error(case: str, tmp_path: Path) -> None:
    make, code = PDF_FILES[case]
    path = written(tmp_path / "a.pdf", make())
    found = outcome(path) if not code else code_of(path)
    if code:
        assert str(found).startswith(code)


def test_a_pdf_that_only_forbids_printing_is_read(tmp_path: Path) -> None:
    item = outcome(written(tmp_path / "a.pdf", locked("")))
    assert isinstance(item, Document)
    assert item.text.strip() == "一二三"


@pytest.mark.parametrize("sixteenth", range(16))
@pytest.mark.parametrize("suffix", ["docx", "pdf"])
def test_a_file_that_was_cut_off_is_never_read_in_part(
    suffix: str, sixteenth: int, tmp_path: Path
) -> None:
    pages = [[f"第{n}页 " + "国有资产" * 8] for n in range(8)]
    content = pdf(pages) if suffix == "pdf" else docx("".join(map(paragraph, "一二三四五六")))
    cut_off = content[: len(content) * sixteenth // 16]
    assert code_of(written(tmp_path / f"a.{suffix}", cut_off)).startswith("file.")


def test_work_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(path: Path) -> dict[str, object]:
        while True:
            pass

    def greedy(path: Path) -> dict[str, object]:
        return {"size": len(bytes(2 * bounded.MAX_MEMORY_BYTES))}

    def stopped(path: Path) -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGTERM)
        return endless(path)

    monkeypatch.setattr(bounded, "CPU_SECONDS", 1)
    path = written(tmp_path / "a", b"x")
    for work in (endless, greedy):
        with pytest.raises(bounded.LimitExceededError):
            bounded.bounded(work, path)
    with pytest.raises(StoppedAtCheckpoint):
        bounded.bounded(stopped, path)
    assert bounded.bounded(lambda found: {"name": found.name}, path) == {"name": "a"}
