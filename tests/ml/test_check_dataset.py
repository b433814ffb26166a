"""The check of a version: every planted fault is flagged, with its reason, and nothing else is."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contracts.quality_checks import MaskDatasetSpec
from pipeline.contracts.specs import parse_run_spec
from pipeline.data.quality.languages import find_language
from pipeline.execution import RunContext
from pipeline.recipes import check_dataset, mask_dataset

TOPICS = ("国有资产交易", "企业负责人考核", "境外投资监管", "产权登记管理", "混合所有制改革")


def document(number: int) -> dict:
    """Documents of one length that share no run of thirteen characters and no line."""
    words = [
        f"{TOPICS[number % 5]}第{number * 37 + place}条{chr(0x4E00 + number * 40 + place)}"
        for place in range(12)
    ]
    return {"id": f"d{number}", "lang": "zh", "text": "，".join(words) + "。"}


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n")
    return path


def checked(context: RunContext, path: Path, kind: str, tests: dict[Path, str] | None = None):
    spec = {
        "kind": "check_dataset",
        "dataset": {"kind": kind, "path": str(path)},
        "test_sets": [{"kind": one, "path": str(where)} for where, one in (tests or {}).items()],
    }
    result = check_dataset.run(parse_run_spec(json.dumps(spec)), context)
    flags = [
        {**row, "params": json.loads(row["params"])}
        for row in pq.read_table(result.outputs["flags"]).to_pylist()
    ]
    assert not list(context.run_dir.glob("tmp*")), "no scratch file is left"
    return result.results, flags


def of(flags: list[dict], check: str) -> dict[str, dict]:
    return {flag["id"]: flag["params"] for flag in flags if flag["check"] == check}


def test_planted_faults_are_flagged_and_nothing_else(tmp_path: Path, context: RunContext) -> None:
    rows = [document(number) for number in range(40)]
    clean, flags = checked(context, write(tmp_path / "clean.jsonl", rows), "corpus")
    assert (clean.num_rows, clean.num_flagged_rows, flags) == (40, 0, [])
    assert clean.languages == {"zh": 40}

    rows.append({"id": "copy", "lang": "zh", "text": f" {rows[3]['text']}\n".replace("，", "，  ")})
    rows.append({"id": "near", "lang": "zh", "text": rows[4]["text"].replace("。", "！！")})
    rows.append(
        {
            "id": "english",
            "lang": "zh",
            "text": "The assets of the state are managed by the state council, as law has it. " * 3,
        }
    )
    rows.append({"id": "short", "lang": "zh", "text": "无"})
    rows.append(
        {"id": "long", "lang": "zh", "text": "".join(chr(0x4E00 + i) for i in range(9_000))}
    )
    rows.append(
        {
            "id": "person",
            "lang": "zh",
            "text": document(50)["text"] + "张三，11010519491231002X",
            "meta": {"tel": "13812345678"},
        }
    )
    for number in range(60, 66):
        rows.append(
            {
                **document(number),
                "text": document(number)["text"] + "\n内部资料，不得外传，违者必究",
            }
        )
    found, flags = checked(context, write(tmp_path / "rows.jsonl", rows), "corpus")
    assert of(flags, "duplicate.exact") == {"copy": {"kept": "d3", "kept_row": 3}}
    assert of(flags, "duplicate.near") == {"near": {"kept": "d4", "kept_row": 4}}
    assert of(flags, "language.differs") == {
        "english": {"declared": "zh", "found": "en", "share": 1.0}
    }
    assert set(of(flags, "length.short")) == {"short"}
    assert of(flags, "length.long")["long"]["length"] == 9_000
    assert of(flags, "personal.identity_number") == {
        "person": {"field": "text", "value": "110*************2X", "count": 1}
    }
    assert of(flags, "personal.mobile_phone") == {
        "person": {"field": "meta.tel", "value": "138******78", "count": 1}
    }
    assert set(of(flags, "boilerplate.line")) == {f"d{number}" for number in range(60, 66)}
    assert found.repeated_lines[0].num_rows == 6
    assert found.num_flagged_rows == len({flag["row"] for flag in flags}) == 12
    assert found.num_duplicate_groups == 2
    assert sum(check.num_rows for check in found.checks) == len(flags) == 13
    again, flags_again = checked(context, tmp_path / "rows.jsonl", "corpus")
    assert (again, flags_again) == (found, flags)


def test_overlap_is_that_of_slices(tmp_path: Path, context: RunContext) -> None:
    """Half of an item's runs of 13 characters block it; any one warns."""
    question = "".join(chr(0x5000 + place) for place in range(40))  # 28 runs
    items = [
        {"id": "whole", "instruction": question, "output": "是"},
        {"id": "part", "instruction": question[::-1], "output": "否"},
        {"id": "clean", "instruction": "国资委监管企业的职责包括哪些方面的内容呢", "output": "略"},
        {"id": "short", "instruction": "何为国资？", "output": "国有资产"},
    ]
    english = [
        {
            "id": "en",
            "lang": "en",
            "question": "Which council manages the assets of the state on behalf of the people?",
            "choices": ["A", "B"],
            "answer": 0,
        }
    ]
    rows = [
        {"id": "holds", "lang": "zh", "text": f"前文。{question[:20]}，{question[20:]}。后文"},
        {"id": "touches", "lang": "zh", "text": f"前文{question[::-1][:14]}后文"},
        {"id": "misses", "lang": "zh", "text": f"前文{question[::-1][20:32]}后文"},
        {"id": "asks", "lang": "zh", "title": "何为 国资", "text": "别的"},
        {
            "id": "english",
            "lang": "en",
            "text": "It is which Council manages -- the assets of the State on paper",
        },
    ]
    found, flags = checked(
        context,
        write(tmp_path / "rows.jsonl", rows),
        "corpus",
        {
            write(tmp_path / "zh.jsonl", items): "domain_test",
            write(tmp_path / "en.jsonl", english): "multiple_choice",
        },
    )
    hits = {
        row: (p["test_set"], p["item"], p["share"], p["blocks"])
        for row, p in of(flags, "overlap.test_set").items()
    }
    assert hits == {
        "holds": (0, "whole", 1.0, 1),
        "touches": (0, "part", round(2 / 28, 3), 0),
        "asks": (0, "short", 1.0, 1),
        "english": (1, "en", round(2 / 6, 3), 0),
    }
    chinese, other = found.test_sets
    assert (
        chinese.num_items,
        chinese.num_hit_items,
        chinese.num_blocking_items,
        chinese.num_short_items,
    ) == (4, 3, 2, 1)
    assert chinese.is_blocking
    assert not other.is_blocking
    assert chinese.examples[0].row_id == "holds"
    assert other.examples[0].text.startswith("which council manages")


