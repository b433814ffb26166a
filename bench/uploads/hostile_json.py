"""JSON that breaks rules, means two things, costs memory, or carries what must not be trained on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.uploads.cases import Case, asked, case, kept, lines, refused

GOOD = '{"instruction": "甲", "output": "乙"}'
ONE = ("甲", "乙")
TWO = (ONE, ONE)
BROKEN = {
    "no_comma": ('{"instruction": "a" "output": "b"}', "json.syntax"),
    "single_quotes": ("{'instruction': 'a', 'output': 'b'}", "json.syntax"),
    "trailing_comma": ('{"instruction": "a", "output": "b",}', "json.syntax"),
    "comment": ('{"instruction": "a", "output": "b"} // c', "json.syntax"),
    "two_on_a_line": ('{"instruction": "a", "output": "b"}{"instruction": "c", "output": "d"}', "json.syntax"),
    "raw_tab": ('{"instruction": "a\tb", "output": "b"}', "json.syntax"),
    "bad_escape": (r'{"instruction": "\x", "output": "b"}', "json.syntax"),
    "duplicate_key": ('{"instruction": "a", "output": "b", "output": "c"}', "json.duplicate_key"),
    "duplicate_nested": ('{"instruction": "a", "output": "b", "m": {"x": 1, "x": 2}}', "json.duplicate_key"),
    "nan": ('{"instruction": "a", "output": "b", "x": NaN}', "json.number"),
    "infinity": ('{"instruction": "a", "output": "b", "x": -Infinity}', "json.number"),
    "huge_float": ('{"instruction": "a", "output": "b", "x": 1e999}', "json.number"),
    "long_integer": ('{"instruction": "a", "output": "b", "x": 1' + "0" * 30 + "}", "json.number"),
    "deep": ('{"instruction": "a", "output": "b", "x": ' + "[" * 100 + "]" * 100 + "}", "json.too_deep"),
    "deeper": ('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "json.too_deep"),
    "half_character": (r'{"instruction": "a\ud800", "output": "b"}', "row.lone_surrogate"),
    "half_in_key": (r'{"instruction": "a", "output": "b", "\udc00": 1}', "row.lone_surrogate"),
    "nul": (r'{"instruction": "a\u0000", "output": "b"}', "row.nul_character"),
    "nul_in_meta": (r'{"instruction": "a", "output": "b", "m": ["\u0000"]}', "row.nul_character"),
    "text": ('"instruction"', "json.not_object"),
    "number": ("7", "json.not_object"),
    "null": ("null", "json.not_object"),
    "missing": ('{"instruction": "a"}', "row.field_missing"),
    "null_field": ('{"instruction": "a", "output": null}', "row.required_empty"),
    "blank_field": ('{"instruction": "a", "output": " \\n\u3000"}', "row.required_empty"),
    "number_field": ('{"instruction": "a", "output": 7}', "row.type"),
    "list_field": ('{"instruction": ["a"], "output": "b"}', "row.type"),
    "object_field": ('{"instruction": {"a": 1}, "output": "b"}', "row.type"),
    "truth_id": ('{"id": true, "instruction": "a", "output": "b"}', "row.type"),
    "meta_list": ('{"instruction": "a", "output": "b", "meta": []}', "row.type"),
    "language": ('{"instruction": "a", "output": "b", "lang": "fr"}', "row.enum"),
}  # fmt: skip


def cases() -> Iterator[Case]:
    """All of them."""
    for name, (line, code) in BROKEN.items():
        content = f"{GOOD}\n{line}\n{GOOD}\n"
        yield case(f"line_{name}.jsonl", content, asked(*TWO, codes=[code]))
    yield from _files()
    yield from _untrained()
    yield from _choices()
    yield from _large()


def _files() -> Iterator[Case]:
    same = lines({"id": "a", "instruction": "甲", "output": "乙"}) * 2
    yield case("repeated_id.jsonl", same, asked(ONE, codes=["row.id_duplicate"]))
    yield case("repeated_number_id.jsonl", lines({"id": 1, "instruction": "甲", "output": "乙"},
               {"id": "1", "instruction": "丙", "output": "丁"}), asked(ONE, codes=["row.id_duplicate"]))  # fmt: skip
    yield case("cut_off.jsonl", f"{GOOD}\n{GOOD[:-9]}", asked(ONE, codes=["json.syntax"]))
    yield case(
        "cut_off.json",
        f"[{GOOD}, {GOOD[:-9]}",
        asked(ONE, codes=["file.array_*"]),
        refused("file.array_*"),
    )
    yield case(
        "no_end.json", f"[{GOOD}", asked(ONE, codes=["file.array_*"]), refused("file.array_*")
    )
    yield case(
        "after_the_end.json",
        f"[{GOOD}] x",
        asked(ONE, codes=["file.array_*"]),
        refused("file.array_*"),
    )
    yield case("one_bad_element.json", f'[{GOOD}, {{"instruction": "a", "output": NaN}}, {GOOD}]',
               asked(*TWO, codes=["json.number"]))  # fmt: skip
    yield case("numbers.json", "[1, 2, 3]", refused("file.*"), refused(*["json.not_object"] * 3))
    yield case("lists.json", '[["甲", "乙"], ["丙", "丁"]]', refused("file.*"))
    yield case("by_id.json", json.dumps({f"q{n}": {"instruction": "甲", "output": "乙"} for n in range(9)}),
               refused("file.*"))  # fmt: skip
    yield case("two_lists.json", json.dumps({"train": [json.loads(GOOD)], "test": [json.loads(GOOD)]}),
               refused("file.*"))  # fmt: skip
    information = {"zh": {"file_name": "a.json", "columns": {"prompt": "q"}}}
    yield case("dataset_info.json", json.dumps(information, indent=2), refused("file.*"))
    yield case("prototype.jsonl", '{"instruction": "甲", "output": "乙", "__proto__": {"x": 1}}',
               kept({"meta": {"__proto__": {"x": 1}}}))  # fmt: skip
    yield case("script_is_text.jsonl", lines({"instruction": "<script>alert(1)</script>", "output": "{{7*7}}"}),
               asked(("<script>alert(1)</script>", "{{7*7}}")))  # fmt: skip


def _untrained() -> Iterator[Case]:
    whole = refused("file.layout_*")
    turns = [{"role": "user", "content": "甲"}, {"role": "assistant", "content": "乙"}]
    called = [turns[0], {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]},
              {"role": "tool", "content": "{}"}, turns[1]]  # fmt: skip
    sharegpt = [
        {"from": who, "value": "甲"} for who in ("human", "function_call", "observation", "gpt")
    ]
    shapes = {
        "preferences": {"instruction": "甲", "chosen": "好", "rejected": "坏"},
        "preferences_of_turns": {"conversations": [{"from": "human", "value": "甲"}],
                                 "chosen": {"from": "gpt", "value": "好"}, "rejected": {"from": "gpt", "value": "坏"}},
        "kto": {"messages": turns, "label": False},
        "tool_calls": {"messages": called},
        "sharegpt_tools": {"conversations": sharegpt, "tools": "[]"},
        "pictures": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
                                  turns[1]]},
    }  # fmt: skip
    for name, row in shapes.items():
        # Rows of other layouts before and behind would be a biased part of the file.
        content = lines({"messages": turns}, row, {"messages": turns})
        yield case(f"layout_{name}.jsonl", content, whole, kind="conversations")
    broken = {
        "last_turn": ([turns[0]], "row.last_turn"), "order": ([turns[1], turns[0], turns[1]], "row.turn_order"),
        "twice": ([turns[0], turns[0], turns[1]], "row.turn_order"), "none": ([], "row.required_empty"),
        "role": ([{"role": "boss", "content": "甲"}, turns[1]], "row.enum"),
        "empty_turn": ([turns[0], {"role": "assistant", "content": " "}], "row.required_empty"),
        "no_content": ([turns[0], {"role": "assistant"}], "row.field_missing"), "text": ("甲", "row.type"),
    }  # fmt: skip
    for name, (messages, code) in broken.items():
        yield case(f"turns_{name}.jsonl", lines({"messages": messages}, {"messages": turns}),
                   kept({"messages": turns}, codes=[code]), kind="conversations")  # fmt: skip
    untrained = [turns[0], {**turns[1], "weight": 0}]
    yield case(
        "turns_of_no_weight.jsonl",
        lines({"messages": untrained}),
        refused("row.*"),
        kind="conversations",
    )


def _choices() -> Iterator[Case]:
    good = {"question": "甲", "choices": ["一", "二"], "answer": 0}
    for name, change, code in (
        ("range", {"answer": 7}, "row.answer_range"), ("letter", {"answer": "E"}, "row.answer_range"),
        ("same", {"choices": ["一", "一"]}, "row.choices"), ("one", {"choices": ["一"]}, "row.choices"),
        ("none", {"choices": []}, "row.choices"), ("no_answer", {"answer": None}, "row.required_empty"),
        ("number", {"choices": [1, 2]}, "row.type"), ("truth", {"answer": True}, "row.type"),
        ("other_text", {"answer": "三"}, "row.answer*"), ("negative", {"answer": -1}, "row.answer_range"),
    ):  # fmt: skip
        yield case(f"choices_{name}.jsonl", lines({**good, **change}, good),
                   kept({"answer": 0}, codes=[code]), kind="multiple_choice")  # fmt: skip


def _large() -> Iterator[Case]:
    many_keys = "{" + ", ".join(f'"k{number}": 1' for number in range(700_000)) + "}"
    bad = asked(ONE, codes=["json.*"])
    yield case(
        "700000_keys.jsonl",
        f"{many_keys}\n{GOOD}\n",
        bad,
        asked(ONE, codes=["row.*"]),
        is_large=True,
    )
    yield case("700000_keys.json", f"[{many_keys}]", refused("json.*", "file.*"), refused("row.*"),
               refused("json.*"), is_large=True)  # fmt: skip
    small = '{"x": [' + "[]," * 5_000_000 + f"0]}}\n{GOOD}\n"
    yield case("5000000_lists.jsonl", small, bad, asked(ONE, codes=["row.*"]), is_large=True)
    objects = '{"x": [' + '{"a":1},' * 1_900_000 + f"0]}}\n{GOOD}\n"
    yield case("1900000_objects.jsonl", objects, bad, asked(ONE, codes=["row.*"]), is_large=True)
    yield case("40_mib_line.jsonl", _filled(f"{GOOD}\n" + '{"x": "', "x" * (40 << 20), f'"}}\n{GOOD}\n'),
               asked(*TWO, codes=["row.too_long"]), is_large=True)  # fmt: skip
    yield case("blank_20_mib.jsonl", _filled(f"{GOOD}\n", " " * (20 << 20), f"\n{GOOD}\n"),
               asked(*TWO, codes=["row.too_long"]), asked(*TWO), is_large=True)  # fmt: skip
    yield case("blank_lines_4_million.jsonl", _filled(f"{GOOD}\n", "\n" * 4_000_000, f"{GOOD}\n"),
               asked(*TWO), is_large=True)  # fmt: skip
    yield case("quotes_15_mib.jsonl", _filled('{"x": "', '\\"' * 7_500_000, f"\n{GOOD}\n"),
               asked(ONE, codes=["json.syntax"]), is_large=True)  # fmt: skip


def _filled(before: str, middle: str, behind: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(before + middle + behind, encoding="utf-8")
