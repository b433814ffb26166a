"""Archives and folders of files: read as one version, or refused whole before anything happens."""

import io
import json
import os
import random
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.contracts.dataset_manifest import DatasetManifest
from pipeline.contracts.references import DatasetRef
from pipeline.contracts.row_error_phrases import ROW_ERROR_PHRASES
from pipeline.contracts.row_errors import RowError
from pipeline.contracts.specs import parse_run_spec
from pipeline.data import archives
from pipeline.data.archive_names import member_names
from pipeline.data.datasets import read_rows
from pipeline.data.file_sets import FileSet, open_file_set
from pipeline.data.records import MultipleChoiceItem
from pipeline.execution import RecipeResult, RunContext
from pipeline.recipes import import_dataset
from tests.ml.benchmark_files import (
    AGIEVAL_CHOICES,
    AGIEVAL_CLOZE,
    ARC_HUB_ROWS,
    CEVAL_DEV,
    CEVAL_TEST,
    CEVAL_VAL,
    CMMLU,
    GSM8K,
    LAWBENCH,
    MMLU_BARE,
    csv_text,
    write,
    write_parquet,
    write_zip,
)

GOOD = csv_text([["question", "A", "B", "answer"], ["Q", "x", "y", "A"]])


def imported(
    path: Path, context: RunContext, kind: str = "multiple_choice", policy: str = "valid_rows"
) -> RecipeResult:
    spec = {
        "kind": "import_dataset",
        "source": {"path": str(path)},
        "file_name": path.name,
        "dataset_kind": kind,
        "policy": policy,
    }
    return import_dataset.run(parse_run_spec(json.dumps(spec)), context)


def errors_of(result: RecipeResult) -> list[dict[str, Any]]:
    return pq.read_table(result.outputs["errors"]).to_pylist()


def refused(path: Path) -> RowError:
    found = open_file_set(path, "multiple_choice")
    assert isinstance(found, RowError), found
    assert found.is_about_file
    assert found.message
    assert found.hint
    assert found.params.get("reason", ROW_ERROR_PHRASES[0]) in ROW_ERROR_PHRASES
    return found


def accepted(path: Path) -> FileSet:
    found = open_file_set(path, "multiple_choice")
    assert isinstance(found, FileSet), found
    return found


def test_an_archive_of_ceval_is_one_version(tmp_path: Path, context: RunContext) -> None:
    path = write_zip(
        tmp_path / "ceval-exam.zip",
        {
            "dev/law_dev.csv": CEVAL_DEV,
            "val/law_val.csv": CEVAL_VAL,
            "val/logic_val.csv": CEVAL_VAL,
            "test/law_test.csv": CEVAL_TEST,
            "README.md": "text",
            "__MACOSX/val/._law_val.csv": "x",
        },
    )
    result = imported(path, context)
    assert (result.results.num_rows, result.results.num_rejected) == (5, 2)
    ref = DatasetRef(path=str(result.outputs["dataset"]), kind="multiple_choice")
    rows = read_rows(ref, MultipleChoiceItem)
    assert [row.id for row in rows] == [
        "dev/law/0", "val/law/0", "val/law/1", "val/logic/0", "val/logic/1",
    ]  # fmt: skip
    assert {row.meta["topic_group"] for row in rows} == {"Humanities"}
    assert [row.id for row in read_rows(ref, MultipleChoiceItem, to_be_scored=True)] == [
        "val/law/0", "val/law/1", "val/logic/0", "val/logic/1",
    ]  # fmt: skip
    (group,) = result.results.errors_by_code
    assert (group.code, group.count) == ("row.answer_withheld", 2)
    assert list(zip(group.first_files, group.first_lines, strict=True)) == [
        ("test/law_test.csv", 2), ("test/law_test.csv", 3),
    ]  # fmt: skip
    assert [(e["file"], e["line"], e["column"]) for e in errors_of(result)] == [
        ("test/law_test.csv", 2, "answer"), ("test/law_test.csv", 3, "answer"),
    ]  # fmt: skip
    assert "没有答案的题____" in errors_of(result)[0]["row"]
    document = (result.outputs["dataset"].parent / "manifest.json").read_bytes()
    manifest = DatasetManifest.parse(document)
    members = manifest.source.members
    assert [(m.name, m.benchmark, m.split, m.num_rows, m.num_rejected) for m in members] == [
        ("dev/law_dev.csv", "C-Eval", "dev", 1, 0),
        ("test/law_test.csv", "C-Eval", "test", 0, 2),
        ("val/law_val.csv", "C-Eval", "val", 2, 0),
        ("val/logic_val.csv", "C-Eval", "val", 2, 0),
    ]
    assert manifest.source.not_read == ("README.md", "__MACOSX/val/._law_val.csv")
    assert manifest.source.format == "zip"
    assert sorted(p.name for p in context.run_dir.iterdir()) == ["dataset", "errors.parquet"]


