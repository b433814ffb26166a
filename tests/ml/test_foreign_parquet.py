"""Parquet of a hub or of another program: columns are keys, and no file asks for much memory."""

import datetime
import decimal
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.contracts.row_errors import RowError
from pipeline.data.import_sources import source_data
from pipeline.data.parquet_pages import page_sizes
from pipeline.data.readers import scan_rows
from pipeline.data.reading import Reading
from pipeline.data.records import Conversation, Document
from pipeline.data.seen_ids import SeenIds


def write(path: Path, columns: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def only_error(path: Path) -> RowError:
    (error,) = scan_rows(path, Reading(kind="corpus"))
    assert isinstance(error, RowError), error
    assert error.message
    assert error.hint
    return error


def test_columns_are_keys_and_other_columns_are_kept(tmp_path: Path) -> None:
    columns = {
        "text": ["甲", "乙"],
        "day": [datetime.date(2024, 5, 1), None],
        "price": [decimal.Decimal("12.50"), None],
        "score": [0.5, None],
        "tags": [["a", "b"], []],
        "image": [b"\x00", b"\x01"],
    }
    path = write(tmp_path / "a.parquet", columns)
    error = only_error(path)
    assert (error.code, error.column) == ("file.parquet_column", "image")
    first, second = scan_rows(path, Reading(kind="corpus", columns={"image": "ignore"}))
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.text, second.text) == ("甲", "乙")
    assert first.meta == {"day": "2024-05-01", "price": "12.50", "score": 0.5, "tags": ["a", "b"]}


def test_columns_can_be_mapped_and_a_rejected_row_is_given_back(tmp_path: Path) -> None:
    columns = {"篇": ["甲", None], "分": [float("nan"), 1.5], "图": [b"x", b"y"]}
    path = write(tmp_path / "a.parquet", columns)
    reading = Reading(kind="corpus", columns={"篇": "text", "图": "ignore"})
    data = source_data(path, name="a.parquet", reading=reading)
    assert data.columns() == [("篇", "text"), ("分", "meta.分"), ("图", "ignore")]
    (first, _), (error, original) = data.items(SeenIds())
    assert isinstance(first, Document)
    assert (first.text, first.meta) == ("甲", {"分": None})
    assert isinstance(error, RowError)
    assert (error.code, error.line) == ("row.required_empty", 2)
    assert original.text == '{"篇": null, "分": 1.5}'


def test_conversations_of_a_hub_are_read(tmp_path: Path) -> None:
    turns = [
        {"content": "几年？", "role": "user", "note": None},
        {"content": "三年。", "role": "assistant", "note": None},
    ]
    path = write(tmp_path / "a.parquet", {"messages": [turns] * 3, "n": [1, 2, 3]})
    rows = list(scan_rows(path, Reading(kind="conversations")))
    assert [type(row) for row in rows] == [Conversation] * 3
    assert [turn.content for turn in rows[0].messages] == ["几年？", "三年。"]  # type: ignore[union-attr]


def test_a_value_that_stands_in_many_rows_is_held_once(tmp_path: Path) -> None:
    text = "国有资产" * 250_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3_000, pa.int32()), [text])
    path = write(tmp_path / "a.parquet", {"text": column}, dictionary_pagesize_limit=1 << 26)
    assert path.stat().st_size < 200_000
    tracemalloc.start()
    errors = [row for row in scan_rows(path, Reading(kind="corpus")) if isinstance(row, RowError)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [error.params["reason"] for error in errors] == [
        "unpacked it would be far larger than a table"
    ]
    assert peak < 120 << 20


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"text": ["0" * (70 << 20)]}, {"use_dictionary": False}),
        ({"text": ["0" * (2 << 20) + str(n) for n in range(40)]}, {"use_dictionary": False}),
        ({"text": pa.nulls(3_000_000, pa.string())}, {}),
        ({"text": ["x"], "n": [[1] * 5_000_000]}, {"data_page_size": 1 << 30}),
    ],
)
def test_a_file_that_would_unpack_to_much_is_refused_before(
    columns: dict[str, object], options: dict[str, object], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.parquet", columns, compression="zstd", **options)
    assert only_error(path).code == "file.parquet_unsafe"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_sizes_of_pages_are_those_that_the_file_has(
    version: str, use_dictionary: bool, tmp_path: Path
) -> None:
    columns = {"text": [f"{'甲' * (n % 50)}{n}" for n in range(5_000)], "n": list(range(5_000))}
    path = write(
        tmp_path / "a.parquet", columns, data_page_version=version, use_dictionary=use_dictionary,
        row_group_size=2_000, data_page_size=4_096, compression="none", write_page_index=True,
    )  # fmt: skip
    metadata = pq.read_metadata(path)
    with path.open("rb") as file:
        sizes = page_sizes(file, metadata)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    whole = sum(chunk.total_uncompressed_size for chunk in chunks)
    assert 0.9 * whole < sizes.total_bytes < whole  # without the headers themselves
    assert 0 < sizes.most_values <= 2_000


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_changed_anywhere_never_crash_the_reading(
    data: st.DataObject, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["甲乙丙"] * 50, "n": list(range(50))})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for _row in scan_rows(path, Reading(kind="corpus")):
        pass
