"""Headers of models, broken in a way that a seed decides."""

import json
import random
import struct
from collections.abc import Callable

ODD_NUMBERS = (0, 1, 2, 7, 127, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40,
               2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
ODD_TEXTS = (
    "", "x" * 3_000, "../outside.safetensors", "/etc/passwd", "\u0000", "\ud800", "evil.Model",
    "F32", "I64", "gelu", "yarn", "default", "Precompiled", "Unigram", "WordPiece", "Sequence",
    "TokenizersBackend", "LlamaTokenizer", "{{ 'a' * 10**9 }}", "{% for a in range(99999) %}",
)  # fmt: skip
ODD_JSON = (
    b"NaN", b"-Infinity", b"1e999", b"-0", b"\xff\xfe", b'"\\ud800"', b"9" * 5_000, b"[" * 100,
    b'{"a":1,"a":2}', b"[[],[],[]]", b"null", b"tru", b"\xef\xbb\xbf", b'"auto_map":{"a":"b"},',
)  # fmt: skip


def mutated_json(rng: random.Random, content: bytes) -> bytes:
    """`content` with a value, a name or some bytes exchanged."""
    if rng.random() < 0.3:
        return mutated_bytes(rng, content, ODD_JSON)
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        document = _changed(rng, document)
    return json.dumps(document).encode()


def mutated_safetensors(rng: random.Random, content: bytes) -> bytes:
    """A file with a broken header, or with another length of it, or cut."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]
    choice = rng.random()
    if choice < 0.1:
        return mutated_bytes(rng, content[:8], ()) + header + data
    if choice < 0.2:
        return content[: rng.randrange(len(content))]
    header = mutated_json(rng, header)
    declared = len(header) if rng.random() < 0.9 else rng.choice(ODD_NUMBERS)
    return struct.pack("<Q", declared) + header + data


def mutated_gguf(rng: random.Random, content: bytes, header_bytes: int) -> bytes:
    """A file with some of its header's bytes exchanged."""
    header = content[:header_bytes]
    for _ in range(rng.choice((1, 1, 2, 4))):
        header = mutated_bytes(rng, header, ())
    return header + content[header_bytes:]


def mutated_bytes(rng: random.Random, content: bytes, pieces: tuple[bytes, ...]) -> bytes:
    """`content` with a number overwritten, bits flipped, or a part put in, left out or doubled."""
    at = rng.randrange(len(content) + 1)
    length = rng.choice((1, 2, 4, 8, 16, 200))
    changes: list[Callable[[], bytes]] = [
        lambda: content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
        lambda: content[:at] + _number(rng) + content[at + 8 :],
        lambda: (
            content[:at] + struct.pack("<I", rng.choice(ODD_NUMBERS) % 2**32) + content[at + 4 :]
        ),
        lambda: content[:at] + content[at + length :],
        lambda: content[: at + length] + content[at:],
        lambda: content[:at] + rng.randbytes(length) + content[at:],
        lambda: content[:at],
    ]
    if pieces:
        changes += [lambda: content[:at] + rng.choice(pieces) + content[at:]] * 3
    return rng.choice(changes)()


def _number(rng: random.Random) -> bytes:
    return struct.pack("<Q", rng.choice(ODD_NUMBERS))


def _changed(rng: random.Random, value: object) -> object:
    """`value` with something odd at a random place; how deep, the seed decides."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        change = rng.random()
        if change < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if change < 0.2:
            return {(_odd_text(rng) if name == key else name): item for name, item in value.items()}
        return {**value, key: _changed(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _changed(rng, value[at]), *value[at + 1 :]]
    return _odd(rng)


def _odd(rng: random.Random) -> object:
    nested: object = None
    for _ in range(rng.choice((3, 40))):
        nested = [nested]
    return rng.choice(
        (
            None, True, False, [], {}, [None], {"": None}, nested, _odd_text(rng),
            rng.choice(ODD_NUMBERS), -rng.choice(ODD_NUMBERS), 0.5, -1.5, 1e308, 1e-320,
            [1] * 500, {"content": 3}, [[1, 2], [3]], {str(n): n for n in range(50)},
        )
    )  # fmt: skip


def _odd_text(rng: random.Random) -> str:
    return rng.choice(ODD_TEXTS)
