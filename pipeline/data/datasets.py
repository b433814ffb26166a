"""A data set a spec names, read whole: every row valid and of the kind a recipe can use."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

from pipeline.contracts.references import DatasetRef, RowFilter
from pipeline.contracts.row_errors import RowError
from pipeline.data.benchmarks.recognition import SPLIT_KEY
from pipeline.data.benchmarks.scoring import scored_rows
from pipeline.data.encodings import UTF8_BOM
from pipeline.data.readers import numbered_rows
from pipeline.data.reading import Reading
from pipeline.data.records import RECORD_TYPES, Record
from pipeline.errors import DataError

_NUM_LISTED_ERRORS = 5

RowT = TypeVar("RowT", bound=Record)
OtherRowT = TypeVar("OtherRowT", bound=Record)


@overload
def read_rows(ref: DatasetRef, wanted: type[RowT], *, to_be_scored: bool = False) -> list[RowT]: ...
@overload
def read_rows(
    ref: DatasetRef, wanted: tuple[type[RowT], type[OtherRowT]], *, to_be_scored: bool = False
) -> list[RowT | OtherRowT]: ...
def read_rows(
    ref: DatasetRef, wanted: type[RowT] | tuple[type[RowT], ...], *, to_be_scored: bool = False
) -> list[RowT]:
    """All rows the reference names: the file is valid as a whole, filtered and thinned out.

    `limit` takes rows spread evenly over the filtered file, so a file sorted by topic stays
    balanced; the choice depends on nothing but the file and the limit.

    Args:
        ref: The file, its kind, and which of its rows to use.
        wanted: The record type, or the two, that the caller can use.
        to_be_scored: A benchmark's few-shot and training rows are left out
            (`benchmarks.scoring`), unless the reference filters by split itself.

    Raises:
        DataError: `data.not_found`, `data.digest_mismatch`, `data.encoding`, `data.json_syntax`,
            `data.row_invalid`, `data.format_unsupported` or `data.empty`; `data.wrong_kind` for a
            row of a kind that is not wanted.
    """
    path = Path(ref.resolved_path)
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise DataError("data.not_found", f"{path} {what}; give the path of a data file")
    if ref.digest is not None:
        found = dataset_digest(path)
        if found != ref.digest:
            raise DataError(
                "data.digest_mismatch",
                f"{path} has SHA-256 {found}, expected {ref.digest}: the file has changed since "
                "the run was described; restore it, or describe the run again",
            )
    records: list[RowT] = []
    errors: list[RowError] = []
    for item in numbered_rows(path, Reading(kind=ref.kind, encoding=ref.encoding)):
        if isinstance(item, RowError):
            errors.append(item)
            continue
        line, record = item
        if not isinstance(record, wanted):
            raise _wrong_kind(path, line, ref.kind, wanted)
        records.append(record)
    if errors:
        _raise_errors(path, errors, num_valid=len(records))
    if not records:
        raise DataError("data.empty", f"{path} holds no rows")
    kept = [record for record in records if all(_matches(record, rule) for rule in ref.where)]
    if not kept:
        filters = ", ".join(
            f"{rule.field} {'in' if rule.keep else 'not in'} {list(rule.values)}"
            for rule in ref.where
        )
        raise DataError(
            "data.empty",
            f"{path} holds {len(records)} rows, but none passes the filter ({filters}); values are "
            'compared with their type, so the number 1 is not the text "1"',
        )
    if to_be_scored and all(rule.field != f"meta.{SPLIT_KEY}" for rule in ref.where):
        examples, kept = kept, scored_rows(kept)
        if not kept:
            raise DataError(
                "data.empty",
                f"{path} holds {len(examples)} rows, all of them few-shot examples or training "
                "rows of a benchmark; use its test or validation rows",
            )
    if ref.limit is not None and ref.limit < len(kept):
        kept = [kept[index * len(kept) // ref.limit] for index in range(ref.limit)]
    return kept


def _wrong_kind(
    path: Path, line: int, found: str, wanted: type[object] | tuple[type[object], ...]
) -> DataError:
    types = wanted if isinstance(wanted, tuple) else (wanted,)
    kinds = " or ".join(kind for kind, record_type in RECORD_TYPES.items() if record_type in types)
    return DataError(
        "data.wrong_kind",
        f"{path}:{line}: a row of kind {found}, where rows of kind {kinds} are wanted; "
        "choose a data set of that kind",
    )


def _raise_errors(path: Path, errors: Sequence[RowError], *, num_valid: int) -> NoReturn:
    first = next((error for error in errors if error.forbids_version), errors[0])
    place = f"{path}" if first.line is None else f"{path}:{first.line}"
    if first.code == "file.empty":
        raise DataError("data.empty", f"{path}: {first.message}; {first.hint}")
    if first.code.startswith(("row.encoding", "file.encoding")):
        raise DataError("data.encoding", _encoding_message(path, first))
    if first.is_about_file and not first.code.startswith(("header.", "file.array")):
        raise DataError("data.format_unsupported", f"{path}: {first.message}; {first.hint}")
    if first.code in {"json.syntax", "file.array_syntax"}:
        raise DataError(
            "data.json_syntax",
            f"{place}:{first.params['char']}: {first.message}; {first.hint}"
            + (f" (and {len(errors) - 1} more rows)" if len(errors) > 1 else ""),
        )
    lines = [
        f"  {path.name}:{error.line}: {error.message}; {error.hint} [{error.code}]"
        for error in errors[:_NUM_LISTED_ERRORS]
    ]
    if len(errors) > _NUM_LISTED_ERRORS:
        lines.append(f"  and {len(errors) - _NUM_LISTED_ERRORS} more")
    raise DataError(
        "data.row_invalid",
        f"{path}: {len(errors)} of {len(errors) + num_valid} rows are invalid:\n"
        + "\n".join(lines),
    )


def _encoding_message(path: Path, error: RowError) -> str:
    if error.code == "row.encoding_in_row":
        return f"{path}:{error.line}: {error.message}; {error.hint}"
    if "byte" not in error.params:
        return f"{path}: {error.message}; {error.hint}"
    with path.open("rb") as file:
        line_start = sum(len(next(file)) for _ in range((error.line or 1) - 1))
        bom = len(UTF8_BOM) if line_start == 0 and file.read(3) == UTF8_BOM else 0
    offset = line_start + bom + int(error.params["byte"]) - 1
    return f"{path}:{error.line}: byte offset {offset}: {error.message}; {error.hint}"


def _matches(record: Record, rule: RowFilter) -> bool:
    value: Any = record
    for name in rule.field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    # 1 == True in Python; a filter on the number 1 must not keep the value true.
    found = any(type(value) is type(wanted) and value == wanted for wanted in rule.values)
    return found == rule.keep


def dataset_digest(path: Path) -> str:
    """SHA-256 of the file's bytes, lower-case hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
