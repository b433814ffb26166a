"""What can be wrong with a row of a data file: stable codes and the words for them.

A row error travels as `code` and `params` from the process that parsed the file to the page that
shows it. The English words live here and nowhere else; the web application uses them as the message
ids of its translations, so a new code needs one entry here and one in each language's catalogue.
Params named in `row_error_phrases.PHRASE_PARAMS` hold words of that module, translated the same
way; all others are the user's own names and numbers.

Codes that begin with `file.` or `header.` concern the file as a whole: no row was read after them.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

MAX_EXCERPT_CHARS = 80


class RowErrorText(NamedTuple):
    """`str.format` templates over the error's params."""

    message: str
    hint: str


ROW_ERROR_TEXTS: Mapping[str, RowErrorText] = MappingProxyType(
    {
        # The file as a whole.
        "file.empty": RowErrorText(
            "the file holds no rows", "check that the export finished; the file has {bytes} bytes"
        ),
        "file.type": RowErrorText(
            "the content is {detected}, which cannot be read as rows",
            "give JSON Lines, a JSON array, CSV or XLSX, of documents also text, Markdown, Word "
            "(.docx) or PDF, or import several such files packed as a zip archive; the content "
            "decides, not the file name",
        ),
        "file.archive_damaged": RowErrorText(
            "the file {member} is damaged and cannot be unpacked",
            "pack the files again, as a zip archive",
        ),
        "file.archive_unsafe": RowErrorText(
            "the archive was refused before it was unpacked: {member}: {reason}",
            "pack only the data files themselves, as a zip archive without a password",
        ),
        "file.archive_limit": RowErrorText(
            "the archive was refused before it was unpacked: {reason} ({count}, at most {limit})",
            "take out what is not needed, or split it into several archives",
        ),
        "file.archive_empty": RowErrorText(
            "the archive holds no data file; it holds: {names}",
            "data files end in .csv, .tsv, .json, .jsonl, .ndjson or .parquet, documents in .txt, "
            ".md, .docx or .pdf",
        ),
        "file.archive_same_role": RowErrorText(
            "the files {member} and {other} hold the same subject and split",
            "keep one of them, or give each its own name; different settings of a benchmark are "
            "different data sets",
        ),
        "file.benchmark_kind": RowErrorText(
            "the file is {benchmark}, whose rows are of another kind",
            'choose "{expected}" as what the rows are',
        ),
        "file.xlsx_old": RowErrorText(
            "the content is an old .xls workbook or a password-protected one",
            "save it as .xlsx without a password, or as CSV UTF-8",
        ),
        "file.xlsx_macro": RowErrorText(
            "the workbook contains macros", "save it as .xlsx (without macros)"
        ),
        "file.xlsx_unsafe": RowErrorText(
            "the workbook was refused before it was unpacked: {reason}",
            "open it in a spreadsheet program and save it again as .xlsx, or as CSV UTF-8",
        ),
        "file.xlsx_damaged": RowErrorText(
            "the workbook cannot be read: {reason}",
            "open it in a spreadsheet program and save it again as .xlsx, or as CSV UTF-8",
        ),
        "file.sheet_choice": RowErrorText(
            "the workbook has several sheets with content: {sheets}", "name the sheet to read"
        ),
        "file.sheet_missing": RowErrorText(
            "the workbook has no visible sheet {sheet}", "its visible sheets are: {sheets}"
        ),
        "file.too_many_rows": RowErrorText(
            "the sheet has rows beyond {limit}, more than a workbook can hold",
            "save the workbook again in a spreadsheet program, or as CSV UTF-8",
        ),
        "file.document_kind": RowErrorText(
            "the file is {detected}, which is read as one document, not as rows",
            'choose "Documents" as what the rows are, or give a table or JSON Lines',
        ),
        "file.document_damaged": RowErrorText(
            "the document cannot be read: {reason}",
            "open it in the program that made it, and save it again, or save its text as .txt in "
            "UTF-8",
        ),
        "file.document_unsafe": RowErrorText(
            "the document was refused before it was read: {reason}",
            "open it in the program that made it, and save it again, in several files if it is "
            "large",
        ),
        "file.document_encrypted": RowErrorText(
            "the document asks for a password", "save it without a password"
        ),
        "file.word_old": RowErrorText(
            "the content is an old .doc document or a password-protected one",
            "save it as .docx without a password",
        ),
        "file.word_macro": RowErrorText(
            "the document contains macros", "save it as .docx (without macros)"
        ),
        "file.pdf_scanned": RowErrorText(
            "{count} of {pages} pages have no text: they are pictures of pages",
            "run text recognition (OCR) over it first, and check what it made",
        ),
        "file.parquet_foreign": RowErrorText(
            "the Parquet file was not written by this platform",
            "export it as JSON Lines or CSV, and upload that",
        ),
        "file.parquet_damaged": RowErrorText(
            "the Parquet file is damaged", "download the version again, and compare its SHA-256"
        ),
        "file.encoding_utf16": RowErrorText(
            "the file is UTF-16", "save it as UTF-8 (in Excel: CSV UTF-8)"
        ),
        "file.array_syntax": RowErrorText(
            "the JSON array is broken at column {char}: {reason}; the rest was not read",
            "repair the place, or write one object a line (.jsonl) so that one broken row does not "
            "hide the others",
        ),
        "file.array_rest_unread": RowErrorText(
            "the rest of the JSON array was not read, because the end of the row before is unknown",
            "repair that row, or write one object a line (.jsonl)",
        ),
        "header.missing": RowErrorText(
            "no column for {field}; the columns are: {headers}",
            "rename a column to {field}, or map one to it",
        ),
        "header.duplicate": RowErrorText(
            "the columns {headers} all mean {field}", "keep one, or map the others to `ignore`"
        ),
        "header.unknown_mapping": RowErrorText(
            "the mapping names a column {header} that the file does not have",
            "the columns are: {headers}",
        ),
        "header.row_missing": RowErrorText(
            "the file has no row {row} that could name the columns",
            "give the row on which the names of the columns stand",
        ),
        "header.unknown_position": RowErrorText(
            "the mapping names column number {position}, and the file has {count} columns",
            "give the position of a column, from 1",
        ),
        "header.too_many": RowErrorText(
            "the header has {count} columns, more than {limit}", "remove empty or unused columns"
        ),
        # Bytes and characters.
        "row.encoding": RowErrorText(
            "byte {byte} of the line is not valid {encoding}",
            "the file is damaged here or mixes encodings; export it again as UTF-8",
        ),
        "row.encoding_gb18030": RowErrorText(
            "byte {byte} of the line is not valid UTF-8; the whole file decodes as GB18030",
            "read it with `encoding: gb18030` (usual for CSV files saved by Excel)",
        ),
        "row.mojibake": RowErrorText(
            "the text contains {found}, left by a wrong conversion before this file was written",
            "export the text again from where it is still right; it cannot be recovered from here",
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
        # CSV and XLSX.
        "csv.columns": RowErrorText(
            "the row has {found} columns, the header {expected}",
            "a field that contains the delimiter or a line break must stand in double quotes",
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
            "the required field {field} is missing", "add it; see the format of this kind of data"
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
        "row.not_single_turn": RowErrorText(
            "the row has {count} turns; a test question needs one question and one answer",
            "split it, or upload it as conversations",
        ),
        "row.choices": RowErrorText(
            "there are {count} different choices; at least 2, all different, are needed",
            "complete or correct the choices",
        ),
        "row.answer_range": RowErrorText(
            "answer {value} names none of the {count} choices",
            "give the index from 0 to {last}, or the letter",
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
