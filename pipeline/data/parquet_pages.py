"""What a Parquet file will take to read, from the headers of its pages, before one is unpacked.

The footer only says how large a column is as a whole. A page is unpacked at once, so that one of a
few kilobytes can ask for gigabytes; each says beforehand how large it will be, and unpacking fails
where that is not true.
"""

from dataclasses import dataclass
from typing import BinaryIO

import pyarrow.parquet as pq

MAX_HEADER_BYTES = 1 << 20
MAX_PAGES = 1_000_000
_SIZE, _PACKED, _DATA, _DICTIONARY, _DATA_2 = 2, 3, 5, 7, 8
"""Fields of a page header; those of data have the number of values as their first."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_MAX_DEPTH = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class PageSizes:
    """What the pages of a file ask for."""

    total_bytes: int
    """Unpacked, all together."""
    most_bytes: int
    """Of one page, unpacked."""
    most_values: int
    """Of one page."""
    dictionary_bytes: int
    """Of the largest dictionary, unpacked: no value that stands in one is longer."""


def page_sizes(file: BinaryIO, metadata: "pq.FileMetaData") -> PageSizes:
    """The sizes of all pages of the file.

    Raises:
        ValueError: a header is none, or there are more pages than a file may have.
    """
    total_bytes = most_bytes = most_values = dictionary_bytes = num_pages = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            place = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                place = min(place, chunk.dictionary_page_offset)
            end = place + chunk.total_compressed_size
            while place < end:
                size, packed, values, length, is_dictionary = _page_header(file, place)
                dictionary_bytes = max(dictionary_bytes, size if is_dictionary else 0)
                most_bytes, most_values = max(most_bytes, size), max(most_values, values)
                total_bytes += size
                num_pages += 1
                if num_pages > MAX_PAGES or packed < 0 or size < 0:
                    raise ValueError("the pages of the file are damaged")
                place += length + packed
    return PageSizes(
        total_bytes=total_bytes,
        most_bytes=most_bytes,
        most_values=most_values,
        dictionary_bytes=dictionary_bytes,
    )


def _page_header(file: BinaryIO, place: int) -> tuple[int, int, int, int, bool]:
    """Size unpacked and packed, number of values, length of the header, whether a dictionary."""
    wanted = 256
    while True:
        file.seek(place)
        content = file.read(wanted)
        header = _Compact(content)
        try:
            fields = header.structure(_MAX_DEPTH)
        except IndexError:
            # Its statistics may hold long values.
            if len(content) < wanted or wanted >= MAX_HEADER_BYTES:
                raise ValueError("a page has no header") from None
            wanted *= 16
            continue
        inner = fields.get(_DATA) or fields.get(_DATA_2) or {}
        values = inner.get(1, 0) if isinstance(inner, dict) else 0
        sizes = [value for value in (fields.get(_SIZE), fields.get(_PACKED), values)
                 if isinstance(value, int)]  # fmt: skip
        if len(sizes) != 3:
            raise ValueError("a page has no size")
        return sizes[0], sizes[1], sizes[2], header.place, _DICTIONARY in fields


Fields = dict[int, "int | Fields | None"]


class _Compact:
    """Reads structures as Thrift's compact protocol writes them; keeps integers, skips the rest.

    Raises IndexError where the content ends, ValueError where it is nothing that can be read.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def structure(self, depth: int) -> Fields:
        if depth == 0:
            raise ValueError("structures are nested too deep")
        fields: Fields = {}
        number = 0
        while (head := self._byte()) != 0:
            step = head >> 4
            number = number + step if step else self._signed()
            fields[number] = self._value(head & 0x0F, depth)
        return fields

    def _value(self, kind: int, depth: int) -> "int | Fields | None":
        if kind in {_TRUE, _FALSE}:
            return None
        if _BYTE < kind < _DOUBLE:
            return self._signed()
        if kind == _STRUCT:
            return self.structure(depth - 1)
        if kind in {_LIST, _SET}:
            head = self._byte()
            count = head >> 4
            for _ in range(self._unsigned() if count == 15 else count):
                self._element(head & 0x0F, depth)
        elif kind == _BINARY:
            self._skip(self._unsigned())
        elif kind in {_BYTE, _DOUBLE}:
            self._skip(1 if kind == _BYTE else 8)
        else:
            raise ValueError("a field is of an unknown type")
        return None

    def _element(self, kind: int, depth: int) -> None:
        if kind in {_TRUE, _FALSE}:
            self._skip(1)
        else:
            self._value(kind, depth)

    def _byte(self) -> int:
        byte = self._content[self.place]
        self.place += 1
        return byte

    def _skip(self, count: int) -> None:
        if self.place + count > len(self._content):
            raise IndexError
        self.place += count

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number has no end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
