"""Files that are something else than their name says, are damaged, or are in another encoding."""

import gzip
import io
import random
import tarfile
from collections.abc import Iterator

from bench.uploads.cases import Case, asked, case, kept, lines, refused, table
from bench.uploads.pdf_files import pdf

HEADER = ("问题", "答案")
LONG = (
    ("国有资产监督管理机构的职责是什么？", "代表国家履行出资人职责，监督国有资产保值增值。"),
    ("国有企业董事会由谁组成？", "由内部董事、外部董事与职工代表组成，对股东会负责。"),
)
NOT_A_TABLE = refused("file.*")


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _nothing()
    yield from _other_formats()
    yield from _encodings()
    yield from _damage()


def _nothing() -> Iterator[Case]:
    for name, content in {
        "empty.csv": b"", "empty.jsonl": b"", "empty.xlsx": b"", "mark_only.csv": b"\xef\xbb\xbf",
        "white.csv": b" \r\n\t\n", "header_only.csv": "问题,答案\n".encode(), "array.json": b"[]",
        "wrapped.json": b'{"data": []}', "blank_cells.csv": "问题,答案\n,\n , \n".encode(),
    }.items():  # fmt: skip
        yield case(f"nothing_{name}", content, refused("file.empty"))


def _other_formats() -> Iterator[Case]:
    page = b"<html><table><tr><td>Question</td><td>Answer</td></tr></table></html>"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.csv"))
    for name, content in {
        "page.xls": page, "table_only.xls": page[6:-7], "page.csv": page, "xml.csv": b"<?xml version='1.0'?><a/>",
        "drawing.csv": b"<svg></svg>", "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "photo.jsonl": b"\xff\xd8\xff\xe0" + bytes(50), "gzip.jsonl": gzip.compress(b"{}"),
        "tar.csv": packed.getvalue(), "program.csv": b"\x7fELF\2\1\1" + bytes(200),
        "database.csv": b"SQLite format 3\0" + bytes(100), "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "model.jsonl": b"GGUF" + bytes(100), "noise.csv": random.Random(1).randbytes(5000),
        "pickle.jsonl": b"\x80\x04\x95cos\nsystem\n" + bytes(30), "report.csv": pdf(["Text"]),
        "zeros.csv": bytes(4096), "rar.zip": b"Rar!\x1a\x07\x01\x00" + bytes(80), "seven.zip": b"7z\xbc\xaf\x27\x1c" + bytes(80),
    }.items():  # fmt: skip
        yield case(f"other_{name}", content, NOT_A_TABLE, refused("header.*"))


def _encodings() -> Iterator[Case]:
    traditional = (("國有資產監督管理機構的職責是什麼？", "代表國家履行出資人職責，監督國有資產保值增值。"),
                   ("國有企業董事會由誰組成？", "由內部董事、外部董事與職工代表組成，對股東會負責。"))  # fmt: skip
    japanese = (
        ("国有資産の監督は誰がしますか？", "出資者として国がします。"),
        ("取締役会とは何ですか？", "会社の機関です。"),
    )
    korean = (("국유 자산은 누가 감독합니까?", "국가가 출자자로서 감독합니다."),)
    asks = refused("file.encoding*")
    for encoding, pairs in (("big5", traditional), ("shift_jis", japanese), ("euc_kr", korean)):
        header = ("question", "answer")
        yield case(f"{encoding}.csv", table((header, *pairs), encoding=encoding), asks)
        objects = lines(*({"instruction": q, "output": a} for q, a in pairs))
        yield case(f"{encoding}.jsonl", objects.encode(encoding), asks)
    yield case("big5_said.csv", table((("question", "answer"), *traditional), encoding="big5"),
               asked(*traditional), encoding="big5")  # fmt: skip
    yield case("shift_jis_said.csv", table((("question", "answer"), *japanese), encoding="shift_jis"),
               asked(*japanese), encoding="shift_jis")  # fmt: skip
    for encoding in ("utf-16-le", "utf-16-be"):
        yield case(
            f"{encoding}_no_mark.csv", table((HEADER, *LONG), encoding=encoding), NOT_A_TABLE
        )
    yield case("utf32.csv", table((HEADER, *LONG), encoding="utf-32"), NOT_A_TABLE)
    yield case("latin1.csv", table((("question", "answer"), ("Où est-ce ? Déjà vu", "À côté, né en été")),
                                   encoding="latin-1"), asks, refused("row.encoding*"))  # fmt: skip


def _damage() -> Iterator[Case]:
    pairs = tuple((f"{question}（{n}）", answer) for n in range(20) for question, answer in LONG)
    others = pairs[:7] + pairs[8:]
    for encoding, bad in (("utf-8", b"\xff"), ("gb18030", b"\xff")):
        text = table((HEADER, *pairs), encoding=encoding, end="\n")
        rows = text.split(b"\n")
        rows[8] = rows[8][:9] + bad + rows[8][10:]
        yield case(f"one_bad_byte_{encoding}.csv", b"\n".join(rows),
                   asked(*others, codes=["row.encoding*"]))  # fmt: skip
    objects = [lines({"instruction": q, "output": a}).encode() for q, a in pairs]
    # The last byte of a character is gone: what remains may be valid GB18030.
    objects[6] = objects[6].replace("监".encode(), "监".encode()[:2], 1)
    yield case(
        "damaged_passes_gb18030.jsonl", b"".join(objects),
        asked(*pairs[:6], *pairs[7:], codes=["row.encoding*"]),
    )  # fmt: skip
    mixed = lines({"instruction": "甲", "output": "乙"}).encode()
    yield case("gbk_line_in_utf8.jsonl", mixed * 1 + lines({"instruction": "国有", "output": "资产"}).encode("gbk")
               + b"".join(objects[:6]), asked(("甲", "乙"), *pairs[:6], codes=["row.encoding*"]))  # fmt: skip
    yield case("half_character_at_the_end.jsonl", b"".join(objects[:3]) + objects[3][:-6],
               asked(*pairs[:3], codes=["row.encoding*"]), asked(*pairs[:3], codes=["json.syntax"]))  # fmt: skip
    sevens = b'{"instruction": "a", "output": "\xc0\xaf"}\n'
    yield case(
        "overlong.jsonl", b"".join(objects[:6]) + sevens, asked(*pairs[:6], codes=["row.encoding*"])
    )
    halves = b'{"instruction": "a", "output": "\xed\xa0\x80"}\n'
    yield case(
        "half_as_bytes.jsonl",
        b"".join(objects[:6]) + halves,
        asked(*pairs[:6], codes=["row.encoding*"]),
    )
    good = {"instruction": "甲", "output": "乙"}
    for name, damaged in {"replaced": "监\ufffd管", "kuntakao": "锟斤拷", "latin": "ï¿½"}.items():
        yield case(f"mojibake_{name}.jsonl", lines({**good, "output": damaged}, good),
                   asked(("甲", "乙"), codes=["row.mojibake"]))  # fmt: skip
    yield case(
        "nul.csv", "问题,答案\n甲,乙\0\n丙,丁\n", asked(("丙", "丁"), codes=["row.nul_character"])
    )
    yield case(
        "nul_said.csv", "问题,答案\n甲,乙\0\n", kept(codes=["row.nul_character"]), encoding="utf-8"
    )
