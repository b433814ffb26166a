"""The rows of a version that is made of another one, one after the other.

The base's rows come in their order; behind them what is appended, then what is added. An id that
was generated for a row without one says nothing, so it is made anew where it is taken; any other id
that is taken is dealt with as the spec says.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.contracts.dataset_revisions import (
    AddRow,
    ChangeProblem,
    DeleteRow,
    MapValue,
    ReplaceRow,
    ReviseDatasetSpec,
    TrimTexts,
)
from pipeline.contracts.row_errors import excerpt
from pipeline.data.records import Record
from pipeline.data.row_changes import added, fixed, replaced
from pipeline.data.row_fields import InvalidRowError
from pipeline.data.stored_ids import NO_IDS, generated_number, stored_ids
from pipeline.data.stored_rows import stored_rows
from pipeline.data.version_files import storable

MAX_PROBLEMS = 100


class Revision:
    """Goes through the rows once, counts what becomes of them, and collects what is wrong."""

    def __init__(self, spec: ReviseDatasetSpec, base: Path, appended: Path | None) -> None:
        self.problems: list[ChangeProblem] = []
        self.num_problems = 0
        self.counts = dict.fromkeys(
            ("num_kept", "num_changed", "num_deleted", "num_replaced", "num_added", "num_skipped"),
            0,
        )
        self.num_rows = sum(
            pq.read_metadata(path).num_rows for path in (base, appended) if path is not None
        )
        self._kind = spec.base.kind
        self._same_id = spec.same_id
        self._base, self._appended = spec.base, spec.append
        self._by_id = {
            change.id: (index, change)
            for index, change in enumerate(spec.changes)
            if isinstance(change, ReplaceRow | DeleteRow)
        }
        self._fixes = [
            change for change in spec.changes if isinstance(change, TrimTexts | MapValue)
        ]
        self._additions = [
            (index, change)
            for index, change in enumerate(spec.changes)
            if isinstance(change, AddRow)
        ]
        self._base_ids = stored_ids(base)
        self._appended_ids = NO_IDS if appended is None else stored_ids(appended)
        self._added_ids: set[str] = set()
        self._first_number = max(self._base_ids.highest, self._appended_ids.highest) + 1
        self._next_number = self._first_number
        """For ids that are made anew."""

    def rows(self) -> Iterator[Record]:
        """Every row of the new version; complete only if there were no problems."""
        found: set[str] = set()
        for record in stored_rows(self._base):
            if record.id in self._by_id:
                found.add(record.id)
            kept = self._revised(record)
            if kept is not None:
                yield kept
        for identifier, (index, _change) in self._by_id.items():
            if identifier not in found:
                self._report(
                    InvalidRowError("row.not_in_version", id=identifier), identifier, index
                )
        if self._appended is not None:
            for record in stored_rows(self._appended):
                yield from self._behind(record, None)
        for index, addition in self._additions:
            try:
                record = added(addition, self._kind)
            except InvalidRowError as error:
                self._report(error, "", index)
            else:
                yield from self._behind(record, index)

    def _revised(self, record: Record) -> Record | None:
        """What stands in the place of a row of the base."""
        index, change = self._by_id.get(record.id, (None, None))
        if isinstance(change, DeleteRow):
            self.counts["num_deleted"] += 1
            return None
        if (
            self._same_id == "replace"
            and generated_number(record.id) is None
            and record.id in self._appended_ids
        ):
            self.counts["num_replaced"] += 1
            return None
        try:
            now = replaced(change, self._kind) if change is not None else record
            now = fixed(now, self._fixes, self._kind) if self._fixes else now
        except InvalidRowError as error:
            self._report(error, record.id, index)
            return None
        self.counts["num_kept" if now == record else "num_changed"] += 1
        return record if now == record else now

    def _behind(self, record: Record, index: int | None) -> Iterator[Record]:
        """A row that is appended or added, under an id of its own."""
        is_in_base = record.id in self._base_ids and not self._is_deleted(record.id)
        is_taken = index is not None and self._is_behind_base(record.id)
        if (is_in_base or is_taken) and generated_number(record.id) is not None:
            record = replace(record, id=f"line-{self._next_number}")
            self._next_number += 1
            is_in_base = is_taken = False
        if is_taken or (is_in_base and self._same_id == "refuse"):
            self._report(InvalidRowError("row.id_in_version", "id", id=record.id), record.id, index)
            return
        if is_in_base and self._same_id == "skip":
            self.counts["num_skipped"] += 1
            return
        try:
            record = fixed(record, self._fixes, self._kind) if self._fixes else record
        except InvalidRowError as error:
            self._report(error, record.id, index)
            return
        if index is not None:
            self._added_ids.add(record.id)
        self.counts["num_added"] += 1
        yield record

    def _is_deleted(self, identifier: str) -> bool:
        _index, change = self._by_id.get(identifier, (None, None))
        return isinstance(change, DeleteRow)

    def _is_behind_base(self, identifier: str) -> bool:
        """A row that was appended or added before has the id."""
        number = generated_number(identifier) or 0
        return (
            identifier in self._added_ids
            or identifier in self._appended_ids
            or self._first_number <= number < self._next_number
        )

    def _report(self, error: InvalidRowError, identifier: str, index: int | None) -> None:
        self.num_problems += 1
        if len(self.problems) < MAX_PROBLEMS:
            told = error.at_line(1)
            self.problems.append(
                ChangeProblem(
                    change=index,
                    id=storable(identifier)[:200],
                    code=told.code,
                    column=storable(told.column or ""),
                    params={
                        name: storable(value) if isinstance(value, str) else value
                        for name, value in told.params.items()
                    },
                    value_excerpt=excerpt(told.value_excerpt),
                )
            )
