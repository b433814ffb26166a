"""What was wrong with the rows of an import, by reason."""

from collections import Counter

from pipeline.contracts.import_results import RowErrorExample, RowErrorGroup
from pipeline.contracts.row_errors import RowError
from pipeline.data.version_files import storable, storable_params

NUM_FIRST_LINES = 5


class ErrorTally:
    """Counts row errors by code and keeps the first of each as its example."""

    def __init__(self) -> None:
        self._num_by_code: Counter[str] = Counter()
        self._firsts: dict[str, list[RowError]] = {}
        self._examples: dict[str, RowError] = {}

    def add(self, error: RowError) -> None:
        """One more row, or file, was rejected."""
        self._num_by_code[error.code] += 1
        self._examples.setdefault(error.code, error)
        firsts = self._firsts.setdefault(error.code, [])
        if error.line is not None and len(firsts) < NUM_FIRST_LINES:
            firsts.append(error)

    @property
    def has_file_error(self) -> bool:
        """A file was given up as a whole."""
        return any(error.is_about_file for error in self._examples.values())

    @property
    def forbids_version(self) -> bool:
        """Nothing of the import may be kept, whatever its policy."""
        return any(error.forbids_version for error in self._examples.values())

    def groups(self) -> tuple[RowErrorGroup, ...]:
        """The errors by code, most frequent first."""
        return tuple(self._group(code, count) for code, count in self._num_by_code.most_common())

    def _group(self, code: str, count: int) -> RowErrorGroup:
        example, firsts = self._examples[code], self._firsts[code]
        return RowErrorGroup(
            code=code,
            count=count,
            first_lines=tuple(error.line for error in firsts if error.line is not None),
            first_files=tuple(storable(error.file) for error in firsts if error.file is not None),
            is_about_file=example.is_about_file,
            example=RowErrorExample(
                params=storable_params(example), value_excerpt=storable(example.value_excerpt)
            ),
        )
