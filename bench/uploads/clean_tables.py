"""CSV files as spreadsheet programs, databases and people write them."""

from collections.abc import Iterator

from bench.uploads.cases import Case, asked, case, kept, table

HEADER = ("问题", "答案")
PAIRS = (
    ("国有资产由谁监管？", "由国资委履行出资人职责。"),
    ("什么是董事会？", "决策机构，对股东会负责。"),
)
TWO = asked(*PAIRS)
ENCODINGS = {
    "utf8": ("utf-8", b""),
    "utf8_bom": ("utf-8", b"\xef\xbb\xbf"),
    "gbk": ("gbk", b""),
    "gb18030": ("gb18030", b""),
    "gb18030_bom": ("gb18030", b"\x84\x31\x95\x33"),
    "utf16_le": ("utf-16-le", b"\xff\xfe"),
    "utf16_be": ("utf-16-be", b"\xfe\xff"),
}
ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
DELIMITERS = (",", ";", "\t", "|")
HEADERS = {
    "reply": ("问题", "回复"),
    "standard_answer": ("题目", "标准答案"),
    "reference_answer": ("提问", "参考答案"),
    "english": ("question", "answer"),
    "prompt": ("prompt", "response"),
    "orders": ("指令", "输出"),
    "capitals": ("Instruction", "OUTPUT"),
    "required": ("问题（必填）", "答案(必填)"),
    "star": ("*问题", "答案*"),
    "full_width": ("ｑｕｅｓｔｉｏｎ", "ａｎｓｗｅｒ"),
    "zero_width": ("问题\u200b", "\ufeff答案"),
    "spaces": (" 问题 ", "答案\u3000"),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for number, (name, (encoding, mark)) in enumerate(ENCODINGS.items()):
        for offset, (end_name, end) in enumerate(ENDS.items()):
            # Excel's "Unicode text" has tabs.
            index = 2 if "utf16" in name else (number + offset) % len(DELIMITERS)
            content = table(
                (HEADER, *PAIRS),
                encoding=encoding, end=end, before=mark, delimiter=DELIMITERS[index],
            )  # fmt: skip
            yield case(f"{name}_{end_name}_{index}.csv", content, TWO)
    for name, header in HEADERS.items():
        yield case(f"header_{name}.csv", table((header, *PAIRS)), TWO)
    yield from _everyday()
    yield from _choices()


def _everyday() -> Iterator[Case]:
    one = ("甲", "乙")
    yield case("cells_with_everything.csv", table((HEADER, ('说"是"，\n或否,', "一\r\n二;\t三"))),
               asked(('说"是"，\n或否,', "一\r\n二;\t三")))  # fmt: skip
    yield case("sep_line.csv", "sep=;\r\n问题;答案\r\n甲;乙\r\n", asked(one))
    yield case("title_row.csv", "国有企业问答（2024年）,\n问题,答案\n甲,乙\n", asked(one))
    yield case(
        "two_title_rows.csv", "国资委,,\n2024年12月,,\n编号,问题,答案\n1,甲,乙\n", asked(one)
    )
    yield case(
        "header_row_said.csv", "甲,乙\n问题,答案\n丙,丁\n", asked(("丙", "丁")), header_row=2
    )
    yield case("no_last_line_end.csv", "问题,答案\n甲,乙", asked(one))
    yield case("blank_lines.csv", "\n问题,答案\n\n甲,乙\n,\n\n丙,丁\n\n", asked(one, ("丙", "丁")))
    yield case("trailing_delimiters.csv", "问题,答案,,\n甲,乙,,\n", asked(one))
    yield case("numbers_as_text.csv", "编号,问题,答案\n000001,12.5%,2024年5月1日\n",
               kept({"id": "000001", "instruction": "12.5%", "output": "2024年5月1日"}))  # fmt: skip
    yield case("identity_numbers.csv", "问题,答案,编码\n甲,TRUE,110101199001011008\n",
               kept({"output": "TRUE", "meta": {"编码": "110101199001011008"}}))  # fmt: skip
    yield case("formulas_are_text.csv", "问题,答案\n=A1+1,- 甲\n@国资委,+86\n",
               asked(("=A1+1", "- 甲"), ("@国资委", "+86")))  # fmt: skip
    yield case(
        "nameless_column.csv", "问题,答案,\n甲,乙,有误\n", kept({"meta": {"column_3": "有误"}})
    )
    yield case("equal_names_at.csv", "问题,答案,打分,打分\n甲,乙,9,7\n",
               kept({"output": "乙", "meta": {"打分": "9"}}), columns_at={"4": "ignore"})  # fmt: skip
    yield case("mapped.csv", "条目,释义\n甲,乙\n", asked(one),
               columns={"条目": "instruction", "释义": "output"})  # fmt: skip
    yield case("mapped_at.csv", "栏,栏\n甲,乙\n", asked(one),
               columns_at={"1": "instruction", "2": "output"})  # fmt: skip
    yield case("delimiter_said.csv", "问题,一;答案,二\n甲,乙;丙\n", asked(("甲,乙", "丙")), delimiter=";",
               columns_at={"1": "instruction", "2": "output"})  # fmt: skip
    yield case("materials.csv", "问题,材料,答案,来源\n甲,丙,乙,审计部\n",
               kept({"input": "丙", "source": "审计部"}))  # fmt: skip
    yield case("languages.csv", "问题,答案,语言\n甲,乙,中文\n丙,丁,zh-CN\nWho,We,English\n",
               kept({"lang": "zh"}, {"lang": "zh"}, {"lang": "en"}))  # fmt: skip
    rare = "𠮷野家与㐂，ä€é 😀"
    for encoding in ("utf-8", "gb18030"):
        yield case(f"rare_characters_{encoding}.csv", table((HEADER, *PAIRS, (rare, rare)), encoding=encoding),
                   asked(*PAIRS, (rare, rare)))  # fmt: skip
    yield case("rejects_returned.csv",
               "问题,答案,__line,__code,__message\n'- 甲,'=SUM类,3,row.type,…\n'说',乙,4,row.type,…\n",
               asked(("- 甲", "=SUM类"), ("'说'", "乙")))  # fmt: skip
    yield case("documents.csv", "标题,正文\n条例,第一条，总则。\n",
               kept({"title": "条例", "text": "第一条，总则。"}), kind="corpus")  # fmt: skip
    yield case("tabs.tsv", "question\tanswer\n甲\t乙,丙\n", asked(("甲", "乙,丙")))
    yield case("many_rows.csv", table((HEADER, *[(f"问{n}", f"答{n}") for n in range(3000)])),
               asked(*[(f"问{n}", f"答{n}") for n in range(3000)]))  # fmt: skip


def _choices() -> Iterator[Case]:
    for name, written, index in (
        ("letter", "B", 1), ("small", "b", 1), ("full_width", "Ｂ", 1), ("brackets", "（B）", 1),
        ("dot", "B.", 1), ("spaces", " B ", 1), ("text", "二", 1), ("letter_and_text", "B.二", 1),
    ):  # fmt: skip
        content = table((("题目", "A", "B", "C", "答案"), ("甲", "一", "二", "三", written)))
        yield case(
            f"answer_{name}.csv", content, kept({"question": "甲", "answer": index}),
            kind="multiple_choice",
        )  # fmt: skip
    for name, written, index in (("right", "对", 0), ("wrong", "错误", 1), ("mark", "√", 0)):
        content = table((("题目", "A", "B", "答案"), ("甲", "对", "错", written)))
        yield case(f"truth_{name}.csv", content, kept({"answer": index}), kind="multiple_choice")
    yield case("options.csv", "题干,选项A,选项B,正确答案\n甲,一,二,A\n",
               kept({"question": "甲", "choices": ["一", "二"], "answer": 0}),
               kind="multiple_choice")  # fmt: skip
