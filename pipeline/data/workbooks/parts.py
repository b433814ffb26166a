"""The XML parts of a workbook: read as a stream, without entities, no piece held for long."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO
from xml.parsers import expat
from zipfile import BadZipFile

StartHandler = Callable[[str, Mapping[str, str]], None]
EndHandler = Callable[[str], None]
_CHUNK_BYTES = 1 << 16
MAX_TAG_BYTES = 4 << 20
"""A tag, comment or attribute that is longer would be held in memory whole."""
MAX_DEPTH = 64
MAX_NAMES = 20_000
"""Of elements and attributes; the parser keeps each it has met."""
_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
RELATIONSHIP_NAMESPACES = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)


class DamagedPartError(ValueError):
    """A part is not what the format says."""


class UnsafePartError(ValueError):
    """A part declares a document type, the only way to entities; no workbook needs one."""


# What zipfile raises while it reads, and what a part may be.
DAMAGE = (DamagedPartError, BadZipFile, zlib.error, EOFError, NotImplementedError, OSError)


def elements(*names: str) -> Mapping[str, str]:
    """Local name of each element, by its name in the two namespaces that workbooks use."""
    return {f"{namespace} {name}": name for namespace in _NAMESPACES for name in names}


def new_parser() -> expat.XMLParserType:
    """A parser whose names are `namespace local`; text comes in as few pieces as possible."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_arguments: object) -> None:
    raise UnsafePartError


def fed(file: IO[bytes], parser: expat.XMLParserType) -> Iterator[None]:
    """The file given to the parser piece by piece; control returns after each.

    Raises:
        UnsafePartError: it declares a document type.
        DamagedPartError: it is not well-formed, one of its tags is too long, or it has too many
            names of elements.
    """
    num_bytes = 0
    try:
        while chunk := file.read(_CHUNK_BYTES):
            num_bytes += len(chunk)
            parser.Parse(chunk, False)
            is_held = num_bytes - parser.CurrentByteIndex > MAX_TAG_BYTES
            if is_held or len(parser.intern) > MAX_NAMES:
                raise DamagedPartError
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        raise DamagedPartError from exc
    yield


def read_elements(file: IO[bytes], start: StartHandler, end: EndHandler | None = None) -> None:
    """The whole file read, `start` called for each element with its attributes, `end` at its end.

    Raises:
        UnsafePartError, DamagedPartError: see `fed`; or elements are nested deeper than 64 levels.
    """
    depth = 0

    def started(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise DamagedPartError
        start(name, attributes)

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(name)

    parser = new_parser()
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    for _ in fed(file, parser):
        pass


class _RootFoundError(Exception):
    pass


def check_prolog(file: IO[bytes]) -> None:
    """A document type can only stand before the root element, so that is all that is read.

    Raises:
        UnsafePartError: there is one.
        DamagedPartError: there is no root element.
    """

    def stop(_name: str, _attributes: Mapping[str, str]) -> None:
        raise _RootFoundError

    try:
        read_elements(file, stop)
    except _RootFoundError:
        return
    raise DamagedPartError
