"""Words that fill the templates of row errors and are translated as the templates are."""

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.contracts.references import DatasetKind

JSON_SYNTAX_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "Expecting ',' delimiter": "a comma is missing",
        "Expecting ':' delimiter": "a colon is missing after the key",
        "Expecting property name enclosed in double quotes": "a key in double quotes is missing",
        "Expecting value": "a value is missing",
        "Unterminated string starting at": "the string that begins here is not closed",
        "Invalid control character at": "a line break, tab or control character is not escaped",
        "Invalid \\escape": "the backslash escape is not valid",
        "Invalid \\uXXXX escape": "the \\u escape needs four hexadecimal digits",
        "Extra data": "something follows the end of the object",
    }
)
"""The standard library's JSON messages, in words an expert can act upon."""

VALUE_TYPE_NAMES: Mapping[type, str] = MappingProxyType(
    {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true/false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
)
"""What a person calls a JSON type."""

FILE_TYPE_NAMES: tuple[str, ...] = (
    "plain text",
    "a Markdown text",
    "a PDF document",
    "a rich text document",
    "a gzip archive",
    "a zip archive",
    "a tar archive",
    "a Word document",
    "a web page or XML",
    "an image",
    "a database",
    "a model file",
    "binary data",
)

ANSWER_TYPE = "an index from 0 or a letter"
LABEL_TYPE = "a letter or a list of letters"
EXCHANGE_TYPE = "a list of a question and an answer"
CONVERSATION_FIELDS = "messages, conversations, or instruction and output"
UNSAFE_ENTITIES = "it declares XML entities"
UNSAFE_SIZE = "unpacked it would be far larger than a table"
UNSAFE_OVERLAP = "its parts overlap"
UNSAFE_ENCRYPTED = "its parts are encrypted"
DAMAGED_WORKBOOK = "its parts are damaged or missing"
DOCUMENT_DAMAGED = DAMAGED_WORKBOOK
DOCUMENT_TRUNCATED = "its end is missing"
DOCUMENT_GARBLED = "its fonts do not say which characters they show"
DOCUMENT_ENTITIES = UNSAFE_ENTITIES
DOCUMENT_OVERLAP = UNSAFE_OVERLAP
DOCUMENT_TOO_LARGE = "unpacked it would be far larger than a document"
DOCUMENT_PAGES = "it has too many pages"
DOCUMENT_WORK = "reading it would take more time or memory than a document may"
PARQUET_PAGE = "a page of it is too large"
PARQUET_ROWS = "it has far more rows than a file of its size can hold"
PARQUET_TEXT = UNSAFE_SIZE
INFO_PREFERENCE = "its rows are preferences between answers"
INFO_TOOLS = "its rows call tools"
INFO_MEDIA = "its rows have pictures, sound or video"
INFO_FORMATTING = "its formatting is none of alpaca, sharegpt and openai"
ARCHIVE_ABSOLUTE = "its name is an absolute path"
ARCHIVE_PARENT = "its name leads out of the archive"
ARCHIVE_UNREADABLE_NAME = "its name cannot be read"
ARCHIVE_SPECIAL = "it is a link or a device, not a file"
ARCHIVE_ENCRYPTED = "it is encrypted"
ARCHIVE_METHOD = "it is packed by another method than zip's usual ones"
ARCHIVE_OVERLAP = "it overlaps another file"
ARCHIVE_DUPLICATE = "two files have this name"
ARCHIVE_NESTED = "it is an archive or a workbook itself"
LIMIT_MEMBERS = "it has too many files"
LIMIT_MEMBER_BYTES = "a file in it is too large"
LIMIT_UNPACKED_BYTES = "unpacked it is too large"
LIMIT_RATIO = "unpacked it is suspiciously larger than packed"
KIND_NAMES: Mapping[DatasetKind, str] = MappingProxyType(
    {
        "corpus": "Documents",
        "conversations": "Conversations",
        "domain_test": "Questions and answers",
        "multiple_choice": "Multiple choice",
    }
)
"""What a person calls a kind of data set; the platform's pages use the same words."""

PHRASE_PARAMS = frozenset({"reason", "found", "expected", "detected"})
ROW_ERROR_PHRASES: tuple[str, ...] = (
    *JSON_SYNTAX_REASONS.values(),
    *dict.fromkeys(VALUE_TYPE_NAMES.values()),
    *FILE_TYPE_NAMES,
    ANSWER_TYPE,
    LABEL_TYPE,
    EXCHANGE_TYPE,
    CONVERSATION_FIELDS,
    UNSAFE_ENTITIES,
    UNSAFE_SIZE,
    UNSAFE_OVERLAP,
    UNSAFE_ENCRYPTED,
    DAMAGED_WORKBOOK,
    DOCUMENT_TRUNCATED,
    DOCUMENT_GARBLED,
    DOCUMENT_TOO_LARGE,
    DOCUMENT_PAGES,
    DOCUMENT_WORK,
    PARQUET_PAGE,
    PARQUET_ROWS,
    INFO_PREFERENCE,
    INFO_TOOLS,
    INFO_MEDIA,
    INFO_FORMATTING,
    ARCHIVE_ABSOLUTE,
    ARCHIVE_PARENT,
    ARCHIVE_UNREADABLE_NAME,
    ARCHIVE_SPECIAL,
    ARCHIVE_ENCRYPTED,
    ARCHIVE_METHOD,
    ARCHIVE_OVERLAP,
    ARCHIVE_DUPLICATE,
    ARCHIVE_NESTED,
    LIMIT_MEMBERS,
    LIMIT_MEMBER_BYTES,
    LIMIT_UNPACKED_BYTES,
    LIMIT_RATIO,
    *KIND_NAMES.values(),
)
