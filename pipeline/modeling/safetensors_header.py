"""The header of a safetensors file, checked before the library maps the file.

Format: 8 bytes little-endian header length, JSON header, tensor bytes without holes or overlaps.
Source: https://github.com/huggingface/safetensors#format
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.modeling.strict_json import read_strict_json

MAX_HEADER_BYTES = 32 * 2**20
MAX_TENSORS = 20_000
MAX_HEADER_VALUES = 400_000
MAX_ELEMENTS = 2**48
DTYPE_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorFacts:
    """One tensor as its file declares it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def num_elements(self) -> int:
        return math.prod(self.shape)


def _corrupt(path: Path, what: str) -> ModelError:
    return ModelError(
        "model.corrupt_file",
        f"{path}: {what}. The file is damaged or was made to mislead; copy it again from its "
        "source and compare checksums.",
    )


def _parse_header(path: Path, header: bytes) -> dict[str, object]:
    if not header.startswith(b"{"):
        raise _corrupt(path, "the header is not a JSON object")
    try:
        parsed = read_strict_json(path, header, max_values=MAX_HEADER_VALUES)
    except ModelError as exc:
        raise _corrupt(path, f"the header cannot be read: {exc}") from exc
    if not isinstance(parsed, dict):
        raise _corrupt(path, "the header is not a JSON object")
    metadata = parsed.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _corrupt(path, "__metadata__ is not an object of texts")
    if metadata.get("format", "pt") != "pt":
        raise _corrupt(path, f"__metadata__.format is {metadata['format']!r:.80}, not 'pt'")
    if len(parsed) > MAX_TENSORS:
        raise _corrupt(path, f"{len(parsed)} tensors are declared; at most {MAX_TENSORS} are read")
    return parsed


def _check_entry(path: Path, name: str, entry: object) -> tuple[TensorFacts, int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _corrupt(path, f"tensor {name!r:.200} lacks dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _corrupt(path, f"tensor {name!r:.200} has the unknown dtype {dtype!r:.80}")
    for label, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or any(type(n) is not int or n < 0 for n in numbers):
            raise _corrupt(path, f"tensor {name!r} has the {label} {numbers!r:.80}")
    if len(shape) > 8 or max(shape, default=0) > MAX_ELEMENTS:
        raise _corrupt(path, f"tensor {name!r:.200} has the shape {shape!r:.80}")
    facts = TensorFacts(dtype=dtype, shape=tuple(shape))
    if facts.num_elements > MAX_ELEMENTS:
        raise _corrupt(path, f"tensor {name!r:.200} has the shape {shape!r:.80}")
    num_bytes = facts.num_elements * DTYPE_BYTES[dtype]
    if len(offsets) != 2 or offsets[1] - offsets[0] != num_bytes:
        raise _corrupt(
            path,
            f"tensor {name!r} needs {num_bytes} bytes but has the data_offsets {offsets!r:.80}",
        )
    return facts, offsets[0], offsets[1]


def read_safetensors_header(path: Path) -> dict[str, TensorFacts]:
    """Every tensor that `path` declares, after checking that the file is what its header says.

    Raises:
        ModelError: `model.corrupt_file` when the header is too long, not JSON, names a tensor
            twice, has an unknown dtype, a shape that does not fit its bytes, or when the tensors
            overlap, leave holes, pass the end of the file or leave bytes behind them.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise _corrupt(path, f"only {size} bytes long")
        (header_bytes,) = struct.unpack("<Q", prefix)
        if not 2 <= header_bytes <= MAX_HEADER_BYTES or 8 + header_bytes > size:
            raise _corrupt(path, f"declares a header of {header_bytes} bytes in {size}")
        header = _parse_header(path, file.read(header_bytes))
    tensors: dict[str, TensorFacts] = {}
    extents: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        tensors[name], begin, end = _check_entry(path, name, entry)
        extents.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(extents):
        if begin != position:
            kind = "overlaps the one before it" if begin < position else "leaves a hole before it"
            raise _corrupt(path, f"tensor {name!r} {kind} (offset {begin}, expected {position})")
        position = end
    data_bytes = size - 8 - header_bytes
    if position != data_bytes:
        raise _corrupt(path, f"the tensors take {position} bytes and the file holds {data_bytes}")
    return tensors
