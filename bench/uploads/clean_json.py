"""JSON as other tools export it: layouts, line ends, encodings, and ways to wrap rows."""

import json
from collections.abc import Iterator

from bench.uploads.cases import Case, asked, case, kept, lines, said

ROW = {"instruction": "甲", "output": "乙"}
ONE = asked(("甲", "乙"))
TWO = asked(("甲", "乙"), ("丙", "丁"))
OTHER = {"instruction": "丙", "output": "丁"}
LONG_PAIR = ("国有资产由谁监管？", "由国资委履行出资人职责，监督国有资产保值增值。")
LONG = {"instruction": LONG_PAIR[0], "output": LONG_PAIR[1]}
"""Enough to know its encoding by."""
EXCHANGE = (("user", "甲"), ("assistant", "乙"))
TURNS = [{"role": role, "content": content} for role, content in EXCHANGE]
NAMES = {
    "question_answer": ("question", "answer"),
    "prompt_response": ("prompt", "response"),
    "chinese": ("问题", "答案"),
    "input_output": ("input", "output"),
    "query": ("query", "response"),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for name, (question, answer) in NAMES.items():
        rows = [{question: "甲", answer: "乙"}, {question: "丙", answer: "丁"}]
        yield case(f"{name}.jsonl", lines(*rows), TWO)
        yield case(f"{name}.json", json.dumps(rows, ensure_ascii=False, indent=2), TWO)
    yield from _lines()
    yield from _wrapped()
    yield from _conversations()
    yield from _others()


def _lines() -> Iterator[Case]:
    two = lines(ROW, OTHER)
    yield case("plain.jsonl", two, TWO)
    yield case("plain.txt", two, TWO)
    yield case("crlf.jsonl", two.replace("\n", "\r\n"), TWO)
    yield case("bom.jsonl", b"\xef\xbb\xbf" + two.encode(), TWO)
    yield case("gbk.jsonl", lines(LONG, OTHER).encode("gbk"), asked(LONG_PAIR, ("丙", "丁")))
    yield case("blank_lines.jsonl", "\n" + two.replace("\n", "\n\n"), TWO)
    yield case("no_last_line_end.jsonl", two.rstrip("\n"), TWO)
    yield case("escaped.jsonl", json.dumps(ROW) + "\n" + json.dumps(OTHER), TWO)
    yield case("emoji_escaped.jsonl", json.dumps({**ROW, "output": "😀"}), asked(("甲", "😀")))
    text = "一\u2028二\u0085三\x0b四"
    yield case("line_separators.jsonl", lines({**ROW, "output": text}), asked(("甲", text)))
    yield case("spaces_are_kept.jsonl", lines({"instruction": " 甲\n", "output": "\t乙 "}),
               asked((" 甲\n", "\t乙 ")))  # fmt: skip
    yield case("meta_is_kept.jsonl", lines({**ROW, "页": 3, "meta": {"a": {"b": [1, None]}}}),
               kept({"meta": {"页": 3, "a": {"b": [1, None]}}}))  # fmt: skip
    yield case("long_id.jsonl", '{"id": 1234567890123456789012, "instruction": "甲", "output": "乙"}',
               kept({"id": "1234567890123456789012"}))  # fmt: skip
    yield case("generated_id.jsonl", lines({"id": "line-2", **ROW}, OTHER), TWO)
    yield case("generated_id_later.jsonl", lines(ROW, {"id": "line-1", **OTHER}), TWO)
    yield case("known_languages.jsonl", lines({**ROW, "lang": "zh_Hans"}, {**OTHER, "lang": "英文"}),
               kept({"lang": "zh"}, {"lang": "en"}))  # fmt: skip
    yield case("mapped.jsonl", lines({"ask": "甲", "reply": "乙"}), ONE,
               columns={"ask": "instruction", "reply": "output"})  # fmt: skip
    yield case("damage_accepted.jsonl", lines({**ROW, "output": "锟斤拷是乱码"}),
               asked(("甲", "锟斤拷是乱码")), accept=["row.mojibake"])  # fmt: skip


def _wrapped() -> Iterator[Case]:
    rows = [ROW, OTHER]
    yield case("array.json", json.dumps(rows), TWO)
    yield case("array_pretty.json", json.dumps(rows, ensure_ascii=False, indent=4), TWO)
    yield case(
        "array_gbk.json",
        json.dumps([LONG, OTHER], ensure_ascii=False).encode("gb18030"),
        asked(LONG_PAIR, ("丙", "丁")),
    )
    yield case("wrapped.json", json.dumps({"data": rows}), TWO)
    yield case("wrapped_pretty.json", json.dumps({"version": 1, "data": rows}, indent=2), TWO)
    yield case("wrapped_examples.json", json.dumps({"examples": rows}), TWO)
    yield case("one_pretty_object.json", json.dumps(ROW, indent=2), ONE)
    pretty = "\n".join(json.dumps(row, ensure_ascii=False, indent=2) for row in rows)
    yield case("pretty_objects.json", pretty, TWO)
    yield case("pretty_objects.jsonl", pretty + "\n", TWO)


def _conversations() -> Iterator[Case]:
    once = said(EXCHANGE)
    for name, row in {
        "openai": {"messages": TURNS},
        "sharegpt": {"conversations": [{"from": "human", "value": "甲"}, {"from": "gpt", "value": "乙"}]},
        "alpaca": ROW,
        "content_parts": {
            "messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in TURNS]
        },
        "bare_turns": TURNS,
    }.items():  # fmt: skip
        yield case(f"{name}.jsonl", lines(row), once, kind="conversations")
    yield case("bare_turns.json", json.dumps([TURNS, TURNS]), said(EXCHANGE, EXCHANGE),
               kind="conversations")  # fmt: skip
    system = (("system", "专家"), *EXCHANGE, ("user", "丙"), ("assistant", "丁"))
    yield case("alpaca_history.jsonl",
               lines({**OTHER, "history": [["甲", "乙"]], "system": "专家"}), said(system),
               kind="conversations")  # fmt: skip
    yield case("system.jsonl",
               lines({"system": "专家", "conversations": [{"from": "human", "value": "甲"},
                                                        {"from": "gpt", "value": "乙"}]}),
               said((("system", "专家"), *EXCHANGE)), kind="conversations")  # fmt: skip
    yield case("question_of_messages.jsonl", lines({"messages": TURNS}), ONE)


def _others() -> Iterator[Case]:
    yield case("text.jsonl", lines({"text": "第一条"}), kept({"text": "第一条"}), kind="corpus")
    yield case(
        "content.jsonl", lines({"content": "第一条"}), kept({"text": "第一条"}), kind="corpus"
    )
    yield case("body.json", json.dumps([{"正文": "第一条", "标题": "条例"}]),
               kept({"text": "第一条", "title": "条例"}), kind="corpus")  # fmt: skip
    choices = {"question": "甲", "choices": ["一", "二"]}
    for name, answer in {"index": 1, "letter": "B", "text": "二", "full_width": "Ｂ"}.items():
        yield case(f"choice_{name}.jsonl", lines({**choices, "answer": answer}),
                   kept({"choices": ["一", "二"], "answer": 1}), kind="multiple_choice")  # fmt: skip
    yield case("ceval_columns.jsonl", lines({"question": "甲", "A": "一", "B": "二", "answer": "B"}),
               kept({"choices": ["一", "二"], "answer": 1}), kind="multiple_choice")  # fmt: skip
