"""Archives, Parquet and documents that reach outside, unpack without end, or are cut off."""

import io
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.uploads.cases import Case, asked, case, kept, lines, refused, table
from bench.uploads.clean_books import TEXT, archive
from bench.uploads.hostile_books import FILE_ENTITY, LAUGHS
from bench.uploads.pdf_files import pdf

ROWS = table((("问题", "答案"), ("甲", "乙")))
UNSAFE = refused("file.archive_unsafe")
LIMIT = (refused("file.archive_limit"), UNSAFE)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _archives()
    yield from _parquet()
    yield from _documents()


def _archives() -> Iterator[Case]:
    for name, member in {
        "parent": "../a.csv", "parent_inside": "x/../../a.csv", "absolute": "/etc/a.csv",
        "drive": "C:\\a.csv", "backslashes": "..\\..\\a.csv", "control": "a\x01.csv", "line_end": "a\n.csv",
    }.items():  # fmt: skip
        yield case(f"{name}.zip", archive({member: ROWS}), UNSAFE)
    yield case("link.zip", _link, UNSAFE)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("a.csv", ROWS)
    yield case("nested.zip", archive({"a.zip": inner.getvalue(), "a.csv": ROWS}), UNSAFE)
    yield case(
        "nested_in_disguise.zip", archive({"b.csv": inner.getvalue(), "a.csv": ROWS}), UNSAFE
    )
    yield case("same_names.zip", archive({"a.csv": ROWS, "A.CSV": ROWS}), UNSAFE)
    yield case("1001_members.zip", archive({f"{n}.csv": b"" for n in range(1001)}), *LIMIT)
    yield case("bomb.zip", archive({"a.csv": bytes(150 << 20)}), *LIMIT, is_large=True)
    yield case("bzip2.zip", _packed(zipfile.ZIP_BZIP2), UNSAFE, refused("file.archive_*"))
    yield case("encrypted.zip", _patched({6: 1}, {8: 1}), UNSAFE)
    yield case(
        "size_lies.zip",
        _patched({22: 5}, {24: 5}),
        refused("file.archive_*"),
        refused("file.*", "file.*"),
    )
    yield case(
        "no_data_file.zip",
        archive({"说明.html": "<p>", "x.exe": b"MZ"}),
        refused("file.archive_empty"),
    )
    yield case("no_member.zip", archive({}), refused("file.*"))
    yield case("cut_off.zip", lambda path: (archive({"a.csv": ROWS * 50})(path), path.write_bytes(path.read_bytes()[:80])),
               refused("file.*"))  # fmt: skip
    yield case("one_bad_member.zip", archive({"a.csv": ROWS, "b.csv": b"\x89PNG\r\n\x1a\n" + bytes(50)}),
               asked(("甲", "乙"), codes=["file.type"]))  # fmt: skip
    ids = table((("编号", "问题", "答案"), ("1", "甲", "乙")))
    yield case(
        "id_in_two.zip",
        archive({"a.csv": ids, "b.csv": ids}),
        asked(("甲", "乙"), ("甲", "乙")),
    )


def _link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        member = zipfile.ZipInfo("a.csv")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        file.writestr(member, "/etc/passwd")


def _packed(method: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as file:
            file.writestr("a.csv", ROWS)

    return write


def _patched(local: dict[int, int], central: dict[int, int]) -> Callable[[Path], object]:
    """Bytes of the headers of the one member."""

    def write(path: Path) -> None:
        archive({"a.csv": ROWS})(path)
        data = bytearray(path.read_bytes())
        for signature, changes in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
            for offset, value in changes.items():
                data[data.find(signature) + offset] = value
        path.write_bytes(bytes(data))

    return write


def _parquet() -> Iterator[Case]:
    good = io.BytesIO()
    pq.write_table(pa.table({"question": ["甲"] * 50, "answer": ["乙"] * 50}), good)
    data = good.getvalue()
    damaged = refused("file.parquet_*")
    yield case("cut_off.parquet", data[: len(data) // 2], damaged)
    yield case("mark_only.parquet", b"PAR1", damaged)
    yield case("marks_only.parquet", b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1", damaged)
    yield case(
        "noise_inside.parquet", data[:200] + b"\xff" * 60 + data[260:], damaged, kept(codes=["*"])
    )
    yield case("other_columns.parquet", lambda path: pq.write_table(pa.table({"x": [1.5]}), path), damaged,
               refused("header.*"), refused("row.*"))  # fmt: skip
    yield case("no_rows.parquet", lambda path: pq.write_table(pa.table({"question": pa.array([], pa.string()),
               "answer": pa.array([], pa.string())}), path), refused("file.empty"))  # fmt: skip


def _word(body: str, **members: bytes) -> Callable[[Path], object]:
    names = {"word/document.xml": body, "[Content_Types].xml": "<Types/>"}
    return archive(
        {**names, **{name.replace("__", "/"): content for name, content in members.items()}}
    )


def _documents() -> Iterator[Case]:
    good = f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>甲</w:t></w:r></w:p></w:body></w:document>'
    unsafe = refused("file.*")
    for name, write in {
        "laughs.docx": _word(LAUGHS + good), "file_entity.docx": _word(FILE_ENTITY + good),
        "macro.docx": _word(good, **{"word__vbaProject.bin": b"\xd0\xcf"}), "cut_off_part.docx": _word(good[:90]),
        "no_document.docx": archive({"[Content_Types].xml": "<Types/>", "word/styles.xml": "<x/>"}),
    }.items():  # fmt: skip
        yield case(name, write, unsafe, kind="corpus")
    yield case(
        "bomb.docx",
        _word(good.replace("甲", " " * (100 << 20))),
        unsafe,
        kind="corpus",
        is_large=True,
    )
    deep = "<w:p>" * 50_000 + "</w:p>" * 50_000
    yield case(
        "deep.docx", _word(good.replace("<w:body>", "<w:body>" + deep)), unsafe, kind="corpus"
    )
    yield case("scanned.pdf", pdf([""]), unsafe, kind="corpus")
    yield case("cut_off.pdf", pdf(["Text"])[:120], unsafe, kind="corpus")
    yield case("password.pdf", pdf(["Text"], more=b"/Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(x)/P -4>>"), unsafe,
               kind="corpus")  # fmt: skip
    yield case(
        "pages_in_a_circle.pdf",
        pdf(["Text"]).replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]"),
        unsafe,
        kind="corpus",
    )
    yield case("pages_that_lie.pdf", pdf(["Text"]).replace(b"/Count 1", b"/Count 9"), kept({"text": "Text"}), unsafe,
               kind="corpus")  # fmt: skip
    yield case(
        "old_word.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), unsafe, kind="corpus"
    )
    yield case("empty.txt", b" \n\n", refused("file.empty"), kind="corpus")
    yield case("nul.txt", TEXT + "\0", unsafe, refused("row.nul_character"), kind="corpus")
    yield case("picture.md", b"\x89PNG\r\n\x1a\n" + bytes(50), unsafe, kind="corpus")
    yield case("document_as_questions.txt", TEXT, refused("file.*"), refused("header.*"))
    yield case("questions_as_documents.jsonl", lines({"instruction": "甲", "output": "乙"}), kept(codes=["row.*"]),
               refused("header.*"), refused("file.*"), kind="corpus")  # fmt: skip