def test_a_system_turn_that_rows_share_makes_them_neither_duplicates_nor_part_of_a_test(
    tmp_path: Path, context: RunContext
) -> None:
    system = "你是国有资产监督管理领域的专家，请依据现行法律法规准确回答企业提出的问题。"
    rows = [
        {
            "id": f"r{number}",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": f"{TOPICS[number]}的依据是什么"},
                {"role": "assistant", "content": document(number)["text"][:30]},
            ],
        }
        for number in range(3)
    ]
    rows.append({**rows[0], "id": "again", "messages": rows[0]["messages"][1:]})
    item = {"id": "t", "system": system, "instruction": "产权怎样登记？", "output": "依法登记"}
    tests = {write(tmp_path / "test.jsonl", [item]): "domain_test"}
    path = write(tmp_path / "rows.jsonl", rows)
    found, flags = checked(context, path, "conversations", tests)
    assert {flag["id"]: flag["check"] for flag in flags} == {"again": "duplicate.near"}
    assert found.test_sets[0].num_hit_items == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("国有资产监督管理委员会", "zh"),
        ("The State Council manages the assets of the state", "en"),
        ("国有資産はどのように管理されますか", "ja"),
        ("국유 자산은 어떻게 관리됩니까", "ko"),
        ("国资 assets 管理 of the 国家 state 委员 council", None),
        ("x = 1 + 2", None),
        ("", None),
    ],
)
def test_the_script_tells_the_language_or_nothing(text: str, code: str | None) -> None:
    language = find_language(text)
    assert (language and language.code) == code


def test_a_masked_version_keeps_everything_else(tmp_path: Path, context: RunContext) -> None:
    rows = [
        document(number) | {"meta": {"n": number, "deep": {"a": [1.5, None, True]}}}
        for number in range(5)
    ]
    rows += [
        {**rows[2], "id": "copy"},
        {"id": "p", "lang": "zh", "text": "电话13812345678。", "source": "甲"},
    ]
    path = write(tmp_path / "rows.jsonl", rows)
    _results, _flags = checked(context, path, "corpus")
    spec = {
        "kind": "mask_dataset",
        "dataset": {"kind": "corpus", "path": str(path)},
        "flags": {"path": str(context.run_dir / "flags.parquet")},
        "drop": ["duplicate.exact", "duplicate.near"],
    }
    result = mask_dataset.run(MaskDatasetSpec.parse(json.dumps(spec)), context)
    made = pq.read_table(result.outputs["dataset"]).to_pylist()
    assert [row["id"] for row in made] == ["d0", "d1", "d2", "d3", "d4", "p"]
    assert [(row["text"], json.loads(row["meta"])) for row in made[:5]] == [
        (row["text"], row["meta"]) for row in rows[:5]
    ]
    assert (made[5]["text"], made[5]["source"]) == ("电话[手机号]。", "甲")
    dropped = pq.read_table(result.outputs["dropped"]).to_pylist()
    assert [(row["id"], row["check"]) for row in dropped] == [("copy", "duplicate.exact")]
    assert result.results.num_dropped == {"duplicate.exact": 1}
    assert result.results.num_masked == {"mobile_phone": 1}
    assert result.results.manifest is not None
    assert result.results.manifest.num_rows == 6

    # Nothing to do makes no version.
    write(path, rows[:5])
    again = MaskDatasetSpec.parse(json.dumps({key: spec[key] for key in ("kind", "dataset")}))
    assert mask_dataset.run(again, context).results.manifest is None
