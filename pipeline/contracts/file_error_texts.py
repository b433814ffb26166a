"""Words for what is wrong with a data file as a whole: the codes `file.*` and `header.*`.

`row_errors.ROW_ERROR_TEXTS` has them with those of single rows.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.contracts.row_error_text import RowErrorText

FILE_ERROR_TEXTS: Mapping[str, RowErrorText] = MappingProxyType(
    {
        "file.empty": RowErrorText(
            "the file holds no rows",
            "check that the export finished: there is no row but, at most, one that names columns; "
            "the file has {bytes} bytes",
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
            "the workbook has no sheet {sheet}", "its sheets are: {sheets}"
        ),
        "file.sheet_hidden": RowErrorText(
            "all sheets with content are hidden: {sheets}",
            "show the sheet in a spreadsheet program, or name it here",
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
        "file.too_many_cells": RowErrorText(
            "the sheet has more than {limit} cells",
            "save it as CSV UTF-8, or split it into several workbooks",
        ),
        "file.parquet_column": RowErrorText(
            "the column {column} of the Parquet file holds {type}, which is no text or number",
            "map the column to `ignore`, or export the file as JSON Lines",
        ),
        "file.parquet_unsafe": RowErrorText(
            "the Parquet file was refused before it was unpacked: {reason}",
            "write it again in smaller row groups, or export it as JSON Lines",
        ),
        "file.parquet_damaged": RowErrorText(
            "the Parquet file is damaged", "download it again, and compare its SHA-256"
        ),
        "file.encoding_utf16": RowErrorText(
            "the file is UTF-16",
            "choose UTF-16 as its encoding, or save it as UTF-8 (in Excel: CSV UTF-8)",
        ),
        "file.encoding_probably": RowErrorText(
            "the text is probably {encoding}, so nothing was read",
            "choose that encoding if its preview is right, or save the file as UTF-8",
        ),
        "file.encoding_unknown": RowErrorText(
            "the encoding of the text cannot be told, so nothing was read",
            "choose the encoding whose preview is right, or save the file as UTF-8",
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
        "file.json_nested": RowErrorText(
            "the file is one object that holds objects under the keys {keys}, not a list of rows",
            "write the rows as a list, or one object a line (.jsonl)",
        ),
        "file.json_not_objects": RowErrorText(
            "the rows are {found}, not objects, so nothing says which value is which field",
            "write each row as an object with the names of its fields",
        ),
        "file.info_damaged": RowErrorText(
            "the file {member} is no JSON object that describes data sets",
            "repair it, or take it out: the files beside it are then read by their own names",
        ),
        "file.info_layout": RowErrorText(
            "the entry {entry} of dataset_info.json is not read: {reason}",
            "take out the entry and its file, or give rows that can be trained on",
        ),
        "file.dataset_info": RowErrorText(
            "the file is LLaMA-Factory's dataset_info.json, a list of data sets without their rows",
            "import the data files it names, or pack it with them as a zip archive",
        ),
        # The file as a whole, told behind its last row.
        "file.layout_several_lists": RowErrorText(
            "the object holds several lists of rows: {keys}",
            "write each list to a file of its own, and import the one that is wanted",
        ),
        "file.layout_preference": RowErrorText(
            "{count} rows hold preference data (DPO, KTO: better and worse answers), first on line "
            "{lines}; it is not trained on, so nothing of the file was taken",
            "import the good answers alone, as conversations; a column that only looks like it can "
            "be given another name or be left out",
        ),
        "file.layout_tools": RowErrorText(
            "{count} rows call tools, first on line {lines}; they are not trained on, and the other"
            " rows would be a biased part, so nothing of the file was taken",
            "import conversations that were held without tools",
        ),
        "file.layout_media": RowErrorText(
            "{count} rows hold pictures, sound or video, first on line {lines}; they are not "
            "trained on, so nothing of the file was taken",
            "import conversations that are text alone",
        ),
        "file.layout_answer_numbers": RowErrorText(
            "{count} answers are numbers and none is 0, but some are the number of choices (first "
            "on line {lines}), so they seem to count from 1",
            "say whether answers count from 0 or from 1, or write letters",
        ),
        "header.missing": RowErrorText(
            "no column for {field}; the columns are: {headers}",
            "rename a column to {field}, or map one to it",
        ),
        "header.preference": RowErrorText(
            "the columns {headers} are preference data (DPO: better and worse answers), which is "
            "not trained on",
            "import the good answers alone, as conversations: map their column to output",
        ),
        "header.duplicate": RowErrorText(
            "the columns {headers} all mean {field}", "keep one, or map the others to `ignore`"
        ),
        "header.unknown_mapping": RowErrorText(
            "the mapping names a column {header} that the file does not have",
            "the columns are: {headers}",
        ),
        "header.unreadable": RowErrorText(
            "the row that should name the columns cannot be read, so none below it was",
            "repair that row, or say which row names the columns",
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
    }
)