@pytest.mark.parametrize(
    ("files", "kind", "counts", "subjects"),
    [
        ({"dev/arts.csv": CMMLU, "test/arts.csv": CMMLU}, "multiple_choice", (4, 0), {"arts"}),
        ({"data/test/virology_test.csv": MMLU_BARE}, "multiple_choice", (2, 0), {"virology"}),
        ({"v1/lsat-ar.jsonl": AGIEVAL_CHOICES, "v1/gaokao-mathcloze.jsonl": AGIEVAL_CLOZE},
         "multiple_choice", (2, 2), {"lsat-ar"}),
        ({"v1/lsat-ar.jsonl": AGIEVAL_CHOICES, "v1/gaokao-mathcloze.jsonl": AGIEVAL_CLOZE},
         "domain_test", (1, 3), {"gaokao-mathcloze"}),
        ({"main/train.jsonl": GSM8K, "main/test.jsonl": GSM8K}, "domain_test", (4, 0), {None}),
        ({"zero_shot/1-1.json": LAWBENCH, "zero_shot/2-10.json": LAWBENCH}, "domain_test",
         (4, 0), {"1-1", "2-10"}),
        # Tables of one's own: the subject is the name of the file all the same.
        ({"题库/财务.csv": GOOD, "题库/审计.csv": GOOD}, "multiple_choice", (2, 0),
         {"财务", "审计"}),
    ],
)  # fmt: skip
def test_archives_of_every_benchmark(
    files: dict[str, str],
    kind: str,
    counts: tuple[int, int],
    subjects: set[str | None],
    tmp_path: Path,
    context: RunContext,
) -> None:
    result = imported(write_zip(tmp_path / "a.zip", files), context, kind)
    assert (result.results.num_rows, result.results.num_rejected) == counts
    rows = pq.read_table(result.outputs["dataset"]).to_pylist()
    assert {json.loads(row["meta"]).get("subject") for row in rows} == subjects
    assert len({row["id"] for row in rows}) == len(rows)


def test_parquet_of_a_hub_in_parts(tmp_path: Path, context: RunContext) -> None:
    folder = tmp_path / "hub"
    for part, rows in enumerate((ARC_HUB_ROWS, [{**ARC_HUB_ROWS[0], "id": "Made_Up_3"}])):
        write_parquet(folder / f"ARC-Easy/test-0000{part}-of-00002.parquet", rows)
    result = imported(folder, context, policy="all_or_nothing")
    rows = pq.read_table(result.outputs["dataset"]).to_pylist()
    assert [row["id"] for row in rows] == [
        "test/ARC-Easy/Made_Up_1", "test/ARC-Easy/Made_Up_2", "test/ARC-Easy/part-1/Made_Up_3",
    ]  # fmt: skip
    assert result.results.source.format == "folder"


def test_a_folder_and_its_archive_give_the_same_rows(tmp_path: Path, context: RunContext) -> None:
    files = {"val/law_val.csv": CEVAL_VAL, "dev/law_dev.csv": CEVAL_DEV}
    folder = tmp_path / "ceval"
    for name, content in files.items():
        write(folder / name, content)
    digests = []
    for number, names in enumerate((list(files), list(reversed(files)))):
        path = write_zip(tmp_path / f"{number}.zip", {name: files[name] for name in names})
        digests.append(imported(path, context).results.manifest.rows_sha256)
    digests.append(imported(folder, context).results.manifest.rows_sha256)
    assert len(set(digests)) == 1


def test_an_id_that_two_files_have_is_named(tmp_path: Path, context: RunContext) -> None:
    rows = [{**ARC_HUB_ROWS[0], "id": "part-1/x"}], [{**ARC_HUB_ROWS[0], "id": "x"}]
    for part in (0, 1):
        write_parquet(tmp_path / f"hub/ARC-Easy/test-0000{part}-of-00002.parquet", rows[part])
    result = imported(tmp_path / "hub", context)
    (error,) = errors_of(result)
    assert (error["code"], error["line"], error["column"]) == ("row.id_in_two_files", 1, "id")


