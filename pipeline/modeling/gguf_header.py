"""The header of a GGUF file, read with bounds before any library trusts its counts.

Advisories on GGUF readers are about unbounded counts, lengths and alignment; each is capped here.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ModelError
from pipeline.modeling.safetensors_header import MAX_ELEMENTS, MAX_TENSORS, TensorFacts

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_KEYS = 4096
MAX_NAME_BYTES = 65_535
MAX_STRING_BYTES = 4 * 2**20
MAX_ARRAY_ITEMS = 2_000_000
MAX_HEADER_BYTES = 128 * 2**20
MAX_ALIGNMENT = 65_536
READ_BYTES = 4 * 2**20

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}  # fmt: skip
STRING, ARRAY = 8, 9
# ggml tensor type -> (name, elements per block, bytes per block): those that are dequantised.
TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
}  # fmt: skip

Scalar = int | float | bool | str


@dataclass(frozen=True, kw_only=True, slots=True)
class GGUFHeader:
    """What a GGUF file declares; an array is kept only as its length."""

    version: int
    metadata: dict[str, Scalar]
    array_lengths: dict[str, int]
    tensors: dict[str, TensorFacts]


class _Reader:
    """Bounded little-endian reads; every failure names the file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.position = 0
        self._file = file
        self._held = bytearray()
        self._items_left = MAX_ARRAY_ITEMS

    def corrupt(self, what: str) -> ModelError:
        return ModelError(
            "model.corrupt_file",
            f"{self.path}: {what} (byte {self.position}). The file is damaged or was made to "
            "mislead; copy it again from its source and compare checksums.",
        )

    def skip(self, count: int) -> None:
        """The next `count` bytes are held, and passed."""
        end = self.position + count
        if end > min(self.size, MAX_HEADER_BYTES):
            raise self.corrupt(f"{count} bytes are declared past the end of the header")
        if end > len(self._held):
            self._held += self._file.read(max(end - len(self._held), READ_BYTES))
            if end > len(self._held):
                raise self.corrupt(f"the file ended while {count} bytes were read")
        self.position = end

    def take(self, count: int) -> bytes:
        self.skip(count)
        return bytes(self._held[self.position - count : self.position])

    def number(self, layout: str) -> int | float | bool:
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self._held, self.position - struct.calcsize(layout))[0]

    def count(self, limit: int, what: str) -> int:
        value = int(self.number("<Q"))
        if value > limit:
            raise self.corrupt(f"{what} is {value}; at most {limit} is read")
        return value

    def string(self, limit: int) -> str:
        data = self.take(self.count(limit, "the length of a string"))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise self.corrupt("a string is not UTF-8") from exc

    def skip_array(self) -> int:
        kind = int(self.number("<I"))
        length = self.count(MAX_ARRAY_ITEMS, "the length of an array")
        if kind in SCALARS:
            self.skip(length * struct.calcsize(SCALARS[kind]))
        elif kind == STRING:
            # All arrays together: a second per million is what a person waits for.
            self._items_left -= length
            if self._items_left < 0:
                raise self.corrupt(f"the arrays hold more than {MAX_ARRAY_ITEMS} texts")
            for _ in range(length):
                self.skip(self.count(MAX_STRING_BYTES, "the length of a string"))
        else:
            raise self.corrupt(f"an array holds values of type {kind}")
        return length


def _read_metadata(reader: _Reader, num_keys: int) -> tuple[dict[str, Scalar], dict[str, int]]:
    metadata: dict[str, Scalar] = {}
    array_lengths: dict[str, int] = {}
    for _ in range(num_keys):
        key = reader.string(MAX_NAME_BYTES)
        if key in metadata or key in array_lengths:
            raise reader.corrupt(f"the key {key!r:.200} occurs twice")
        kind = int(reader.number("<I"))
        if kind == ARRAY:
            array_lengths[key] = reader.skip_array()
        elif kind == STRING:
            metadata[key] = reader.string(MAX_STRING_BYTES)
        elif kind in SCALARS:
            metadata[key] = reader.number(SCALARS[kind])
        else:
            raise reader.corrupt(f"the key {key!r:.200} has the unknown type {kind}")
    return metadata, array_lengths


def _read_tensor(reader: _Reader) -> tuple[str, TensorFacts, int, int]:
    name = reader.string(MAX_NAME_BYTES)
    num_dims = int(reader.number("<I"))
    if not 1 <= num_dims <= 4:
        raise reader.corrupt(f"tensor {name!r:.200} has {num_dims} dimensions")
    shape = tuple(int(reader.number("<Q")) for _ in range(num_dims))
    elements = math.prod(shape)
    if not 0 < elements <= MAX_ELEMENTS:
        raise reader.corrupt(f"tensor {name!r:.200} has the shape {shape}")
    kind, offset = int(reader.number("<I")), int(reader.number("<Q"))
    if kind not in TENSOR_TYPES:
        raise ModelError(
            "model.unsupported",
            f"{reader.path}: tensor {name!r:.200} has the ggml type {kind}, which is not "
            "dequantised here; use a file in F16, BF16, Q8_0, Q4_0 to Q5_1 or Q2_K to Q6_K.",
        )
    dtype, block, block_bytes = TENSOR_TYPES[kind]
    if shape[0] % block:
        raise reader.corrupt(
            f"tensor {name!r:.200}: rows of {shape[0]} do not fill blocks of {block}"
        )
    return (
        name,
        TensorFacts(dtype=dtype, shape=shape[::-1]),
        offset,
        elements // block * block_bytes,
    )


def read_gguf_header(path: Path) -> GGUFHeader:
    """What `path` declares, after checking that every length and offset lies inside the file.

    Raises:
        ModelError: `model.corrupt_file` or, for a version or quantisation we cannot read,
            `model.unsupported`.
    """
    with path.open("rb") as file:
        reader = _Reader(path, file)
        if reader.size < len(MAGIC) or reader.take(len(MAGIC)) != MAGIC:
            raise reader.corrupt("does not begin with the bytes GGUF")
        version = int(reader.number("<I"))
        if version not in VERSIONS:
            raise ModelError(
                "model.unsupported",
                f"{path}: GGUF version {version}; versions {VERSIONS} are read. Convert the model "
                "again with a current llama.cpp.",
            )
        num_tensors = reader.count(MAX_TENSORS, "the number of tensors")
        num_keys = reader.count(MAX_KEYS, "the number of keys")
        metadata, array_lengths = _read_metadata(reader, num_keys)
        alignment = metadata.get("general.alignment", 32)
        if (
            not isinstance(alignment, int)
            or not 8 <= alignment <= MAX_ALIGNMENT
            or alignment & (alignment - 1)
        ):
            raise reader.corrupt(f"general.alignment is {alignment!r}")
        tensors: dict[str, TensorFacts] = {}
        extents: list[tuple[int, int, str]] = []
        for _ in range(num_tensors):
            name, facts, offset, num_bytes = _read_tensor(reader)
            if name in tensors:
                raise reader.corrupt(f"tensor {name!r:.200} occurs twice")
            tensors[name] = facts
            extents.append((offset, offset + num_bytes, name))
        data_start = -(-reader.position // alignment) * alignment
        end_before = 0
        for begin, end, name in sorted(extents):
            if begin % alignment or begin < end_before or data_start + end > reader.size:
                raise reader.corrupt(f"tensor {name!r:.200} has the offset {begin}")
            end_before = end
    return GGUFHeader(
        version=version, metadata=metadata, array_lengths=array_lengths, tensors=tensors
    )
