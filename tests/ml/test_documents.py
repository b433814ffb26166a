"""Documents become rows of a corpus: the whole text, in order, with where it stands."""

import io
from pathlib import Path
from typing import Any

import docx as python_docx
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.references import DatasetKind
from pipeline.contracts.row_errors import RowError
from pipeline.data.documents.cutting import cut
from pipeline.data.documents.word_numbers import counted
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Document
from tests.ml.document_files import docx, paragraph, pdf, written


def rows_of(path: Path, kind: DatasetKind = "corpus", **options: Any) -> list[Document]:
    found = list(scan_rows(path, Reading(kind=kind, **options)))
    for row in found:
        assert isinstance(row, Document), row
    return found  # type: ignore[return-value]


def only_row(path: Path, **options: Any) -> Document:
    (row,) = rows_of(path, **options)
    return row


def only_error(path: Path, kind: DatasetKind = "corpus") -> RowError:
    (error,) = scan_rows(path, Reading(kind=kind))
    assert isinstance(error, RowError), error
    assert error.message
    assert error.hint
    return error


PROSE = "正文\n第一条 为了规范国有资产监督管理, 制定本条例。\r\n\n第二条 本条例适用, 下同。\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_text_is_one_document_and_its_first_line_is_text(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path / "条例.txt", PROSE.encode(encoding))
    row = only_row(path)
    assert (row.id, row.title, row.meta) == ("条例.txt", "条例", {"file": "条例.txt"})
    assert row.text == PROSE.replace("\r\n", "\n")
    error = only_error(path, "domain_test")
    assert (error.code, error.params) == ("file.document_kind", {"detected": "plain text"})


def test_a_table_and_json_in_a_text_are_read_as_what_they_are(tmp_path: Path) -> None:
    table = written(tmp_path / "a.txt", "标题\t正文\n甲\t内容\n")
    assert [(row.title, row.text) for row in rows_of(table)] == [("甲", "内容")]
    lines = written(tmp_path / "b.txt", '{"text": "甲"}\n{"text": "乙"}\n')
    assert [row.text for row in rows_of(lines)] == ["甲", "乙"]
    questions = written(tmp_path / "c.txt", "问题,答案\n几年,三年\n")
    (item,) = scan_rows(questions, Reading(kind="domain_test"))
    assert not isinstance(item, RowError)
    # A person who says what is between the columns means a table.
    chosen = Reading(kind="corpus", delimiter=",", columns_at={1: "text"})
    (row,) = scan_rows(written(tmp_path / "d.txt", "字,数\n甲,1\n"), chosen)
    assert isinstance(row, Document)
    assert row.text == "甲"


def test_one_damaged_byte_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "甲\n乙".encode() + b"\xff" + "丙".encode())
    error = only_error(path)
    assert (error.code, error.line, error.params["byte"]) == ("row.encoding", 2, 4)


MARKDOWN = """# 国有资产条例

前言。

## 第一章 总则

第一条 甲。

```
# 不是标题
```

第二章
---

第二条 乙。
"""


def test_pieces_of_markdown_say_under_which_heading_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "law.md", MARKDOWN)
    whole = only_row(path)
    assert (whole.text, whole.title) == (MARKDOWN, "国有资产条例")
    assert whole.meta == {"file": "law.md"}
    cut_at = rows_of(path, max_document_chars=20)
    assert "".join(row.text for row in cut_at) == MARKDOWN
    assert [row.id for row in cut_at] == [f"law.md#{n + 1}" for n in range(len(cut_at))]
    # The heading that a piece begins with is its own; the last one begins below it.
    assert [row.meta["heading"] for row in cut_at if row.text.startswith("#")] == [
        "国有资产条例", "国有资产条例 > 第一章 总则",
    ]  # fmt: skip
    assert cut_at[-1].text == "---\n\n第二条 乙。\n"
    assert cut_at[-1].meta["heading"] == "国有资产条例 > 第二章"
    assert cut_at[-1].meta["pieces"] == cut_at[-1].meta["piece"] == len(cut_at)