def test_a_bad_member_costs_itself_only(tmp_path: Path, context: RunContext) -> None:
    path = write_zip(
        tmp_path / "a.zip",
        {
            "law_val.csv": CEVAL_VAL,
            "logic_val.csv": "only,two\n1,2\n",
            "marxism_val.csv": b"\xff\xfe\x00\x01" * 9,
            "empty_val.csv": b"",
        },
    )
    result = imported(path, context)
    assert result.results.num_rows == 2
    assert [(e["file"], e["code"]) for e in errors_of(result)] == [
        ("empty_val.csv", "file.empty"),
        ("logic_val.csv", "header.missing"),
        ("marxism_val.csv", "header.missing"),
    ]
    assert result.results.has_file_error
    strict = imported(path, context, policy="all_or_nothing")
    assert not strict.results.is_committed


def test_a_damaged_member_costs_itself_only(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("law_val.csv", CEVAL_VAL)
        archive.writestr("logic_val.csv", CEVAL_VAL.replace("国家", "XX"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"XX", b"YY"))  # stored, so that its CRC is wrong
    result = imported(path, context)
    assert result.results.num_rows == 2
    (error,) = errors_of(result)
    assert (error["file"], error["code"]) == ("logic_val.csv", "file.archive_damaged")


def member(name: str, **changes: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def mode(kind: int) -> int:
    return (kind | 0o644) << 16


def nested(content: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", content)
    return file.getvalue()


HOSTILE: dict[str, tuple[Callable[[], zipfile.ZipInfo], bytes, str]] = {
    "absolute": (lambda: member("/etc/a.csv"), b"x", "its name is an absolute path"),
    "drive": (lambda: member("C:/a.csv"), b"x", "its name is an absolute path"),
    "backslash": (lambda: member("\\\\host\\a.csv"), b"x", "its name is an absolute path"),
    "parent": (lambda: member("../a.csv"), b"x", "its name leads out of the archive"),
    "parent inside": (lambda: member("a/../../a.csv"), b"x", "its name leads out of the archive"),
    "parent windows": (lambda: member("a\\..\\a.csv"), b"x", "its name leads out of the archive"),
    "link": (
        lambda: member("a.csv", external_attr=mode(stat.S_IFLNK)), b"/etc/passwd",
        "it is a link or a device, not a file",
    ),
    "device": (
        lambda: member("a.csv", external_attr=mode(stat.S_IFBLK)), b"",
        "it is a link or a device, not a file",
    ),
    "pipe": (
        lambda: member("README", external_attr=mode(stat.S_IFIFO)), b"",
        "it is a link or a device, not a file",
    ),
    "zip by name": (lambda: member("a.zip"), b"x", "it is an archive or a workbook itself"),
    "workbook": (lambda: member("a.xlsx"), b"x", "it is an archive or a workbook itself"),
    "zip by content": (lambda: member("a.csv"), nested(), "it is an archive or a workbook itself"),
    "gzip by content": (
        lambda: member("a.jsonl"), b"\x1f\x8b\x08\x00", "it is an archive or a workbook itself"
    ),
    "control characters": (lambda: member("a\x1b[31m.csv"), b"x", "its name cannot be read"),
    "direction": (lambda: member("a\u202evsc.csv"), b"x", "its name cannot be read"),
    "long": (lambda: member("a" * 401 + ".csv"), b"x", "its name cannot be read"),
    "dot": (lambda: member("./."), b"x", "its name cannot be read"),
    "method": (
        lambda: member("a.csv", compress_type=zipfile.ZIP_LZMA), b"x",
        "it is packed by another method than zip's usual ones",
    ),
    "duplicate": (lambda: member("good.csv"), b"x", "two files have this name"),
    "duplicate in case": (lambda: member("GOOD.csv"), b"x", "two files have this name"),
    "duplicate by slashes": (lambda: member(".//good.csv"), b"x", "two files have this name"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_hostile_member_refuses_the_archive(case: str, is_first: bool, tmp_path: Path) -> None:
    make, content, reason = HOSTILE[case]
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        writes = [
            lambda: archive.writestr("good.csv", GOOD),
            lambda: archive.writestr(make(), content),
        ]
        for step in reversed(writes) if is_first else writes:
            step()
    assert refused(path).params["reason"] == reason
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_report_of_a_refused_archive(tmp_path: Path, context: RunContext) -> None:
    path = write_zip(tmp_path / "a.zip", {"../a.csv": GOOD, "b.csv": GOOD})
    result = imported(path, context)
    assert not result.results.is_committed
    assert (result.results.num_rows, result.results.num_rejected) == (0, 1)
    (error,) = errors_of(result)
    assert error["code"] == "file.archive_unsafe"
    assert json.loads(error["params"])["member"] == "../a.csv"


def test_encrypted_members(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": GOOD})
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 8
    content[place] |= 1
    path.write_bytes(content)
    assert refused(path).params["reason"] == "it is encrypted"


def test_overlapping_members(tmp_path: Path) -> None:
    """Two entries over the same bytes: the way small bombs are made."""
    path = write_zip(tmp_path / "a.zip", {"a.csv": GOOD, "b.csv": GOOD})
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<L", 0)
    path.write_bytes(content)
    assert refused(path).params["reason"] == "it overlaps another file"


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = write_zip(tmp_path / "many.zip", {f"{n}.csv": "" for n in range(1001)})
    assert refused(many).params == {
        "reason": "it has too many files", "count": 1001, "limit": 1000,
    }  # fmt: skip
    bomb = write_zip(tmp_path / "bomb.zip", {"a.csv": b"0" * (8 << 20)})
    assert refused(bomb).params["reason"] == "unpacked it is suspiciously larger than packed"
    spread = write_zip(tmp_path / "spread.zip", {f"{n}.csv": b"0" * (1 << 20) for n in range(9)})
    assert refused(spread).params["reason"] == "unpacked it is suspiciously larger than packed"
    noise = random.Random(1).randbytes(4 << 20)
    large = write_zip(tmp_path / "large.zip", {"a.csv": noise, "b.csv": noise})
    accepted(large)
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 3 << 20)
    assert refused(large).params["reason"] == "a file in it is too large"
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 5 << 20)
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 7 << 20)
    assert refused(large).params == {
        "reason": "unpacked it is too large", "count": "8 MiB", "limit": "7 MiB",
    }  # fmt: skip


def test_a_declared_size_is_never_exceeded(tmp_path: Path, context: RunContext) -> None:
    """The list says 10 bytes, the data are 8 MiB: not more than 10 are unpacked."""
    path = write_zip(tmp_path / "a.zip", {"a.csv": b"0" * (8 << 20)})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<L", 10)
    path.write_bytes(content)
    (error,) = errors_of(imported(path, context))
    assert error["code"] == "file.archive_damaged"


def test_a_list_of_members_of_many_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    entry = b"PK\x01\x02" + bytes(42)
    count = (archives.MAX_DIRECTORY_BYTES // len(entry)) + 1
    listed = entry * count
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(listed), 0, 0
    )
    path.write_bytes(listed + end)
    assert archives.archive_format(path) == "zip"
    # Counted, it would say how many there are.
    assert refused(path).params["count"] == "> 1000"


def test_nothing_to_read_and_the_same_role_twice(tmp_path: Path) -> None:
    error = refused(write_zip(tmp_path / "a.zip", {"README.md": "x", "a.txt": "x"}))
    assert (error.code, error.params["names"]) == ("file.archive_empty", "README.md, a.txt")
    assert refused(write_zip(tmp_path / "b.zip", {})).code == "file.archive_empty"
    error = refused(
        write_zip(tmp_path / "c.zip", {"zero_shot/1-1.json": "[]", "one_shot/1-1.json": "[]"})
    )
    assert error.code == "file.archive_same_role"
    assert set(error.params.values()) == {"zero_shot/1-1.json", "one_shot/1-1.json"}


def test_folders_are_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    write(folder / "a.csv", GOOD)
    assert [m.name for m in accepted(folder).members] == ["a.csv"]
    link = folder / "b.csv"
    link.symlink_to("/etc/passwd")
    assert refused(folder).params["reason"] == "it is a link or a device, not a file"
    link.unlink()
    os.mkfifo(folder / "pipe")
    assert refused(folder).params["reason"] == "it is a link or a device, not a file"
    (folder / "pipe").unlink()
    (folder / "loop").symlink_to(folder)
    assert refused(folder).params["reason"] == "it is a link or a device, not a file"
    (folder / "loop").unlink()
    (folder / "x.tar").write_bytes(b"")
    assert refused(folder).params["reason"] == "it is an archive or a workbook itself"


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.99])
def test_a_cut_archive_is_damaged(cut: float, tmp_path: Path, context: RunContext) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.csv": GOOD * 50, "b.csv": GOOD})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    (error,) = errors_of(imported(path, context))
    assert error["code"] == "file.archive_damaged"


@pytest.mark.slow
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())  # fmt: skip
def test_any_damage_is_a_refusal_or_a_report(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes changed anywhere in an archive never crash the reading and never write elsewhere."""
    folder = tmp_path_factory.mktemp("set")
    path = write_zip(folder / "a.zip", {"dev/a.csv": GOOD, "值/b.csv": GOOD * 20})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    scratch = folder / "scratch"
    scratch.mkdir()
    found = open_file_set(path, "multiple_choice")
    if isinstance(found, FileSet):
        for _member, unpacked in found.opened(scratch):
            assert unpacked is None or unpacked.parent == scratch
            assert len(list(scratch.iterdir())) <= 1
    assert sorted(folder.iterdir()) == [path, scratch]
    assert not list(scratch.iterdir())


def raw_zip(path: Path, names: list[bytes], *, flag: int = 0, extra: bytes = b"") -> Path:
    """An archive as other programs write it: names as bytes, one empty file for each."""
    body, listed = b"", b""
    for name in names:
        header = struct.pack("<5H3L2H", 20, flag, 0, 0, 0x21, 0, 0, 0, len(name), len(extra))
        listed += (
            b"PK\x01\x02" + struct.pack("<H", 20) + header
            + struct.pack("<3H2L", 0, 0, 0, 0, len(body)) + name + extra
        )  # fmt: skip
        body += b"PK\x03\x04" + header + name + extra
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, len(names), len(names), len(listed), len(body), 0
    )
    path.write_bytes(body + listed + end)
    return path


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return member_names(archive.infolist())


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
@pytest.mark.parametrize(
    "name", ["国有资产/财务.csv", "通.csv", "联通.csv", "val/法律_val.csv", "a.csv"]
)
def test_chinese_names_without_a_word_about_their_encoding(
    encoding: str, name: str, tmp_path: Path
) -> None:
    path = raw_zip(tmp_path / "a.zip", [name.encode(encoding), b"val/x.csv"])
    assert names_in(path) == [name, "val/x.csv"]


GBK_WORDS = st.text(
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=8
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(words=st.lists(GBK_WORDS, min_size=1, max_size=6))
def test_names_written_by_windows_in_china_are_read_right(
    words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"{word}_val.csv" for word in words]
    path = raw_zip(tmp_path_factory.mktemp("z") / "a.zip", [name.encode("gbk") for name in names])
    read = names_in(path)
    # Only names that are all valid UTF-8 by accident can be taken for it.
    assert read == names or all(is_utf8(name.encode("gbk")) for name in names)


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_a_backslash_inside_a_gbk_character_is_no_folder(tmp_path: Path) -> None:
    name = "誠.csv"  # 0xD5 0x5C
    assert b"\\" in name.encode("gbk")
    path = raw_zip(tmp_path / "a.zip", [name.encode("gbk")])
    assert [m.name for m in accepted(path).members] == [name]


def test_the_flag_and_the_extra_field_are_believed(tmp_path: Path) -> None:
    name = "审计.csv"
    assert names_in(raw_zip(tmp_path / "a.zip", [name.encode()], flag=0x800)) == [name]
    raw = "??.csv".encode("ascii")
    content = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + name.encode()
    extra = struct.pack("<HH", 0x7075, len(content)) + content
    assert names_in(raw_zip(tmp_path / "b.zip", [raw], extra=extra)) == [name]
    # Of another name it says nothing, and as a way to smuggle a path it is checked like any name.
    assert names_in(raw_zip(tmp_path / "c.zip", [b"b.csv"], extra=extra)) == ["b.csv"]
    content = b"\x01" + struct.pack("<L", zlib.crc32(raw)) + b"../../x.csv"
    extra = struct.pack("<HH", 0x7075, len(content)) + content
    path = raw_zip(tmp_path / "d.zip", [raw], extra=extra)
    assert refused(path).params["reason"] == "its name leads out of the archive"


def test_gbk_names_reach_the_version(tmp_path: Path, context: RunContext) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("WORD.csv", GOOD)
    path.write_bytes(path.read_bytes().replace(b"WORD", "财务".encode("gbk")))
    result = imported(path, context)
    (row,) = pq.read_table(result.outputs["dataset"]).to_pylist()
    assert (row["id"], json.loads(row["meta"])["subject"]) == ("财务/line-2", "财务")
