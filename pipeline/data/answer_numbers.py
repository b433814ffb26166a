"""Whether the answers of a file, where they are numbers, count from 0 or from 1."""

from collections.abc import Mapping
from typing import Any

from pipeline.contracts.row_errors import RowError
from pipeline.data.choice_answers import is_number

FEWEST_ANSWERS = 2
NUM_FIRST_LINES = 5


class AnswerNumbers:
    """Looks at the answers of all rows of a file of which nobody said how it counts."""

    def __init__(self) -> None:
        self._num_answers = 0
        self._has_zero = False
        self._lines_beyond: list[int] = []
        """First lines whose number is that of the choices: the last one, counted from 1."""

    def see(self, row: Mapping[str, Any], num_choices: int, line: int) -> None:
        """One more row, valid or with an answer out of range."""
        answer = row.get("answer")
        if not is_number(answer):
            return
        self._num_answers += 1
        number = int(str(answer))
        self._has_zero = self._has_zero or number == 0
        if number == num_choices and len(self._lines_beyond) < NUM_FIRST_LINES:
            self._lines_beyond.append(line)

    def errors(self) -> list[RowError]:
        """A question to the person, where no answer is 0 and some are the number of choices."""
        if self._has_zero or not self._lines_beyond or self._num_answers < FEWEST_ANSWERS:
            return []
        return [
            RowError(
                code="file.layout_answer_numbers",
                line=self._lines_beyond[0],
                params={
                    "count": self._num_answers,
                    "lines": ", ".join(map(str, self._lines_beyond)),
                },
            )
        ]