def test_rows_of_any_corpus_are_cut(tmp_path: Path) -> None:
    lines = '{"id": "a", "text": "%s"}\n{"id": "b", "text": "短"}\n' % ("一二三。" * 40)
    path = written(tmp_path / "a.jsonl", lines)
    rows = rows_of(path, max_document_chars=100)
    assert [row.id for row in rows] == ["a#1", "a#2", "b"]
    assert rows[0].text + rows[1].text == "一二三。" * 40
    assert rows[0].meta == {"piece": 1, "pieces": 2}
    path.write_text(lines + '{"id": "a#2", "text": "x"}\n')
    assert [row.code for row in scan_rows(path, Reading(kind="corpus", max_document_chars=100))
            if isinstance(row, RowError)] == ["row.id_duplicate"]  # fmt: skip


_LETTERS = "甲乙。！？；\n.\r a”\u0301\u200d\ufe0f\U0001f469\U0001f1e8\U0001f1f3각\u1100\u1161"


@given(st.text(alphabet=_LETTERS, max_size=60), st.integers(1, 20))
def test_a_cut_loses_nothing_and_never_splits_a_character(text: str, limit: int) -> None:
    pieces = cut(text, limit)
    assert "".join(pieces) == text
    characters = [match.end() for match in regex.finditer(r"\X", text)]
    longest = max((len(match) for match in regex.findall(r"\X", text)), default=0)
    end = 0
    for piece in pieces:
        assert 0 < len(piece) <= max(limit, longest)
        start, end = end, end + len(piece)
        assert end in characters
        # At the end of a paragraph, unless none ends within the limit.
        assert text[end - 1] == "\n" or end == len(text) or "\n" not in text[start : start + limit]


def test_where_a_cut_is() -> None:
    assert cut("一二。三四五六", 5) == ["一二。", "三四五六"]
    assert cut("一“二。”三四五六", 6) == ["一“二。”", "三四五六"]
    assert cut("标题\n一二三四。五", 6) == ["标题\n", "一二三四。五"]
    assert cut("In 3.5 m. Next", 12) == ["In 3.5 m.", " Next"]


NUMBERING = (
    '<w:abstractNum w:abstractNumId="0">'
    '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="chineseCountingThousand"/>'
    '<w:lvlText w:val="第%1条"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
    '<w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>'
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/>'
    '<w:lvlText w:val="\uf0b7"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
)


def listed(text: str, number: int = 1, level: int = 0) -> str:
    properties = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return paragraph(text, properties)


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


SHOWN = '<w:vanish w:val="0"/>'
BODY = (
    listed("总则")
    + listed("甲", level=1)
    + listed("乙", level=1)
    + listed("附则")
    + listed("点", number=2)
    + f"<w:p>{run('原')}<w:ins>{run('插入')}</w:ins><w:del><w:r><w:delText>删除</w:delText></w:r>"
    '</w:del><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    f"<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>{run('上半')}</w:p>{paragraph('下半')}"
    f"<w:p>{run('隐藏', '<w:vanish/>')}{run('可见', SHOWN)}</w:p>"
    "<w:p><w:r><mc:AlternateContent><mc:Choice><wps:txbx><w:txbxContent>"
    f"{paragraph('框内')}</w:txbxContent></wps:txbx></mc:Choice><mc:Fallback><w:txbxContent>"
    f"{paragraph('框内')}</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r>{run('锚')}</w:p>"
    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>名称</w:t></w:r></w:p></w:tc><w:tc>"
    f"{paragraph('金额')}{paragraph('（万元）')}</w:tc></w:tr></w:tbl>"
    "<w:p><m:oMath><m:r><m:t>a+b</m:t></m:r></m:oMath><w:r><w:br/><w:tab/><w:t>末</w:t></w:r></w:p>"
)
NOTES = (
    f'<w:footnote w:id="0" w:type="separator">{paragraph("-")}</w:footnote>'
    f'<w:footnote w:id="2">{paragraph("注文")}</w:footnote>'
)
SEEN = """第一条 总则
一.1 甲
一.2 乙
第二条 附则
• 点
原插入[^2]
上半下半
可见
锚
框内
名称\t金额 （万元）
a+b
\t末
[^2] 注文"""


