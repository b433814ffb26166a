"""Archives and folders of documents: one version, and a bad one costs itself only."""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.contracts.row_error_phrases import ARCHIVE_NESTED
from pipeline.contracts.row_errors import RowError
from pipeline.data.file_sets import open_file_set
from pipeline.execution import RunContext
from tests.ml.document_files import docx, packed, paragraph, pdf
from tests.ml.test_file_sets import errors_of, imported

MEMBERS: dict[str, str | bytes] = {
    "2023/总结.txt": "二〇二三年。",
    "2024/总结.txt": "二〇二四年。".encode("gb18030"),
    "办法.docx": docx(paragraph("第一条")),
    "年报.pdf": pdf([["第一页"], ["第二页"]]),
    "附/条例.md": "# 条例\n\n第一条。\n",
    "附/语料.jsonl": '{"id": "a", "text": "甲"}\n',
    "README.md": "# 说明\n",
    "附/LICENSE.txt": "MIT",
    "图.png": b"\x89PNG",
}


def test_documents_and_data_are_one_version(tmp_path: Path, context: RunContext) -> None:
    bad = {
        "扫描.pdf": pdf([[], []]),
        "坏.docx": docx(paragraph("x"))[:400],
        "宏.docx": packed({"[Content_Types].xml": "", "word/vbaProject.bin": "x"}),
        "假.docx": packed({"a.txt": "x"}),
    }
    path = tmp_path / "a.zip"
    path.write_bytes(packed({**MEMBERS, **bad}))
    result = imported(path, context, "corpus")
    rows = {row["id"]: row for row in pq.read_table(result.outputs["dataset"]).to_pylist()}
    assert {name: row["text"].strip() for name, row in rows.items()} == {
        "2023/总结.txt": "二〇二三年。",
        "2024/总结.txt": "二〇二四年。",
        "办法.docx": "第一条",
        "年报.pdf": "第一页\n\n第二页",
        "附/条例.md": "# 条例\n\n第一条。",
        "语料/a": "甲",
    }
    assert json.loads(rows["年报.pdf"]["meta"]) == {"file": "年报.pdf", "page": 1, "last_page": 2}
    assert rows["2023/总结.txt"]["title"] == "总结"
    assert {error["file"]: error["code"] for error in errors_of(result)} == {
        "扫描.pdf": "file.pdf_scanned",
        "坏.docx": "file.document_damaged",
        "宏.docx": "file.word_macro",
        "假.docx": "file.type",
    }
    assert set(result.results.source.not_read) == {"README.md", "附/LICENSE.txt", "图.png"}


def test_for_other_kinds_texts_are_not_data_and_documents_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for name, reason in (("a.docx", ARCHIVE_NESTED), ("b/a.zip", ARCHIVE_NESTED)):
        path.write_bytes(packed({"a.csv": "问题,答案\n", name: "x"}))
        found = open_file_set(path, "domain_test")
        assert isinstance(found, RowError)
        assert found.params["reason"] == reason
    path.write_bytes(packed({"a.txt": "x", "b.txt": packed({"c.txt": "x"})}))
    found = open_file_set(path, "corpus")
    assert isinstance(found, RowError)
    assert found.params == {"member": "b.txt", "reason": ARCHIVE_NESTED}


def test_a_folder_of_documents_gives_the_rows_of_its_archive(
    tmp_path: Path, context: RunContext
) -> None:
    folder = tmp_path / "folder"
    for name, content in MEMBERS.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in reversed(MEMBERS):
            archive.write(folder / name, name)
    digests = {
        imported(source, context, "corpus").results.manifest.rows_sha256
        for source in (folder, path)
    }
    assert len(digests) == 1
