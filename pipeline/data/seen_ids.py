"""The ids of the rows read so far, in a few bytes each, with the line on which each came first.

An id is kept as 96 bits of its BLAKE2b digest. Two different ids of a million rows share them with
a probability of 6e-18 (n squared over 2 to the power 97), so that no row is refused for it.
"""

from hashlib import blake2b

_DIGEST_BYTES = 12
_KEY_BYTES = _DIGEST_BYTES - 2
_LINE_BYTES = 5
_ENTRY_BYTES = _KEY_BYTES + _LINE_BYTES


class SeenIds:
    """First line of each id; 27 bytes an id at a million rows (resident memory), fewer beyond.

    The first two bytes of a digest choose one of 65,536 short byte strings; each holds the rest of
    its digests, and the lines, one after another. Searching a few hundred bytes takes less time
    than one step of a table in Python would, and growing one of them copies nothing else.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * (1 << 16)

    def first_line(self, identifier: str, line: int) -> int | None:
        """The line on which `identifier` came first; None if it is new, and kept now.

        Args:
            identifier: valid Unicode text.
            line: from 0, below 2 to the power 40.
        """
        digest = blake2b(identifier.encode(), digest_size=_DIGEST_BYTES).digest()
        place = digest[0] << 8 | digest[1]
        key = digest[2:]
        bucket = self._buckets[place]
        if bucket is None:
            self._buckets[place] = bytearray(key + line.to_bytes(_LINE_BYTES, "little"))
            return None
        start = bucket.find(key)
        while start >= 0:
            if start % _ENTRY_BYTES == 0:
                return int.from_bytes(bucket[start + _KEY_BYTES : start + _ENTRY_BYTES], "little")
            start = bucket.find(key, start + 1)  # the end of one entry and the beginning of another
        bucket += key + line.to_bytes(_LINE_BYTES, "little")
        return None