def test_a_word_document_reads_as_a_person_sees_it(tmp_path: Path) -> None:
    content = docx(BODY, {"numbering": NUMBERING, "footnotes": NOTES})
    row = only_row(written(tmp_path / "办法.docx", content))
    assert row.text == SEEN
    assert (row.title, row.meta["left_out"]) == ("办法", {"deleted": 1, "hidden": 1})


def test_a_word_document_of_another_program(tmp_path: Path) -> None:
    made = python_docx.Document()
    made.add_heading("国有资产监督管理办法", 0)
    made.add_heading("第一章 总则", 1)
    made.add_paragraph("项目一", style="List Number")
    made.add_paragraph("项目二", style="List Number")
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "设备", "12.5"
    made.add_heading("第二章 附则", 1)
    made.add_paragraph("本办法自发布之日起施行。" * 20)
    file = io.BytesIO()
    made.save(file)
    path = written(tmp_path / "a.docx", file.getvalue())
    row = only_row(path)
    assert row.title == "国有资产监督管理办法"
    assert row.text.split("\n")[1:6] == [
        "第一章 总则", "1. 项目一", "2. 项目二", "设备\t12.5", "第二章 附则",
    ]  # fmt: skip
    pieces = rows_of(path, max_document_chars=100)
    assert pieces[-1].meta["heading"] == "第二章 附则"
    assert "".join(piece.text for piece in pieces) == row.text
    error = only_error(path, "conversations")
    assert error.params == {"detected": "a Word document"}


@pytest.mark.parametrize(
    ("count", "style", "written_as"),
    [
        (1, "chineseCounting", "一"),
        (10, "chineseCounting", "十"), (12, "chineseCounting", "十二"),
        (20, "chineseCounting", "二十"), (105, "chineseCountingThousand", "一百零五"),
        (110, "chineseCounting", "一百一十"), (1001, "chineseCounting", "一千零一"),
        (2010, "ideographDigital", "二〇一〇"), (12, "chineseLegalSimplified", "壹拾贰"),
        (4, "lowerRoman", "iv"), (27, "upperLetter", "AA"), (3, "decimalEnclosedCircle", "③"),
        (3, "ideographTraditional", "丙"), (7, "decimalZero", "07"), (7, "unheardOf", "7"),
    ],
)  # fmt: skip
def test_numbers_of_lists(count: int, style: str, written_as: str) -> None:
    assert counted(count, style) == written_as


def test_a_pdf_is_one_document_with_its_pages(tmp_path: Path) -> None:
    pages = [["第一章 总则", "为了加强监督管理，"], ["第二条 Page two.", "末" * 60], ["三" * 90]]
    path = written(tmp_path / "年报.pdf", pdf(pages, title="年度报告"))
    row = only_row(path)
    assert row.title == "年度报告"
    assert row.meta == {"file": "年报.pdf", "page": 1, "last_page": 3}
    assert row.text.split() == [word for page in pages for line in page for word in line.split()]
    pieces = rows_of(path, max_document_chars=100)
    assert [(piece.meta["page"], piece.meta["last_page"]) for piece in pieces] == [(1, 2), (3, 3)]


def test_shapes_in_a_pdf_are_the_characters_that_they_look_like(tmp_path: Path) -> None:
    row = only_row(written(tmp_path / "a.pdf", pdf([["\u2f00\u2f50 \ufb01ve"]])))
    assert row.text.strip() == "一比 five"


def test_a_scanned_pdf_says_so_and_a_page_without_text_is_counted(tmp_path: Path) -> None:
    error = only_error(written(tmp_path / "a.pdf", pdf([[], [], ["一"]])))
    assert (error.code, error.params) == ("file.pdf_scanned", {"count": 2, "pages": 3})
    row = only_row(written(tmp_path / "b.pdf", pdf([["一"], []])))
    assert row.meta["left_out"] == {"pages_without_text": 1}
