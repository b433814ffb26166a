"""Text is read in its encoding, or a person is asked; it is never read as something else."""

import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.data.encodings import find_encoding
from pipeline.data.import_sources import source_data
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.seen_ids import SeenIds

SIMPLIFIED = (
    "请问国有资产监督管理委员会的职责是什么？",
    "《中华人民共和国公司法》第一百二十一条规定，股东大会由全体股东组成。",
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "红烧肉的做法：五花肉切块，焯水，炒糖色，加酱油、料酒、八角、桂皮，小火炖一小时。",
    "患者主诉咳嗽咳痰三天，伴发热，体温38.5度，无胸闷气促。",
    "该机床主轴转速过高，轴承磨损严重，须更换润滑脂。",
    "张伟 李娜 王芳 刘洋 陈静 杨帆 赵磊 黄丽 周强 吴敏",
)
TRADITIONAL = (
    "國有資產監督管理委員會的職責是什麼？",
    "企業應當建立健全內部控制制度，並對其有效性負責。",
    "電腦軟體工程師說他明天有考試。",
)
JAPANESE = (
    "国有資産の管理について説明してください。",
    "東京証券取引所に上場している会社は、四半期ごとに決算を発表します。",
)
KOREAN = ("국유자산 감독관리위원회의 직책은 무엇입니까", "회사는 내부통제 제도를 수립하여야 한다")
CYRILLIC = ("Государственное имущество управляется комиссией",)
# Encoding of the file -> its texts, what it is read as unasked, what it is named otherwise.
FILES = {
    "utf-8": (SIMPLIFIED + TRADITIONAL, "utf-8", ""),
    "utf-8-sig": (SIMPLIFIED, "utf-8", ""),
    "gbk": (SIMPLIFIED, "gb18030", ""),
    "gb18030": (SIMPLIFIED, "gb18030", ""),
    "utf-16": (SIMPLIFIED, "utf-16", ""),
    "big5": (TRADITIONAL, None, "Big5"),
    "shift_jis": (JAPANESE, None, "Shift-JIS"),
    "utf-16-le": (SIMPLIFIED, None, "UTF-16"),
    "utf-16-be": (SIMPLIFIED, None, "UTF-16"),
    "euc_kr": (KOREAN, None, ""),
    "cp1251": (CYRILLIC, None, ""),
}


def questions(path: Path, content: bytes, **options: object) -> list[object]:
    path.write_bytes(content)
    return list(scan_rows(path, Reading(kind="domain_test", **options)))


