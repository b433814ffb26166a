"""CSV with too much, too little, or what a spreadsheet program would run."""

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.uploads.cases import Case, asked, case, kept, refused, table

ONE = ("甲", "乙")
TWO = asked(ONE, ("丙", "丁"))


def cases() -> Iterator[Case]:
    """All of them."""
    head = "问题,答案\n"
    yield case("short_row.csv", head + "甲\n丙,丁\n", asked(("丙", "丁"), codes=["*"]))
    yield case(
        "long_row.csv", head + "甲,乙,三\n丙,丁\n", asked(("丙", "丁"), codes=["csv.columns"])
    )
    yield case(
        "stray_quote.csv", head + '"甲"x,乙\n丙,丁\n', asked(("丙", "丁"), codes=["csv.quote"])
    )
    yield case(
        "quote_not_closed.csv", head + '甲,乙\n"丙,丁\n戊,己\n', asked(ONE, codes=["csv.quote"])
    )
    yield case(
        "blank_answer.csv",
        head + "甲, \u3000\n丙,丁\n",
        asked(("丙", "丁"), codes=["row.required_empty"]),
    )
    yield case("header_again.csv", "\ufeff" + head + "甲,乙\n\ufeff" + head + "丙,丁\n",
               asked(ONE, ("丙", "丁"), codes=["csv.header_again"]))  # fmt: skip
    yield case("no_answer_column.csv", "问题,出处\n甲,乙\n", refused("header.missing"))
    yield case("no_header.csv", "国资委是什么？,机构\n董事会是什么？,机构\n", refused("header.*"))
    yield case("two_answers.csv", "问题,答案,answer\n甲,乙,丙\n", refused("header.duplicate"),
               kept({"output": "乙", "meta": {"answer": "丙"}}))  # fmt: skip
    yield case("unknown_mapping.csv", head + "甲,乙\n", refused("header.unknown_mapping"),
               columns={"没有": "output"})  # fmt: skip
    yield case(
        "unknown_position.csv", head + "甲,乙\n", refused("header.*"), columns_at={"9": "output"}
    )
    yield case(
        "header_row_behind_the_end.csv",
        head + "甲,乙\n",
        refused("header.row_missing"),
        header_row=99,
    )
    yield case(
        "repeated_ids.csv",
        "编号,问题,答案\n1,甲,乙\n1,丙,丁\n",
        asked(ONE, codes=["row.id_duplicate"]),
    )
    yield case("commands.csv", table((("问题", "答案"), ("=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0"),
                                      ("@SUM(1+1)*cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")'))),
               asked(("=cmd|' /C calc'!A0", "+1+cmd|' /C calc'!A0"),
                     ("@SUM(1+1)*cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")')))  # fmt: skip
    yield case(
        "sql_is_text.csv",
        head + "'; DROP TABLE runs; --,乙\n",
        asked(("'; DROP TABLE runs; --", "乙")),
    )
    yield case(
        "direction_marks.csv", head + "甲\u202e乙,\u2066丁\n", asked(("甲\u202e乙", "\u2066丁"))
    )
    yield case("mixed_line_ends.csv", "问题,答案\r\n甲,乙\n丙,丁\r\n", TWO)
    yield case("501_columns.csv", ",".join(["问题", "答案", *map(str, range(499))]) + "\n甲,乙\n",
               refused("header.too_many"))  # fmt: skip
    yield case("answer_of_nine.csv", "题目,A,B,答案\n甲,一,二,C\n", kept(codes=["row.answer_range"]),
               kind="multiple_choice")  # fmt: skip
    yield case("choices_with_a_hole.csv", "题目,A,B,C,答案\n甲,一,,三,A\n", kept(codes=["row.*"]),
               kind="multiple_choice")  # fmt: skip
    yield from _large()


def _large() -> Iterator[Case]:
    head = "问题,答案\n甲,乙\n"
    many = b"a," * 1_000_000
    yield case(
        "1000000_columns.csv",
        many + b"\n" + many + b"\n",
        refused("header.too_many"),
        is_large=True,
    )
    yield case("1000000_cells_in_a_row.csv", head.encode() + many + "\n丙,丁\n".encode(),
               asked(ONE, ("丙", "丁"), codes=["csv.columns"]), is_large=True)  # fmt: skip
    yield case("40_mib_cell.csv", _filled(head, "x" * (40 << 20), "\n丙,丁\n"),
               asked(ONE, ("丙", "丁"), codes=["row.too_long"]), is_large=True)  # fmt: skip
    yield case("quote_of_short_lines.csv", _filled(head + '"', "x\n" * 300_000, ""), is_large=True)
    yield case(
        "quote_of_one_line.csv", _filled(head + '"', "国" * 5_000_000, "\n丙,丁\n"), is_large=True
    )
    yield case("many_bad_rows.csv", _filled("问题,答案\n", "甲\n" * 50_000, ""), is_large=True)


def _filled(before: str, middle: str, behind: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(before + middle + behind, encoding="utf-8")
