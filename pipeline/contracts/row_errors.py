"""What can be wrong with a row of a data file: stable codes and the words for them.

A row error travels as `code` and `params` from the process that parsed the file to the page that
shows it. The English words live here, those of files in `file_error_texts`, and nowhere else; the
web application uses them as the message ids of its translations, so a new code needs one entry
here and one in each language's catalogue.
Params named in `row_error_phrases.PHRASE_PARAMS` hold words of that module, translated the same
way; all others are the user's own names and numbers.

Codes that begin with `file.` or `header.` concern the file as a whole: no row was read after them.
Those that begin with `file.layout_` come after the last row, and nothing of the import is kept.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.contracts.file_error_texts import FILE_ERROR_TEXTS
from pipeline.contracts.row_error_text import RowErrorText

MAX_EXCERPT_CHARS = 80


ROW_ERROR_TEXTS: Mapping[str, RowErrorText] = MappingProxyType(
    {
        **FILE_ERROR_TEXTS,
        # Bytes and characters.
        "row.encoding": RowErrorText(
            "byte {byte} of the line is not valid {encoding}",
            "the file is damaged here or mixes encodings; export it again as UTF-8",
        ),
        "row.encoding_gb18030": RowErrorText(
            "byte {byte} of the line is not valid UTF-8; the whole file decodes as GB18030",
            "read it with `encoding: gb18030` (usual for CSV files saved by Excel)",
        ),
        "row.encoding_in_row": RowErrorText(
            "byte {byte} of the row is not valid {encoding}",
            "the file is damaged here or mixes encodings; export it again as UTF-8",
        ),
        "row.encoding_mixed": RowErrorText(
            "the line is UTF-8 in a file that is read as GB18030",
            "the file mixes encodings; export it again as UTF-8",
        ),
        "row.mojibake": RowErrorText(
            "the text contains {found}, left by a wrong conversion before this file was written",
            "export the text again from where it is still right, it cannot be recovered from here; "
            "if the text is about such signs, accept it",
        ),
        "row.nul_character": RowErrorText(
            "the text contains the NUL character (U+0000)", "remove it; databases refuse it"
        ),
        "row.lone_surrogate": RowErrorText(
            "the text contains half of a character ({found})",
            "write the whole character; a \\ud8xx escape needs its \\udcxx partner",
        ),
        "row.too_long": RowErrorText(
            "the row is longer than {limit_mib} MiB", "split it into several rows"
        ),
        # JSON.
        "json.syntax": RowErrorText(
            "column {char}: {reason}", "each line must be one complete JSON object"
        ),
        "json.not_object": RowErrorText(
            "the row is {found}, not an object",
            'each row must be an object such as {{"id": "a1", ...}}',
        ),
        "json.duplicate_key": RowErrorText(
            "the key {key} appears twice in one object",
            "keep one; programs differ in which of the two they would read",
        ),
        "json.number": RowErrorText(
            "{value} is not a number that can be stored",
            "write a finite number of at most 18 digits, or a string",
        ),
        "json.too_deep": RowErrorText(
            "the row is nested deeper than {limit} levels", "flatten it, or store it as a string"
        ),
        "json.too_many_values": RowErrorText(
            "the row holds more than {limit} values", "make several rows of it"
        ),
        # CSV and XLSX.
        "csv.columns": RowErrorText(
            "the row has {found} columns, the header {expected}",
            "a field that contains the delimiter or a line break must stand in double quotes",
        ),
        "csv.header_again": RowErrorText(
            "the row repeats the names of the columns",
            "remove it; files that were put together have one for each file",
        ),
        "csv.quote": RowErrorText(
            "a double quote is not closed or stands inside a field ({lines} lines were taken as "
            "one row)",
            "close the quote; write a quote inside a quoted field twice",
        ),
        "xlsx.formula": RowErrorText(
            "cell {cell} is a formula without a stored value",
            "open and save the workbook in a spreadsheet program, or paste the column as values",
        ),
        "xlsx.error_value": RowErrorText(
            "cell {cell} holds the error {value}", "repair the formula or the value"
        ),
        # Fields.
        "row.field_missing": RowErrorText(
            "the required field {field} is missing",
            "add it, or say which column or key means it; see the format of this kind of data",
        ),
        "row.required_empty": RowErrorText("{field} is empty", "fill it in, or remove the row"),
        "row.type": RowErrorText(
            "{field} is {found}, expected {expected}", "write it as {expected}"
        ),
        "row.enum": RowErrorText(
            "{field} is {value}, not one of {allowed}",
            "use one of them exactly; spaces and capital letters count",
        ),
        "row.id_duplicate": RowErrorText(
            "the id {id} was already used on line {first_line}", "give each row its own id"
        ),
        "row.not_in_version": RowErrorText(
            "the version has no row with the id {id}",
            "take the change back; the row belongs to another version",
        ),
        "row.id_in_version": RowErrorText(
            "the version has a row with the id {id} already",
            "give the row another id, replace the one that is there, or leave the new one out",
        ),
        "row.layout": RowErrorText(
            "no known layout has the fields {fields}", "this kind of data needs {expected}"
        ),
        "row.turn_order": RowErrorText(
            "turn {turn} is by {role}, expected {expected}",
            "after an optional system turn, user and assistant must alternate, user first",
        ),
        "row.last_turn": RowErrorText(
            "the last turn is by {role}, so there is no answer to learn",
            "end the conversation with an assistant turn",
        ),
        "row.nothing_trained": RowErrorText(
            "every answer of the row has weight 0, so there is nothing to learn",
            "give an answer the weight 1, or remove the row",
        ),
        "row.turn_weight": RowErrorText(
            "{field} is {value}; a turn is trained on (1) or not (0)", "write 0 or 1"
        ),
        "row.content_part": RowErrorText(
            "the part of the turn is {value}, not plain text", "write the turn as text"
        ),
        "row.choices": RowErrorText(
            "there are {count} different choices; at least 2, all different, are needed",
            "complete or correct the choices",
        ),
        "row.answer_range": RowErrorText(
            "answer {value} names none of the {count} choices",
            "give a number from {first} to {last}, the letter, or the text of a choice",
        ),
        "row.answer_ambiguous": RowErrorText(
            "answer {value} can be read as the place of a choice and as the text of another",
            "give the letter in brackets, such as (B), several letters with commas between them",
        ),
        "row.choices_cell": RowErrorText(
            "the choices stand in one cell and cannot be told apart",
            "begin each with its letter (A. B. C.), write each on a line of its own, or give each a"
            " column",
        ),
        # Rows of benchmarks.
        "row.id_in_two_files": RowErrorText(
            "another file has a row with the id {id}", "give each row its own id"
        ),
        "row.answer_withheld": RowErrorText(
            "the row has no answer, so nothing can be scored ({benchmark} publishes some splits "
            "without answers)",
            "leave it out, or take the split that has answers",
        ),
        "row.answer_label": RowErrorText(
            "answer {value} is none of the labels {labels}",
            "give the label of the right choice",
        ),
        "row.several_answers": RowErrorText(
            "{count} choices are right; only questions with one right choice can be scored",
            "leave the row out",
        ),
        "row.no_choices": RowErrorText(
            "the question has no choices; its answer is free text",
            "import the file as questions and answers, too",
        ),
        "row.has_choices": RowErrorText(
            "the question has choices; its answer is one of them",
            "import the file as multiple choice, too",
        ),
        "row.no_final_number": RowErrorText(
            "the answer does not end with #### and a number",
            "write the number that is compared after #### on a line of its own",
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """Why one row, or the file (codes `file.*`, `header.*`), was rejected."""

    code: str
    line: int | None = None
    """Line of the file where the row begins, from 1; for a workbook the row of the sheet."""
    column: str | None = None
    """Field name, such as `output` or `messages.2.content`; None when the whole row is meant."""
    params: Mapping[str, str | int] = field(default_factory=dict)
    value_excerpt: str = ""
    """The value seen, at most 80 characters, escaped to printable characters."""
    file: str | None = None
    """Which file, where several came as one."""

    @property
    def is_about_file(self) -> bool:
        """The file as a whole was rejected and no further row follows."""
        return self.code.startswith(("file.", "header."))

    @property
    def forbids_version(self) -> bool:
        """Rows that were read before it must not be kept either."""
        return self.code.startswith("file.layout_")

    @property
    def template_params(self) -> dict[str, str | int]:
        """What the templates are filled with: the params and the value seen."""
        return {**self.params, "value": self.value_excerpt}

    @property
    def message(self) -> str:
        """What was wrong, in English."""
        return ROW_ERROR_TEXTS[self.code].message.format_map(self.template_params)

    @property
    def hint(self) -> str:
        """What to do, in English."""
        return ROW_ERROR_TEXTS[self.code].hint.format_map(self.template_params)


def excerpt(value: object) -> str:
    """`value` as at most 80 printable characters, safe for logs and pages.

    Only the beginning is looked at, so a value of many megabytes costs nothing.
    """
    text = value[: MAX_EXCERPT_CHARS + 1] if isinstance(value, str) else reprlib.repr(value)
    printable = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    if len(printable) > MAX_EXCERPT_CHARS:
        return printable[: MAX_EXCERPT_CHARS - 3] + "..."
    return printable