@pytest.mark.parametrize("encoding", FILES)
def test_text_is_read_rightly_or_not_at_all(encoding: str, tmp_path: Path) -> None:
    texts, read_as, name = FILES[encoding]
    path = tmp_path / "table.csv"

    @settings(max_examples=12, deadline=None)
    @given(
        pairs=st.lists(st.tuples(*[st.sampled_from(texts)] * 2), min_size=1, max_size=30),
        num_damaged=st.integers(0, 3),
        seed=st.integers(0, 999),
    )
    def check(pairs: list[tuple[str, str]], num_damaged: int, seed: int) -> None:
        lines = ["question,answer", *map(",".join, pairs)]
        content = bytearray("\n".join(lines).encode(encoding))
        places = [place for place, byte in enumerate(content) if byte >= 0x80][3:]
        num_damaged = 0 if "16" in encoding else min(num_damaged, len(places) // 8)
        for place in random.Random(seed).sample(places, num_damaged):
            content[place] = 0xFF
        rows = questions(path, bytes(content))
        found = find_encoding(path)
        if found.encoding is None:
            assert read_as is None or (num_damaged and len(pairs) <= 2 * num_damaged)
            assert found.name in ("", name)
            assert [row.code for row in rows] == [found.refusal.code]
            return
        assert found.encoding == read_as or (read_as is None and found.reason == "damaged")
        kept = [row for row in rows if not isinstance(row, RowError)]
        assert {f"{row.instruction},{row.output}" for row in kept} <= set(lines)
        assert len(pairs) - num_damaged <= len(kept) or read_as is None

    check()


@pytest.mark.parametrize(
    ("encoding", "chosen"),
    [
        ("big5", "big5"),
        ("shift_jis", "shift_jis"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_a_person_chooses_is_read(encoding: str, chosen: str, end: str, tmp_path) -> None:
    texts = FILES[encoding][0]
    content = end.join(["question,answer", f"{texts[0]},{texts[1]}", ""]).encode(encoding)
    (row,) = questions(tmp_path / "table.csv", content, encoding=chosen)
    assert (row.instruction, row.output) == texts[:2]
    # The same text as JSON Lines, of which one line spans the reader's blocks.
    text = f'{{"instruction": "{texts[0] * 40_000}", "output": "{texts[1]}"}}'
    rows = questions(tmp_path / "a.jsonl", f"{text}\n{text}".encode(encoding), encoding=chosen)
    assert [row.code for row in rows if isinstance(row, RowError)] == []
    assert [row.output for row in rows] == [texts[1]] * 2


def test_a_list_of_terms_is_chinese_too(tmp_path: Path) -> None:
    """It has hardly a character that is frequent in running text."""
    terms = [
        "轴承",
        "齿轮箱",
        "液压缸",
        "变频器",
        "断路器",
        "涡轮增压",
        "曲轴",
        "焊缝探伤",
        "淬火",
        "渗碳",
        "铣削",
        "镗孔",
    ]
    lines = ["question,answer", *(f"{a},{b}" for a, b in itertools.pairwise(terms))]
    rows = questions(tmp_path / "table.csv", "\n".join(lines).encode("gbk"))
    assert [f"{row.instruction},{row.output}" for row in rows] == lines[1:]


def test_a_damaged_line_costs_itself_and_is_said(tmp_path: Path) -> None:
    lines = [f"{SIMPLIFIED[0]}{number},{SIMPLIFIED[1]}" for number in range(99)]
    content = bytearray("\n".join(["问题,答案", *lines]).encode("gbk"))
    content[content.index("问".encode("gbk"), 2000)] = 0xFF
    rows = questions(tmp_path / "table.csv", bytes(content))
    (error,) = [row for row in rows if isinstance(row, RowError)]
    found = find_encoding(tmp_path / "table.csv")
    assert (found.encoding, found.reason, found.num_damaged_lines) == ("gb18030", "damaged", 1)
    assert (error.code, error.line) == ("row.encoding", found.first_damaged_line)
    assert len(rows) == 99


@pytest.mark.parametrize("name", ["table.csv", "rows.jsonl"])
def test_a_damaged_row_is_given_back_to_be_repaired(name: str, tmp_path: Path) -> None:
    rows = [(SIMPLIFIED[0], f"{SIMPLIFIED[1]}{number}") for number in range(9)]
    if name == "table.csv":
        lines = ["问题,答案", *map(",".join, rows)]
    else:
        lines = [json.dumps({"问题": a, "答案": b}, ensure_ascii=False) for a, b in rows]
    content = "\n".join(lines).encode("gbk").replace("责是".encode("gbk"), b"\xff", 1)
    path = tmp_path / name
    path.write_bytes(content)
    data = source_data(path, name=name, reading=Reading(kind="domain_test"))
    (original,) = [row for item, row in data.items(SeenIds()) if isinstance(item, RowError)]
    written = original.cells[0] if original.cells else original.text
    assert written.count("\ufffd") == 1
    assert written.replace("\ufffd", "责是") in lines[-9].split(",")[0] or original.cells is None
    # Given back as it is, it is rejected again.
    text = original.text.replace("\n", "")
    again = questions(tmp_path / f"again-{name}", f"{lines[0]}\n{text}".encode())
    assert [row.code for row in again if isinstance(row, RowError)] == ["row.mojibake"]


def test_lines_of_another_encoding_are_no_mojibake(tmp_path: Path) -> None:
    """A UTF-8 file put behind a GBK one would be valid GB18030 here and there."""
    head = "\n".join(["问题,答案", *(f"{SIMPLIFIED[0]},{SIMPLIFIED[2]}",) * 60]).encode("gbk")
    tail = "\n监管,企业\n监管,管理\n".encode()
    tail.decode("gb18030")
    rows = questions(tmp_path / "table.csv", head + tail)
    codes = [row.code for row in rows if isinstance(row, RowError)]
    assert codes == ["row.encoding_mixed"] * 2
    assert len(rows) == 62


@pytest.mark.parametrize(
    ("content", "chosen", "code"),
    [
        ("联通,联通".encode("gbk"), "auto", "file.encoding_unknown"),
        ("é,ü\nà,ö\n".encode("latin-1"), "auto", "file.encoding_unknown"),
        ("﻿问题,答案\n甲,乙\n".encode("utf-16-le"), "utf-8", "file.encoding_utf16"),
    ],
)
def test_what_cannot_be_told_is_asked(content: bytes, chosen: str, code: str, tmp_path) -> None:
    (error,) = questions(tmp_path / "table.csv", content, encoding=chosen)
    assert error.code == code
